//! Words for the tests of routing: a model with a replica on each node, what the nodes say, and who is picked.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use helixflow_model::{
    Fence, Generation, LoadReport, NodeId, NodeReport, NumericsClass, ReplicaId, ReplicaPhase, ReplicaReport,
};
use helixflow_policy::{
    routing::{Heard, NoReplica, Own, PickContext, RoutingTable, Thermal, pick},
    state::{ClusterState, Command},
};

use crate::support::{apply, apply_move, cluster, model, place, region, spec, whole};

/// A replica of model `m` on each of so many nodes, in the regions named: replica n on node n.
pub(crate) fn served(regions: &[&str]) -> ClusterState {
    let nodes: Vec<_> = regions.iter().map(|region| (*region, 10)).collect();
    let mut state = cluster(&nodes);
    apply(&mut state, Command::AddModel { spec: spec("m", 5, 3) });
    for (node, _) in (1..).zip(regions) {
        apply_move(&mut state, place("m", whole(node)));
    }
    state
}

/// Node n says that it holds replica n at this phase, and nothing waits.
pub(crate) fn says(state: &ClusterState, node: u64, phase: ReplicaPhase) -> Heard {
    let replica = ReplicaReport {
        fence: Fence { replica: ReplicaId(node), generation: Generation(1) },
        epoch: state.epoch(),
        model: model("m"),
        version: "1".to_owned(),
        phase,
        detail: String::new(),
        numerics: NumericsClass("cpu-1".to_owned()),
        load: LoadReport { millitokens_per_second: 100_000, ..LoadReport::default() },
        boards: Vec::new(),
    };
    let known = &state.nodes()[&NodeId(node)];
    let report = NodeReport {
        node: NodeId(node),
        region: known.region.clone(),
        advertise: known.advertise.clone(),
        sequence: 1,
        age: Duration::ZERO,
        boards: Vec::new(),
        replicas: vec![replica],
    };
    Heard { report: Arc::new(report), age: Duration::from_millis(250) }
}

/// Every node says that its replica is ready.
pub(crate) fn all_ready(state: &ClusterState) -> BTreeMap<NodeId, Heard> {
    state.nodes().keys().map(|node| (*node, says(state, node.0, ReplicaPhase::Ready))).collect()
}

pub(crate) fn load_of(heard: &mut BTreeMap<NodeId, Heard>, node: u64) -> &mut LoadReport {
    &mut replica_of(heard, node).load
}

pub(crate) fn replica_of(heard: &mut BTreeMap<NodeId, Heard>, node: u64) -> &mut ReplicaReport {
    &mut Arc::make_mut(&mut heard.get_mut(&NodeId(node)).unwrap().report).replicas[0]
}

pub(crate) fn picked(table: &RoutingTable, from: &str, random: u64) -> Result<u64, NoReplica> {
    let region = region(from);
    let context = PickContext { region: &region, exclude: &[], numerics: None, random };
    pick(table, &model("m"), None, &context, |_| Own::default()).map(|pick| pick.candidate.fence.replica.0)
}

/// Evenly spread 64-bit numbers, the same in each run (SplitMix64, Steele and others 2014).
pub(crate) fn numbers() -> impl Iterator<Item = u64> {
    (1_u64..).map(|n| {
        let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// How often each replica is picked in 3,000 picks.
pub(crate) fn shares(table: &RoutingTable, from: &str) -> BTreeMap<u64, u32> {
    let mut shares = BTreeMap::new();
    for random in numbers().take(3000) {
        *shares.entry(picked(table, from, random).unwrap()).or_default() += 1;
    }
    shares
}

/// The table of production.
pub(crate) fn table(state: &ClusterState, heard: &BTreeMap<NodeId, Heard>) -> RoutingTable {
    RoutingTable::build(state, heard, Thermal::default())
}
