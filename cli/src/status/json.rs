//! The cluster's state in the form of `status --json`. Fields are added, never renamed.

use helixflow_proto::v1::{self, Consistency, ReplicaPhase};
use serde::Serialize;

use super::board::Board;
use super::recorded::Recorded;

/// What one coordinator knows.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    pub(crate) cluster: String,
    /// Who answered.
    pub(crate) coordinator: u64,
    /// Null when none is known.
    pub(crate) leader: Option<u64>,
    pub(crate) term: u64,
    pub(crate) applied_index: u64,
    pub(crate) quorum_age_ms: Option<u64>,
    /// "confirmed" by a majority, or "stale": what the coordinator had applied, then `age_ms` old at most.
    pub(crate) consistency: &'static str,
    /// Null when the coordinator never knew a quorum since it started.
    pub(crate) age_ms: Option<u64>,
    pub(crate) coordinators: Vec<Coordinator>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) models: Vec<Model>,
    pub(crate) violations: Vec<String>,
    pub(crate) shortfalls: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Coordinator {
    pub(crate) id: u64,
    pub(crate) region: String,
    pub(crate) role: String,
    pub(crate) grpc: String,
    pub(crate) raft: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) region: String,
    pub(crate) health: String,
    pub(crate) grpc: String,
    /// Since its last report came; null when none has.
    pub(crate) report_age_ms: Option<u64>,
    /// Of what that report says: since it came, and what it was old by then.
    pub(crate) told_age_ms: Option<u64>,
    /// None of a coordinator that does not tell.
    pub(crate) recorded: Option<Recorded>,
    pub(crate) boards: Vec<Board>,
    pub(crate) replicas: Vec<Replica>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Replica {
    pub(crate) id: u64,
    pub(crate) generation: u64,
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) phase: &'static str,
    pub(crate) detail: String,
    pub(crate) numerics_class: String,
    pub(crate) queued: u32,
    pub(crate) active: u32,
    /// The most sequences that its batch holds; 0 where its node does not tell.
    pub(crate) sequences: u32,
    pub(crate) kv_pages_free: u32,
    pub(crate) kv_pages_total: u32,
    pub(crate) prefill_backlog_tokens: u32,
    /// While it works, smoothed; one that does nothing keeps its last figure.
    pub(crate) tokens_per_second: f64,
    /// Requests that wait and sequences in the batch, smoothed over some seconds.
    pub(crate) busy: f64,
    /// Ids of the boards that it runs on.
    pub(crate) boards: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Model {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) layers: u32,
    pub(crate) context: u32,
    pub(crate) replicas_wanted: u32,
    pub(crate) replicas: Vec<Placed>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Placed {
    pub(crate) id: u64,
    pub(crate) generation: u64,
    pub(crate) nodes: Vec<u64>,
    pub(crate) reason: String,
}

impl Replica {
    /// Tokens a second that it generates now: none while nothing is asked of it.
    pub(crate) const fn tokens_per_second_now(&self) -> f64 {
        if self.active > 0 || self.queued > 0 { self.tokens_per_second } else { 0.0 }
    }
}

impl From<v1::StatusResponse> for Status {
    fn from(wire: v1::StatusResponse) -> Self {
        let freshness = wire.freshness.unwrap_or_default();
        let consistency = match freshness.consistency() {
            Consistency::Confirmed => "confirmed",
            Consistency::Stale | Consistency::Unspecified => "stale",
        };
        Self {
            cluster: wire.cluster,
            coordinator: wire.coordinator,
            leader: (wire.leader != 0).then_some(wire.leader),
            term: wire.term,
            applied_index: wire.applied_index,
            quorum_age_ms: wire.quorum_age_ms,
            consistency,
            age_ms: freshness.age_ms,
            coordinators: wire.coordinators.into_iter().map(Into::into).collect(),
            nodes: wire.nodes.into_iter().map(Into::into).collect(),
            models: wire.models.into_iter().map(Into::into).collect(),
            violations: wire.violations,
            shortfalls: wire.shortfalls,
            warnings: wire.warnings,
        }
    }
}

impl From<v1::CoordinatorStatus> for Coordinator {
    fn from(wire: v1::CoordinatorStatus) -> Self {
        let v1::CoordinatorMember { id, region, grpc, raft } = wire.member.unwrap_or_default();
        Self { id, region, role: wire.role, grpc, raft }
    }
}

impl From<v1::NodeStatus> for Node {
    fn from(wire: v1::NodeStatus) -> Self {
        let told_age_ms = wire.report_age_ms.map(|age| age.saturating_add(wire.report_own_age_ms));
        Self {
            id: wire.node,
            region: wire.region,
            health: wire.health,
            grpc: wire.advertise,
            report_age_ms: wire.report_age_ms,
            told_age_ms,
            recorded: wire.heat.map(Into::into),
            boards: wire.boards.into_iter().map(|board| Board::told(board, told_age_ms)).collect(),
            replicas: wire.replicas.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<v1::ReplicaReport> for Replica {
    fn from(wire: v1::ReplicaReport) -> Self {
        let phase = match wire.phase() {
            ReplicaPhase::Fetching => "fetching",
            ReplicaPhase::Loading => "loading",
            ReplicaPhase::Ready => "ready",
            ReplicaPhase::Draining => "draining",
            ReplicaPhase::Failed => "failed",
            ReplicaPhase::Unspecified => "unknown",
        };
        let load = wire.load.unwrap_or_default();
        let fence = wire.fence.unwrap_or_default();
        Self {
            id: fence.replica,
            generation: fence.generation,
            model: wire.model,
            version: wire.version,
            phase,
            detail: wire.detail,
            numerics_class: wire.numerics_class,
            queued: load.queued,
            active: load.active,
            sequences: load.sequences,
            kv_pages_free: load.kv_pages_free,
            kv_pages_total: load.kv_pages_total,
            prefill_backlog_tokens: load.prefill_backlog,
            tokens_per_second: load.millitokens_per_second as f64 / 1000.0,
            busy: f64::from(load.busy_milli) / 1000.0,
            boards: wire.boards,
        }
    }
}

impl From<v1::ModelStatus> for Model {
    fn from(wire: v1::ModelStatus) -> Self {
        let spec = wire.model.unwrap_or_default();
        let placed = |replica: v1::PlacedReplica| {
            let fence = replica.fence.unwrap_or_default();
            let nodes = replica.parts.iter().map(|part| part.node).collect();
            Placed { id: fence.replica, generation: fence.generation, nodes, reason: replica.reason }
        };
        Self {
            id: spec.id,
            version: spec.version,
            layers: spec.layers,
            context: spec.context,
            replicas_wanted: spec.replicas,
            replicas: wire.replicas.into_iter().map(placed).collect(),
        }
    }
}
