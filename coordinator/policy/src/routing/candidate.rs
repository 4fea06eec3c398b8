//! A replica that answers, with all that a gateway needs to call it.

use std::time::Duration;

use helixflow_model::{Fence, LoadReport, NodeId, NumericsClass, Region};

/// A replica that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Replica and generation, to be sent along: the node refuses another.
    pub fence: Fence,
    /// The node that takes its requests.
    pub node: NodeId,
    /// Where the node stands.
    pub region: Region,
    /// How the node is reached, `host:port`.
    pub advertise: String,
    /// Replicas of one class give the same bits.
    pub numerics: NumericsClass,
    /// How busy it was.
    pub load: LoadReport,
    /// How old that is, at the time the table was built.
    pub age: Duration,
    /// How long a request would wait there, as far as load and age tell.
    pub expected_wait: Duration,
    /// How much longer for each request that the report does not tell of.
    pub each_more: Duration,
}
