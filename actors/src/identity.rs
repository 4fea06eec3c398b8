//! Who this node is, to coordinators and gateways.

use std::collections::BTreeSet;

use helixflow_model::{BoardTraits, Bytes, ClusterId, Region};

/// What a node says of itself when it joins and in every report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// The cluster that it belongs to.
    pub cluster: ClusterId,
    /// Drawn once and kept on its disk: the same uuid gets the same node id again.
    pub uuid: String,
    /// Where it stands.
    pub region: Region,
    /// Where gateways reach it, `host:port`.
    pub advertise: String,
    /// Memory for weights and KV cache.
    pub memory: Bytes,
    /// The kinds of its boards, for models that ask for one.
    pub boards: BTreeSet<BoardTraits>,
}
