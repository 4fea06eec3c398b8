//! CallContext: on whose behalf a call is made, and how long it may take.
//!
//! One layer makes it from a call's metadata; it is forwarded on each hop and stands in each log line. Identity is
//! `anonymous` until authentication is turned on, and a client's word on its tenant counts for nothing until then.

mod layer;
mod metadata;
mod span;
mod trace;

use std::time::Duration;

use helixflow_model::{Region, RequestId, TenantId};
use tokio::time::Instant;

pub use layer::{ContextLayer, ContextService, Trust};
pub use metadata::{BadContext, attach, read};
pub use span::InSpan;
pub use trace::place_under;

/// The longest deadline that a call may ask for; longer ones are cut to it.
pub const MAX_DEADLINE: Duration = Duration::from_secs(60 * 60);

/// How urgent a request is to its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Batch work: the first to wait.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Somebody is waiting.
    High,
}

/// Who calls, as far as it was proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// Nobody proved anything.
    #[default]
    Anonymous,
}

/// On whose behalf a call is made.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// One id from the client to the node.
    pub request_id: RequestId,
    /// Who calls.
    pub identity: Identity,
    /// Whose quota and cache it is.
    pub tenant: TenantId,
    /// How urgent it is.
    pub priority: Priority,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// Regions that may see the data; empty means all.
    pub residency: Vec<Region>,
    /// The caller's W3C trace context, where it sent one.
    pub traceparent: Option<String>,
}

impl CallContext {
    /// A call of this process's own, without a deadline.
    pub fn new(request_id: RequestId) -> Self {
        Self {
            request_id,
            identity: Identity::default(),
            tenant: TenantId::default(),
            priority: Priority::default(),
            deadline: None,
            residency: Vec::new(),
            traceparent: None,
        }
    }

    /// What is left until the deadline: zero once it has passed, none without one.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The context that the layer put into a request.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<&Self, tonic::Status> {
        request.extensions().get::<Self>().ok_or_else(|| {
            crate::error::status(
                crate::error::Reason::Internal,
                "the server has no context layer; report this",
            )
        })
    }
}
