//! Applies what concerns members: the bootstrap, nodes and their health. Coordinators: [`super::coordinators`].

use std::collections::BTreeSet;

use helixflow_model::{Bytes, ClusterId, Epoch, Incarnation, NodeId, Region, ReplicaId};

use super::{
    Capacity, ClusterState, HeatRecord, Identity, MAX_ADDRESS_BYTES, Node, NodeHealth, NodeUuid, Outcome,
    Refusal,
    outcome::{Bounded, Field},
};

impl ClusterState {
    pub(super) fn bootstrap(
        &mut self,
        cluster: ClusterId,
        incarnation: Incarnation,
    ) -> Result<Outcome, Refusal> {
        let wanted = Identity { cluster, incarnation };
        match &self.identity {
            Some(identity) if *identity == wanted => Ok(Outcome::Unchanged),
            Some(identity) => Err(Refusal::AlreadyBootstrapped { cluster: identity.cluster.clone() }),
            None => {
                self.identity = Some(wanted);
                self.note_change();
                Ok(Outcome::Applied)
            }
        }
    }

    pub(super) fn join_node(
        &mut self,
        uuid: NodeUuid,
        region: Region,
        advertise: String,
        capacity: Capacity,
    ) -> Result<Outcome, Refusal> {
        check_address(&advertise)?;
        let Some(id) = self.node_by_uuid(uuid).map(|(id, _)| id) else {
            return self.admit_node(uuid, region, advertise, capacity);
        };
        if let Some(node) = self.nodes.get_mut(&id) {
            let before = node.clone();
            node.region = region;
            node.advertise = advertise;
            node.capacity = capacity;
            if *node != before {
                self.note_change();
                self.end_what_no_longer_fits(id, capacity);
            }
        }
        Ok(Outcome::Joined { node: id })
    }

    fn admit_node(
        &mut self,
        uuid: NodeUuid,
        region: Region,
        advertise: String,
        capacity: Capacity,
    ) -> Result<Outcome, Refusal> {
        check_room(self.nodes.len(), self.most_nodes(), Bounded::Nodes)?;
        let number = next(self.last_node, Bounded::Nodes)?;
        let epoch = self.note_change();
        self.last_node = number;
        let node = Node {
            uuid,
            region,
            advertise,
            capacity,
            joined: epoch,
            health: NodeHealth::Live,
            health_since: epoch,
            boards: BTreeSet::new(),
            heat: HeatRecord::default(),
        };
        self.nodes.insert(NodeId(number), node);
        Ok(Outcome::Joined { node: NodeId(number) })
    }

    /// A node that comes back with less memory gives up its newest replicas until the rest fit.
    fn end_what_no_longer_fits(&mut self, node: NodeId, capacity: Capacity) {
        let mut committed = self.committed().get(&node).copied().unwrap_or_default();
        let held: Vec<ReplicaId> = self
            .replicas
            .iter()
            .rev()
            .filter(|(_, replica)| replica.runs_on(node))
            .map(|(id, _)| *id)
            .collect();
        for id in held {
            if committed <= capacity.memory {
                return;
            }
            if let Some(replica) = self.replicas.remove(&id) {
                let spec = self.models.get(&replica.model);
                let freed: u64 =
                    replica.memory(spec).filter(|(at, _)| *at == node).map(|(_, memory)| memory.0).sum();
                committed = Bytes(committed.0.saturating_sub(freed));
            }
        }
    }

    pub(super) fn set_node_health(
        &mut self,
        id: NodeId,
        health: NodeHealth,
        expected: Epoch,
    ) -> Result<Outcome, Refusal> {
        let epoch = self.epoch;
        let node = self.nodes.get_mut(&id).ok_or(Refusal::UnknownNode { node: id })?;
        if node.health_since != expected {
            return Err(Refusal::HealthChanged { node: id, since: node.health_since });
        }
        if node.health == health {
            return Ok(Outcome::Unchanged);
        }
        node.health = health;
        node.health_since = epoch;
        self.note_change();
        Ok(Outcome::Applied)
    }
}

/// The number after the last one allotted.
pub(super) fn next(last: u64, what: Bounded) -> Result<u64, Refusal> {
    last.checked_add(1).ok_or(Refusal::TooMany { what, limit: u64::MAX })
}

/// Whether one more fits.
pub(super) fn check_room(held: usize, limit: usize, what: Bounded) -> Result<(), Refusal> {
    if held < limit { Ok(()) } else { Err(Refusal::TooMany { what, limit: limit as u64 }) }
}

/// `host:port`, within its bound. Whether it answers is for its user to find out.
pub(super) fn check_address(address: &str) -> Result<(), Refusal> {
    let well_formed = address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) && host.is_ascii()
    });
    if well_formed && address.len() <= MAX_ADDRESS_BYTES {
        Ok(())
    } else {
        Err(Refusal::InvalidField { field: Field::Address })
    }
}
