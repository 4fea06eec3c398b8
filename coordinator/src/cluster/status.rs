//! The status: what this coordinator knows, each part with its age. A pure view of state and reports.

use std::time::Duration;

use helixflow_model::{ClusterId, CoordinatorId, Fence, NodeId, ReplicaId};
use helixflow_policy::check::check;
use helixflow_policy::failover::LeaseTerms;
use helixflow_policy::placement::{FailureLog, Observed, plan};
use helixflow_policy::state::{
    ClusterState, Coordinator, Heat, HeatRecord, ModelKey, Node, NodeHealth, Part, Replica,
};
use helixflow_proto::v1::{
    Band, CoordinatorMember, CoordinatorStatus, Duty, ModelStatus, NodeHeat, NodeReport, NodeStatus,
    PlacedPart, PlacedReplica, StatusResponse,
};
use tokio::time::Instant;

use super::freshness::{freshness, millis};
use crate::raft::{Reading, Role, Standing};
use crate::telemetry::Reports;

/// What a status is made of.
pub(super) struct View<'a> {
    pub(super) cluster: &'a ClusterId,
    pub(super) standing: &'a Standing,
    pub(super) reading: &'a Reading,
    pub(super) reports: &'a Reports,
    pub(super) warnings: Vec<String>,
    pub(super) now: Instant,
}

/// The whole status.
pub(super) fn describe(view: &View<'_>) -> StatusResponse {
    let View { standing, reading, .. } = view;
    let state = reading.state.as_ref();
    StatusResponse {
        cluster: view.cluster.to_string(),
        coordinator: standing.us.0,
        leader: standing.leader.map_or(0, |leader| leader.0),
        term: standing.term,
        applied_index: standing.applied,
        quorum_age_ms: standing.quorum_age.map(millis),
        coordinators: state.coordinators().iter().map(|(id, c)| coordinator(standing, *id, c)).collect(),
        nodes: state.nodes().iter().map(|(id, n)| node(view, *id, n)).collect(),
        models: models(state),
        violations: check(state).iter().map(ToString::to_string).collect(),
        shortfalls: shortfalls(view),
        freshness: Some(freshness(reading)),
        warnings: view.warnings.clone(),
    }
}

fn coordinator(standing: &Standing, id: CoordinatorId, known: &Coordinator) -> CoordinatorStatus {
    let role = if id == standing.us {
        standing.role.to_string()
    } else if standing.leader == Some(id) {
        Role::Leader.to_string()
    } else if standing.leader.is_none() {
        "unknown".to_owned()
    } else if standing.voters.contains(&id) {
        Role::Follower.to_string()
    } else {
        Role::Learner.to_string()
    };
    CoordinatorStatus { member: Some(member(id, known)), role }
}

/// A coordinator as clients are told of it.
pub(super) fn member(id: CoordinatorId, known: &Coordinator) -> CoordinatorMember {
    let Coordinator { region, grpc, raft, .. } = known.clone();
    CoordinatorMember { id: id.0, region: region.into(), grpc, raft }
}

fn node(view: &View<'_>, id: NodeId, known: &Node) -> NodeStatus {
    let report = view.reports.get(id).map(|heard| NodeReport::from(heard.report.as_ref().clone()));
    let NodeReport { boards, replicas, age_ms, .. } = report.unwrap_or_default();
    let health = match known.health {
        NodeHealth::Live => "live",
        NodeHealth::Lost => "lost",
    };
    NodeStatus {
        node: id.0,
        region: known.region.to_string(),
        advertise: known.advertise.clone(),
        health: health.to_owned(),
        report_age_ms: view.reports.age(id, view.now).map(millis),
        boards,
        replicas,
        heat: Some(heat(known.heat)),
        report_own_age_ms: age_ms,
    }
}

fn heat(HeatRecord { heat: Heat { duty, band }, since }: HeatRecord) -> NodeHeat {
    NodeHeat { band: Band::from(band).into(), duty: Duty::from(duty).into(), since_epoch: since.0 }
}

fn models(state: &ClusterState) -> Vec<ModelStatus> {
    let replicas = |key: &ModelKey| {
        let of = |(_, replica): &(&ReplicaId, &Replica)| replica.model == *key;
        state.replicas().iter().filter(of).map(|(id, replica)| placed(*id, replica)).collect()
    };
    let model = |(key, spec): (&ModelKey, &helixflow_model::ModelSpec)| ModelStatus {
        model: Some(spec.clone().into()),
        replicas: replicas(key),
    };
    state.models().iter().map(model).collect()
}

fn placed(id: ReplicaId, replica: &Replica) -> PlacedReplica {
    let part = |part: &Part| PlacedPart {
        node: part.node.0,
        first_layer: part.layers.first,
        end_layer: part.layers.end,
    };
    PlacedReplica {
        fence: Some(Fence { replica: id, generation: replica.generation }.into()),
        parts: replica.parts.iter().map(part).collect(),
        reason: replica.reason.to_string(),
    }
}

/// What placement could not do now, by what this coordinator has heard. The leader's own plan decides.
fn shortfalls(view: &View<'_>) -> Vec<String> {
    let lease = LeaseTerms::default().lease;
    let mut failures = FailureLog::default();
    for (_, heard) in view.reports.iter() {
        failures.note(&heard.report, Duration::ZERO);
    }
    let fresh = |(_, age): &(NodeId, Duration)| *age < lease;
    let ages = view.reports.iter().map(|(id, heard)| (id, view.now.saturating_duration_since(heard.at)));
    let live = ages.filter(fresh).map(|(id, _)| id).collect();
    let observed = Observed { live, failures: failures.recent(Duration::ZERO), ..Observed::default() };
    plan(&view.reading.state, &observed).shortfalls.iter().map(ToString::to_string).collect()
}
