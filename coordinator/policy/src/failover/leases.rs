//! Leases: how long each node has been silent, and the terms on which silence is judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use helixflow_model::NodeId;

/// Twenty reports at the slowest rate of one a second, less some: a busy machine misses several in a row, a dead
/// one all of them. Streams do not wait for it: gateways turn to another replica when a call fails.
const LEASE: Duration = Duration::from_secs(10);
/// Long enough that a node which crashes at every start is not taken for one that is back.
const STEADY: Duration = Duration::from_secs(5);
/// Three leases: when every node falls silent at once, the fault is likelier here.
const SELF_DOUBT: Duration = Duration::from_secs(30);
/// A lost region of dozens of nodes is recorded within seconds, and a judge gone wrong is slow enough to stop.
const CHANGES_A_ROUND: usize = 16;

/// On which terms nodes are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// A node that was silent for this long is lost. The judge itself must have listened for as long.
    pub lease: Duration,
    /// A lost node that reported without a gap for this long is live again; twice as long with each time that it came back
    /// lately.
    pub steady: Duration,
    /// When every live node is silent, none is lost before this long: the judge may be the one who is cut off.
    pub self_doubt: Duration,
    /// Most changes of health in one round.
    pub changes_a_round: usize,
}

impl Default for LeaseTerms {
    fn default() -> Self {
        Self { lease: LEASE, steady: STEADY, self_doubt: SELF_DOUBT, changes_a_round: CHANGES_A_ROUND }
    }
}

/// How a node has been heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Age of its last report.
    pub silent: Duration,
    /// For how long, up to its last report, it has reported without a gap as long as the lease.
    pub steady: Duration,
}

/// How the state's verdict on a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// For how long the judge has seen it.
    pub stood: Duration,
    /// How often the node has come back lately.
    pub returns: u32,
}

/// How every node has been heard of, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// For how long the judge has listened and judged without a pause. Silence from before does not count.
    pub tenure: Duration,
    /// Every node ever heard of; one that is absent was silent for the whole tenure.
    pub nodes: BTreeMap<NodeId, Lease>,
    /// The verdicts on the nodes; one that is absent has stood for the whole tenure.
    pub verdicts: BTreeMap<NodeId, Verdict>,
}

impl Leases {
    /// For how long a node has been silent, as far as this judge can tell.
    pub fn silence(&self, node: NodeId) -> Duration {
        self.nodes.get(&node).map_or(self.tenure, |lease| lease.silent)
    }

    /// How the verdict on a node stands.
    pub(super) fn verdict(&self, node: NodeId) -> Verdict {
        self.verdicts.get(&node).copied().unwrap_or(Verdict { stood: self.tenure, returns: 0 })
    }

    /// The nodes heard of within the lease: those that replicas may be placed on.
    pub fn live(&self, terms: &LeaseTerms) -> BTreeSet<NodeId> {
        self.nodes.iter().filter(|(_, lease)| lease.silent < terms.lease).map(|(node, _)| *node).collect()
    }
}
