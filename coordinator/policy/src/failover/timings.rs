//! Whether heartbeats and elections fit the network that is there.

use std::{fmt, time::Duration};

/// Round trips that fit into the shortest election timeout, at least. etcd's guide to tuning asks for ten. An election
/// takes three (pre-vote, vote, first append), one of which may be lost and repeated: under five, an election that goes
/// well is overtaken by the next one.
const ROUND_TRIPS_PER_ELECTION: u32 = 5;
/// What is advised instead: etcd's ten.
const ADVISED_ROUND_TRIPS: u32 = 10;
/// The longest election timeout, as a share of the shortest: as far apart as our defaults.
const SPREAD: f64 = 1.5;

/// Times that do not fit, and ones that would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The round trip that was measured.
    pub round_trip: Duration,
    /// The heartbeat to set.
    pub heartbeat: Duration,
    /// The shortest election timeout to set.
    pub election_min: Duration,
    /// The longest election timeout to set.
    pub election_max: Duration,
}

/// Judges the times that are set by the longest of the measured round trips; `None` when they fit.
///
/// A heartbeat is followed by the next only once it is answered, so one shorter than a round trip is never kept.
pub fn advise(heartbeat: Duration, election_min: Duration, round_trip: Duration) -> Option<Advice> {
    if heartbeat >= round_trip && election_min >= round_trip * ROUND_TRIPS_PER_ELECTION {
        return None;
    }
    let round_trip = Duration::from_millis(u64::try_from(round_trip.as_millis()).unwrap_or(u64::MAX).max(1));
    let election_min = election_min.max(round_trip * ADVISED_ROUND_TRIPS);
    Some(Advice {
        round_trip,
        heartbeat: heartbeat.max(round_trip * 2),
        election_min,
        election_max: election_min.mul_f64(SPREAD),
    })
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the heartbeat and election times are too short for a round trip of {} ms: elections will be lost to the \
             network. Set in [timings] of every coordinator heartbeat_ms = {}, election_min_ms = {}, election_max_ms = {}",
            self.round_trip.as_millis(),
            self.heartbeat.as_millis(),
            self.election_min.as_millis(),
            self.election_max.as_millis()
        )
    }
}
