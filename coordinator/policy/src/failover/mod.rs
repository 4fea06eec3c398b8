//! Who is lost and who is back, who should lead, and what the group would not survive.
//!
//! Nodes are judged by the age of their reports: [`ReportTimes`] is the judge's soft state, when each node was last
//! heard of, and [`judge`] turns the ages into commands. Who judges whom is told by [`Wards`], who speaks for a region by
//! [`is_reporter`], and what it says by [`condensed`]. [`successor`] says to whom a leader should hand its place,
//! [`fragility`] which region's loss would end the quorum, [`advise`] whether the election times fit the network. All of
//! them work on durations that the caller measures with its own clock; ages of different machines' clocks are never
//! compared. What becomes of a lost node's replicas is decided by [`placement`](crate::placement).

mod digest;
mod judge;
mod leadership;
mod leases;
mod regions;
mod report_times;
mod reporting;
mod timings;
mod verdicts;

pub use digest::condensed;
pub use judge::judge;
pub use leadership::{HAND_OVER_PAUSE, LARGEST_LAG, LONGEST_SILENCE, Standings, VoterView, successor};
pub use leases::{Lease, LeaseTerms, Leases, Verdict};
pub use regions::{Fragility, fragility};
pub use report_times::ReportTimes;
pub use reporting::{DIGEST_EVERY, REPORTER_LEASE, Signs, Wards, is_reporter, listeners, spans_regions};
pub use timings::{Advice, advise};
