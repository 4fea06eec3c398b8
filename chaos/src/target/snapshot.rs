//! What one coordinator says of the cluster, reduced to what the promises speak of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use helixflow_proto::v1::{NodeStatus, ReplicaPhase, StatusResponse};

/// One coordinator's view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Who says so.
    pub coordinator: u64,
    /// Who leads; none when it does not know.
    pub leader: Option<u64>,
    /// The Raft term.
    pub term: u64,
    /// The log index applied last.
    pub applied: u64,
    /// Since it last knew of a quorum; none when it never did.
    pub quorum_age: Option<Duration>,
    /// The members.
    pub coordinators: BTreeSet<u64>,
    /// The nodes, by their addresses.
    pub nodes: BTreeMap<String, NodeSeen>,
    /// The models by id and version, with the number of replicas wanted of each.
    pub models: BTreeMap<(String, String), u32>,
    /// What the state's own check finds wrong.
    pub violations: Vec<String>,
}

/// A node in one coordinator's view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSeen {
    /// Its id in the cluster.
    pub id: u64,
    /// Whether the log has it as lost.
    pub lost: bool,
    /// Since its last report; none when there was none.
    pub report_age: Option<Duration>,
    /// Its replicas that take requests, by model id and version.
    pub ready: Vec<(String, String)>,
}

impl Snapshot {
    /// Replicas that take requests, over all nodes.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.nodes.values().map(|node| node.ready.len()).sum()
    }

    /// Replicas that the models want.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.models.values().map(|wanted| *wanted as usize).sum()
    }

    /// What is missing for the cluster to be whole; none when it is.
    #[must_use]
    pub fn lack(&self) -> Option<String> {
        let lost = self.nodes.values().find(|node| node.lost);
        if self.leader.is_none() {
            Some("no leader is known".to_owned())
        } else if self.models.is_empty() {
            Some("no model is served".to_owned())
        } else if let Some(node) = lost {
            Some(format!("node {} counts as lost", node.id))
        } else if self.ready() < self.wanted() {
            Some(format!("{} of {} replicas are ready", self.ready(), self.wanted()))
        } else {
            self.violations.first().map(|violation| format!("the state violates a rule: {violation}"))
        }
    }
}

impl From<StatusResponse> for Snapshot {
    fn from(wire: StatusResponse) -> Self {
        let models = wire.models.into_iter().filter_map(|model| model.model);
        Self {
            coordinator: wire.coordinator,
            leader: (wire.leader != 0).then_some(wire.leader),
            term: wire.term,
            applied: wire.applied_index,
            quorum_age: wire.quorum_age_ms.map(Duration::from_millis),
            coordinators: wire.coordinators.iter().filter_map(|c| Some(c.member.as_ref()?.id)).collect(),
            nodes: wire.nodes.into_iter().map(|node| (node.advertise.clone(), node.into())).collect(),
            models: models.map(|model| ((model.id, model.version), model.replicas)).collect(),
            violations: wire.violations,
        }
    }
}

impl From<NodeStatus> for NodeSeen {
    fn from(wire: NodeStatus) -> Self {
        let ready = wire.replicas.into_iter().filter(|replica| replica.phase() == ReplicaPhase::Ready);
        Self {
            id: wire.node,
            lost: wire.health == "lost",
            report_age: wire.report_age_ms.map(Duration::from_millis),
            ready: ready.map(|replica| (replica.model, replica.version)).collect(),
        }
    }
}
