//! What a replica's boards mean for its requests. Of several boards the worst counts, for all of them work on each token.
//!
//! A replica without boards counts as cool and at full speed. A board whose sensors cannot be trusted is told as hot by
//! its node, and is nothing special here.

use std::time::Duration;

use helixflow_model::{Band, BoardReport, Duty, NodeReport, ReplicaReport};

use super::{
    candidate::Rank,
    expect::{WHOLE, drifted},
};

/// Degrees left, in thousandths, from which on heat has a price. More than the errors of a forecast and of a sensor
/// together (about 5 °C); less than what a sound board keeps at full load in a cool aisle (15 °C and more), so that there
/// heat moves nobody.
const SPAN: i64 = 12_000;
/// The price where no degree is left, in thousandths of the requests there. A tenth: with all boards at 85 % of what they
/// can do, more would fill the cool ones to the brim, and there requests would wait for a place.
const AT_THE_LIMIT: u64 = 100;
/// The highest price: further beyond the limit the ladder acts, not the routing.
const HIGHEST: u64 = 3 * AT_THE_LIMIT;
/// The slowest a board is taken for, in thousandths: no speed would be no time at all.
const SLOWEST: u64 = 50;

/// Whether heat counts in the expected time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thermal {
    /// As in production.
    #[default]
    Counted,
    /// Boards are taken for cool and at full speed, to show what heat's part is: ranks stay, since the ladder and not the
    /// estimate decides on them.
    Zero,
}

/// The boards that a replica runs on, as its node describes them.
pub(super) fn boards<'a>(
    report: &'a NodeReport,
    replica: &'a ReplicaReport,
) -> impl Iterator<Item = &'a BoardReport> {
    replica.boards.iter().filter_map(|id| report.boards.iter().find(|board| board.info.board == *id))
}

/// Who is asked first; none for a replica that gets nothing.
pub(super) fn rank<'a>(boards: impl Iterator<Item = &'a BoardReport>) -> Option<Rank> {
    let of = |board: &BoardReport| match (board.standing.duty, board.standing.band) {
        (Duty::Quarantine, _) => None,
        (_, Band::Critical) => Some(Rank::LastResort),
        (Duty::Drain, _) => Some(Rank::Spare),
        (Duty::Full | Duty::Probation | Duty::NoNewShards, _) => Some(Rank::Open),
    };
    boards.map(of).try_fold(Rank::Open, |worst, rank| Some(worst.max(rank?)))
}

/// The speed that the slowest board expects to hold, in thousandths of the one at its highest clock.
pub(super) fn speed<'a>(boards: impl Iterator<Item = &'a BoardReport>, thermal: Thermal) -> u64 {
    let of = |board: &BoardReport| u64::from(board.standing.speed.0).clamp(SLOWEST, WHOLE);
    match thermal {
        Thermal::Counted => boards.map(of).min().unwrap_or(WHOLE),
        Thermal::Zero => WHOLE,
    }
}

/// The price of the heat to come, as the hottest board tells it: thousandths on top of the requests there.
pub(super) fn price<'a>(boards: impl Iterator<Item = &'a BoardReport>, thermal: Thermal) -> u64 {
    match thermal {
        Thermal::Counted => boards.map(price_of).max().unwrap_or(0),
        Thermal::Zero => 0,
    }
}

/// The same where each board's word counts by its node's trust in it and by its age, `since` counted in; the rest of it
/// is the mean of all replicas.
pub(super) fn price_by_now<'a>(
    boards: impl Iterator<Item = &'a BoardReport>,
    thermal: Thermal,
    mean: u64,
    since: Duration,
) -> u64 {
    let of = |board: &BoardReport| {
        let weight = u64::from(board.standing.weight.0).min(WHOLE);
        drifted(price_of(board), mean, weight, since.saturating_add(board.age))
    };
    match thermal {
        Thermal::Counted => boards.map(of).max().unwrap_or_else(|| drifted(0, mean, WHOLE, since)),
        Thermal::Zero => 0,
    }
}

/// Grows with the square of the way into the span: nothing at its edge, so that no board ever gets a jump.
fn price_of(board: &BoardReport) -> u64 {
    let headroom = board.standing.headroom.map_or(SPAN, |left| i64::from(left.0));
    let left = headroom.min(most_left(board.standing.band)).clamp(-SPAN, SPAN);
    let used = (SPAN - left).unsigned_abs();
    let span = SPAN.unsigned_abs();
    (used * used * AT_THE_LIMIT / (span * span)).min(HIGHEST)
}

/// The most degrees that a board of this band is taken to have left: a band holds for a while after the heat that it was
/// named for, and stands alone where no limit is known.
const fn most_left(band: Band) -> i64 {
    match band {
        Band::Cool => SPAN,
        Band::Warm => SPAN * 3 / 4,
        Band::Hot => SPAN / 4,
        Band::Critical => -SPAN,
    }
}
