//! Feature levels: what each command needs of whoever applies it.
//!
//! A command that one member cannot decode would stop it, so the leader proposes it only when every registered
//! coordinator is at its level.

use helixflow_model::{CoordinatorId, FeatureLevel};

use super::limits::{MAX_NODES_BEFORE_LEVEL_3, MAX_REPLICAS_BEFORE_LEVEL_3};
use super::{ClusterState, Command, MAX_NODES, MAX_REPLICAS, Move, MoveReason};

/// What this build can do.
pub const FEATURE_LEVEL: FeatureLevel = FeatureLevel(3);

/// What every build can do.
const FIRST: FeatureLevel = FeatureLevel(1);
/// Sessions, tenants, keys, regions' health, coordinators that come and go.
const SECOND: FeatureLevel = FeatureLevel(2);
/// What models ask of boards, bands and duties, digests between regions, more nodes and replicas.
const THIRD: FeatureLevel = FeatureLevel(3);

impl Command {
    /// The level that every coordinator needs before it may be proposed.
    pub fn level(&self) -> FeatureLevel {
        match self {
            Self::Bootstrap { .. }
            | Self::RegisterCoordinator { .. }
            | Self::JoinNode { .. }
            | Self::SetNodeHealth { .. }
            | Self::AddModel { .. }
            | Self::ScaleModel { .. }
            | Self::RemoveModel { .. } => FIRST,
            Self::ApplyPlan { moves, .. } => moves.iter().map(Move::level).max().unwrap_or(FIRST),
            Self::PutTenant { .. }
            | Self::RemoveTenant { .. }
            | Self::PutKey { .. }
            | Self::RemoveKey { .. }
            | Self::SetRegionHealth { .. }
            | Self::AdmitCoordinator { .. }
            | Self::RemoveCoordinator { .. }
            | Self::SetLeaderRegions { .. }
            | Self::OpenSession => SECOND,
            Self::AddModelRequiring { .. } | Self::DescribeBoards { .. } | Self::RecordHeat { .. } => THIRD,
        }
    }
}

impl Move {
    fn level(&self) -> FeatureLevel {
        match self.reason() {
            MoveReason::BelowTarget { .. }
            | MoveReason::AboveTarget { .. }
            | MoveReason::NodeLost { .. }
            | MoveReason::ReplicaFailed { .. } => FIRST,
            MoveReason::BoardsDrain { .. } => THIRD,
        }
    }
}

impl ClusterState {
    /// Whether every coordinator takes digests in, so that nodes need report to those of their own region only.
    pub fn has_digests(&self) -> bool {
        self.feature_level() >= THIRD
    }

    /// Whether every coordinator can read what is recorded of boards' heat, and moves that are made for it.
    pub fn records_heat(&self) -> bool {
        self.feature_level() >= THIRD
    }

    /// Most nodes that every member's build takes.
    pub fn most_nodes(&self) -> usize {
        if self.feature_level() >= THIRD { MAX_NODES } else { MAX_NODES_BEFORE_LEVEL_3 }
    }

    /// Most replicas that every member's build takes.
    pub fn most_replicas(&self) -> usize {
        if self.feature_level() >= THIRD { MAX_REPLICAS } else { MAX_REPLICAS_BEFORE_LEVEL_3 }
    }

    /// What a coordinator can do. One that is not registered has not said so, and counts for the least.
    pub fn level_of(&self, id: CoordinatorId) -> FeatureLevel {
        self.coordinators.get(&id).map_or(FIRST, |coordinator| coordinator.level)
    }

    /// What every registered coordinator can do.
    pub fn feature_level(&self) -> FeatureLevel {
        self.coordinators.values().map(|coordinator| coordinator.level).min().unwrap_or(FIRST)
    }
}
