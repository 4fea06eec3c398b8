//! Ctrl-C, and the signal that ends a service.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears the request to end from the moment it is made: one that comes while nobody waits is not lost.
#[derive(Debug)]
pub(crate) struct Interrupt {
    from_keyboard: Signal,
    from_others: Signal,
}

impl Interrupt {
    /// Listens from now on. Needs a running tokio runtime.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let hear = |kind| signal(kind).context("listening for Ctrl-C");
        Ok(Self {
            from_keyboard: hear(SignalKind::interrupt())?,
            from_others: hear(SignalKind::terminate())?,
        })
    }

    /// Waits for the next request to end.
    pub(crate) async fn requested(&mut self) {
        tokio::select! {
            _ = self.from_keyboard.recv() => {}
            _ = self.from_others.recv() => {}
        }
    }
}
