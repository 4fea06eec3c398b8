//! What a region's reporter tells other regions of a node, in the words of the node's own report.
//!
//! Routing there needs the replicas, and what each board may be asked and can do; people read temperature, power, clock
//! and what holds it down. The rest stays in the region.

use std::time::Duration;

use helixflow_model::{BoardLimits, BoardReading, BoardReport, NodeReport};

/// A report as it is passed on, `held` after it came: its age grows by that. The ages of its boards stay, for they count
/// from when it was made.
pub fn condensed(report: &NodeReport, held: Duration) -> NodeReport {
    NodeReport {
        age: report.age.saturating_add(held),
        boards: report.boards.iter().map(condensed_board).collect(),
        ..report.clone()
    }
}

fn condensed_board(board: &BoardReport) -> BoardReport {
    let mut info = board.info.clone();
    info.limits = BoardLimits::default();
    let BoardReading { core, memory, power, core_clock, reasons, .. } = board.reading;
    let reading = BoardReading { core, memory, power, core_clock, reasons, ..BoardReading::default() };
    BoardReport { info, reading, age: board.age, standing: board.standing }
}
