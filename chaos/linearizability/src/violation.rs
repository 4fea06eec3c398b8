//! Why a history cannot be linearized, with the moments that prove it.

use std::fmt::{self, Debug};

/// The proof that no order explains the history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation<K: Debug, V: Debug> {
    /// The history itself is of no use.
    #[error(
        "key {key:?}: {value:?} is written twice, so a read of it names no write: let every write differ"
    )]
    WrittenTwice {
        /// Which register.
        key: K,
        /// What two operations write to it.
        value: V,
    },
    /// The history itself is of no use.
    #[error(
        "key {key:?}: an operation is invoked at {invoked} and returns before, at {returned}: mend the recording"
    )]
    ReturnedBeforeInvoked {
        /// Which register.
        key: K,
        /// When it was sent.
        invoked: u64,
        /// When it is said to have ended.
        returned: u64,
    },
    /// A read came back with what nobody wrote.
    #[error("key {key:?}: the read that returned at {returned} found {value:?}, which nobody wrote")]
    NeverWritten {
        /// Which register.
        key: K,
        /// What was read.
        value: Option<V>,
        /// When.
        returned: u64,
    },
    /// A read came back with what was written only later.
    #[error(
        "key {key:?}: the read that returned at {returned} found {value:?}, whose write began only later"
    )]
    ReadBeforeWrite {
        /// Which register.
        key: K,
        /// What was read.
        value: Option<V>,
        /// When.
        returned: u64,
    },
    /// Each of two values was there both before and after the other: a stale read, a lost write or one applied twice.
    #[error(
        "key {key:?}: {first:?} {first_seen}, yet {second:?} {second_seen}: each would have to come first"
    )]
    Interleaved {
        /// Which register.
        key: K,
        /// One value; `None` for the one before any write.
        first: Option<V>,
        /// When it was there.
        first_seen: Moments,
        /// The other value.
        second: Option<V>,
        /// When that was there.
        second_seen: Moments,
    },
}

/// When a value was there: the first response of an operation on it and the last invocation of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    /// `None` for the value before any write, and for a write of which nobody heard again.
    pub first_returned: Option<u64>,
    /// `None` for a value before any write that nobody read.
    pub last_invoked: Option<u64>,
}

impl fmt::Display for Moments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first_returned {
            Some(at) => write!(f, "was there when an operation on it returned at {at}")?,
            None => write!(f, "was there from the beginning")?,
        }
        match self.last_invoked {
            Some(at) => write!(f, " and when one was invoked at {at}"),
            None => Ok(()),
        }
    }
}
