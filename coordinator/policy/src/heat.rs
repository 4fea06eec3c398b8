//! What of the boards' heat is worth a line in the log: [`changes`] compares what nodes report with what the state says.
//!
//! Whoever judges a region's nodes proposes what it gives, at most once a second, so that bands which come and go between
//! two proposals cost nothing. The worst goes first where not all of it fits into one. Requests do not wait for any of
//! it: routing goes by the reports themselves.

use std::{collections::BTreeMap, time::Duration};

use helixflow_model::{BoardReport, NodeId, NodeReport};

use crate::state::{ClusterState, Command, Heat, MAX_HEAT_CHANGES};

/// The pause between two records of one region. Placement moves gigabytes for minutes: a second is soon.
pub const HEAT_PAUSE: Duration = Duration::from_secs(1);

/// How warm a node is by its report; `None` where it has told of no board.
pub fn heat_of(report: &NodeReport) -> Option<Heat> {
    let of = |board: &BoardReport| Heat { duty: board.standing.duty, band: board.standing.band };
    report.boards.iter().map(of).reduce(Heat::worst)
}

/// The command that records what these nodes report and the state does not say yet; `None` when it says all of it, or
/// when a member of the group could not read it.
pub fn changes<'a>(
    state: &ClusterState,
    reports: impl IntoIterator<Item = &'a NodeReport>,
) -> Option<Command> {
    if !state.records_heat() {
        return None;
    }
    let differs = |report: &NodeReport| {
        let heat = heat_of(report)?;
        let known = state.nodes().get(&report.node)?;
        (known.heat.heat != heat).then_some((heat, report.node))
    };
    let mut changed: Vec<(Heat, NodeId)> = reports.into_iter().filter_map(differs).collect();
    changed.sort_unstable_by(|one, other| other.cmp(one));
    let changes: BTreeMap<NodeId, Heat> =
        changed.into_iter().take(MAX_HEAT_CHANGES).map(|(heat, node)| (node, heat)).collect();
    (!changes.is_empty()).then_some(Command::RecordHeat { changes })
}
