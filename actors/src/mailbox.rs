//! Messages that count themselves: how many wait in an actor's mailbox.
//!
//! ractor's mailboxes have no bound and do not tell how full they are. So every message travels in a [`Letter`], which
//! counts from when it is sent until its handling begins. One that is thrown away unread, because its actor has ended,
//! stops counting like any other. What supervisors hear of their children's ends goes another way and is not counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ractor::{ActorCell, ActorRef, DerivedActorRef};

/// A message on its way.
pub(crate) struct Letter<M> {
    message: M,
    counted: Counted,
}

impl<M> Letter<M> {
    /// Takes the message out, to handle it.
    pub(crate) fn open(self) -> M {
        self.message
    }

    /// The same letter with its message changed.
    pub(crate) fn map<N>(self, change: impl FnOnce(M) -> N) -> Letter<N> {
        Letter { message: change(self.message), counted: self.counted }
    }

    /// The same, where there is another message in it.
    pub(crate) fn try_map<N>(self, change: impl FnOnce(M) -> Option<N>) -> Result<Letter<N>, ()> {
        let message = change(self.message).ok_or(())?;
        Ok(Letter { message, counted: self.counted })
    }
}

/// One message that waits.
struct Counted(Depth);

impl Drop for Counted {
    fn drop(&mut self) {
        // A count of its own: no other memory depends on its order.
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many messages wait for one actor, and for whoever takes its place after a restart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Depth(Arc<AtomicUsize>);

impl Depth {
    /// Messages that wait now.
    pub(crate) fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A letter to this actor, to be sent at once.
    pub(crate) fn letter<M>(&self, message: M) -> Letter<M> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Letter { message, counted: Counted(self.clone()) }
    }
}

/// The actor has ended, and with it whatever was sent.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the actor has ended")]
pub(crate) struct Ended;

/// Where others send an actor's messages.
#[derive(Debug)]
pub(crate) struct Mailbox<M> {
    to: DerivedActorRef<Letter<M>>,
    depth: Depth,
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self { to: self.to.clone(), depth: self.depth.clone() }
    }
}

impl<M: Send + 'static> Mailbox<M> {
    /// The mailbox of an actor that takes these messages among others.
    pub(crate) fn new<A>(actor: &ActorRef<Letter<A>>, depth: &Depth) -> Self
    where
        A: Send + 'static,
        Letter<A>: From<Letter<M>>,
        Letter<M>: TryFrom<Letter<A>>,
    {
        Self { to: actor.get_derived(), depth: depth.clone() }
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: M) -> Result<(), Ended> {
        self.to.send_message(self.depth.letter(message)).map_err(|_| Ended)
    }

    /// The actor behind it.
    pub(crate) fn actor(&self) -> ActorCell {
        self.to.get_cell()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_until_it_is_opened_or_thrown_away() {
        let depth = Depth::default();
        let (read, lost) = (depth.letter("read"), depth.letter("lost"));
        assert_eq!(depth.now(), 2);
        assert_eq!(read.map(str::len).open(), 4);
        assert_eq!(depth.now(), 1);
        drop(lost);
        assert_eq!(depth.now(), 0);
    }
}
