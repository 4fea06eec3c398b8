//! The room that is left while a plan grows: free memory, who has a replica of what, how regions are filled.

use std::collections::{BTreeMap, BTreeSet};

use helixflow_model::{Bytes, ModelSpec, NodeId, Region, ReplicaId};

use super::{Missing, Observed};
use crate::state::{ClusterState, ModelKey, Node, NodeHealth, Replica};

/// A million: load is compared in millionths of a node's memory.
const MILLION: u128 = 1_000_000;

/// The state's nodes as they would be after the moves planned so far.
pub(super) struct Room<'a> {
    state: &'a ClusterState,
    /// Nodes that may get replicas: live by the log and by lease.
    usable: Vec<(NodeId, &'a Node)>,
    committed: BTreeMap<NodeId, u64>,
    /// The nodes that run any part of a model, once for each replica.
    holders: BTreeMap<&'a ModelKey, BTreeSet<(NodeId, u64)>>,
    /// The nodes where a model failed lately.
    failed: BTreeSet<(&'a ModelKey, NodeId)>,
    /// Numbers the replicas that have no id yet.
    next_holder: u64,
}

impl<'a> Room<'a> {
    pub(super) fn of(state: &'a ClusterState, observed: &'a Observed) -> Self {
        let usable = |id: &NodeId, node: &Node| node.health == NodeHealth::Live && observed.live.contains(id);
        let mut room = Self {
            state,
            usable: state.nodes().iter().filter(|(id, n)| usable(id, n)).map(|(id, n)| (*id, n)).collect(),
            committed: state.committed().into_iter().map(|(node, memory)| (node, memory.0)).collect(),
            holders: BTreeMap::new(),
            failed: observed.failures.iter().map(|failure| (&failure.model, failure.node)).collect(),
            next_holder: u64::MAX,
        };
        for (id, replica) in state.replicas() {
            let nodes = replica.parts.iter().map(|part| (part.node, id.0));
            room.holders.entry(&replica.model).or_default().extend(nodes);
        }
        room
    }

    /// Gives back what a replica takes.
    pub(super) fn release(&mut self, id: ReplicaId, replica: &'a Replica) {
        let holders = self.holders.entry(&replica.model).or_default();
        for (node, memory) in replica.memory(self.state.models().get(&replica.model)) {
            let committed = self.committed.entry(node).or_default();
            *committed = committed.saturating_sub(memory.0);
            holders.remove(&(node, id.0));
        }
    }

    /// Undoes [`Self::release`]: the replica stays where it is.
    pub(super) fn restore(&mut self, id: ReplicaId, replica: &'a Replica) {
        let holders = self.holders.entry(&replica.model).or_default();
        for (node, memory) in replica.memory(self.state.models().get(&replica.model)) {
            let committed = self.committed.entry(node).or_default();
            *committed = committed.saturating_add(memory.0);
            holders.insert((node, id.0));
        }
    }

    /// Takes the memory of one more whole replica on a node.
    pub(super) fn take(&mut self, key: &'a ModelKey, spec: &ModelSpec, node: NodeId) {
        let committed = self.committed.entry(node).or_default();
        *committed = committed.saturating_add(spec.memory.0);
        self.holders.entry(key).or_default().insert((node, self.next_holder));
        self.next_holder = self.next_holder.saturating_sub(1);
    }

    /// The best node for one more whole replica: in the region with the fewest replicas of the model, then the
    /// least loaded, then the lowest id. The error says what the nearest miss was.
    pub(super) fn best(&self, key: &ModelKey, spec: &ModelSpec) -> Result<NodeId, Missing> {
        if self.usable.is_empty() {
            return Err(Missing::NoLiveNode);
        }
        let mut without = self.usable.iter().filter(|(id, _)| !self.holds(key, *id)).peekable();
        if without.peek().is_none() {
            return Err(Missing::NoFurtherNode);
        }
        let mut untried = without.filter(|(id, _)| !self.failed.contains(&(key, *id))).peekable();
        if untried.peek().is_none() {
            return Err(Missing::FailedEverywhere);
        }
        let mut suiting = untried.filter(|(_, node)| node.suits(spec)).peekable();
        if suiting.peek().is_none() {
            return Err(Missing::NoSuchBoard { asks: spec.requires.clone() });
        }
        let mut cool = suiting.filter(|(_, node)| node.heat.heat.takes_shards()).peekable();
        if cool.peek().is_none() {
            return Err(Missing::TooHot);
        }
        let regions = self.filled_regions(key);
        let mut most_free = Bytes(0);
        let fitting = cool.filter(|(id, node)| {
            let free = self.free(*id, node);
            most_free = most_free.max(free);
            spec.memory <= free
        });
        let rank = |(id, node): &&(NodeId, &Node)| {
            let in_region = regions.get(&node.region).copied().unwrap_or(0);
            (in_region, self.load_with(*id, node, spec.memory), *id)
        };
        let best = fitting.min_by_key(rank).map(|(id, _)| *id);
        best.ok_or(Missing::NotEnoughMemory { needed: spec.memory, free: most_free })
    }

    /// How well a replica can be spared: best from the fullest region, then from the most loaded node.
    pub(super) fn crowding(&self, regions: &BTreeMap<&Region, usize>, replica: &Replica) -> (usize, u128) {
        let head = replica.head().and_then(|id| self.state.nodes().get(&id).map(|node| (id, node)));
        head.map_or((0, 0), |(id, node)| {
            (regions.get(&node.region).copied().unwrap_or(0), self.load_with(id, node, Bytes(0)))
        })
    }

    /// How many parts of the model's replicas each region runs.
    pub(super) fn filled_regions(&self, key: &ModelKey) -> BTreeMap<&'a Region, usize> {
        let mut regions = BTreeMap::new();
        for (node, _) in self.holders.get(key).into_iter().flatten() {
            if let Some(node) = self.state.nodes().get(node) {
                *regions.entry(&node.region).or_default() += 1;
            }
        }
        regions
    }

    fn holds(&self, key: &ModelKey, node: NodeId) -> bool {
        self.holders
            .get(key)
            .is_some_and(|holders| holders.range((node, 0)..=(node, u64::MAX)).next().is_some())
    }

    fn free(&self, id: NodeId, node: &Node) -> Bytes {
        Bytes(node.capacity.memory.0.saturating_sub(self.committed.get(&id).copied().unwrap_or(0)))
    }

    /// The share of a node's memory that would be committed, in millionths.
    fn load_with(&self, id: NodeId, node: &Node, more: Bytes) -> u128 {
        let committed = u128::from(self.committed.get(&id).copied().unwrap_or(0)) + u128::from(more.0);
        committed * MILLION / u128::from(node.capacity.memory.0.max(1))
    }
}
