//! Whether a connection failed or the service answered: tonic makes a status of both.

use std::error::Error;

use tonic::{Code, Status, TimeoutExpired};

/// Whether the connection broke before the answer was whole. What it carried may have been done or not.
///
/// A status that came from the other end has no source, and time that ran out is the caller's own.
pub(crate) fn broke(status: &Status) -> bool {
    let first = status.source();
    let mut causes = std::iter::successors(first, |cause: &&(dyn Error + 'static)| (*cause).source());
    first.is_some() && !causes.any(|cause| cause.is::<TimeoutExpired>())
}

/// Whether it broke because the other end does not speak as a coordinator does.
pub(crate) fn is_foreign(status: &Status) -> bool {
    status.code() == Code::Internal && broke(status)
}
