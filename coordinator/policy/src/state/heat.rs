//! What the log knows of boards: their kinds, which a node tells when it joins, and how warm the worst of them is.
//!
//! Readings never come here. A region's reporter proposes what has changed of bands and duties, many nodes in one entry;
//! the bound on nodes bounds it. Of a node with several boards the worst counts: placement does not choose boards yet.

use std::collections::{BTreeMap, BTreeSet};

use helixflow_model::{Band, BoardTraits, Duty, Epoch, ModelSpec, NodeId};
use serde::{Deserialize, Serialize};

use super::{
    ClusterState, MAX_BOARD_KINDS, MAX_FEATURES, MAX_HEAT_CHANGES, Node, Outcome, Refusal,
    outcome::{Bounded, Field},
};

/// How warm the worst of a node's boards is, and what the one that may be asked for least may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Heat {
    /// What may be asked.
    pub duty: Duty,
    /// How hot.
    pub band: Band,
}

/// The same, with the log index that said so; 0 where none did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeatRecord {
    /// What it is.
    pub heat: Heat,
    /// Since when.
    pub since: Epoch,
}

impl Heat {
    /// The worse of two, each by itself.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        Self { duty: self.duty.max(other.duty), band: self.band.max(other.band) }
    }

    /// Whether placement may put another shard there.
    pub fn takes_shards(self) -> bool {
        self.duty.takes_shards() && self.band < Band::Hot
    }
}

impl Node {
    /// Whether one of its boards is what a model asks for.
    pub fn suits(&self, spec: &ModelSpec) -> bool {
        spec.requires.fit_any(&self.boards)
    }
}

impl ClusterState {
    /// Records bands and duties. Nodes that are no members are passed over, so that one of them holds up no other.
    ///
    /// It makes no plan stale: a plan that did not know of it yet is made good by the next.
    pub(super) fn record_heat(&mut self, changes: &BTreeMap<NodeId, Heat>) -> Result<Outcome, Refusal> {
        if changes.len() > MAX_HEAT_CHANGES {
            return Err(Refusal::TooMany { what: Bounded::HeatChanges, limit: MAX_HEAT_CHANGES as u64 });
        }
        let since = self.epoch;
        let mut outcome = Outcome::Unchanged;
        for (id, heat) in changes {
            if let Some(node) = self.nodes.get_mut(id)
                && node.heat.heat != *heat
            {
                node.heat = HeatRecord { heat: *heat, since };
                outcome = Outcome::Applied;
            }
        }
        Ok(outcome)
    }

    /// Records of which kinds a node's boards are. Replicas that none of them can run end there, as they do when memory
    /// is taken away.
    pub(super) fn describe_boards(
        &mut self,
        id: NodeId,
        boards: BTreeSet<BoardTraits>,
    ) -> Result<Outcome, Refusal> {
        let bounded = |board: &BoardTraits| board.features.len() <= MAX_FEATURES;
        if boards.len() > MAX_BOARD_KINDS || !boards.iter().all(bounded) {
            return Err(Refusal::InvalidField { field: Field::Boards });
        }
        let node = self.nodes.get_mut(&id).ok_or(Refusal::UnknownNode { node: id })?;
        if node.boards == boards {
            return Ok(Outcome::Unchanged);
        }
        node.boards = boards;
        self.end_what_no_longer_suits(id);
        self.note_change();
        Ok(Outcome::Applied)
    }

    fn end_what_no_longer_suits(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        let models = &self.models;
        self.replicas.retain(|_, replica| {
            !replica.runs_on(id) || models.get(&replica.model).is_none_or(|spec| node.suits(spec))
        });
    }
}
