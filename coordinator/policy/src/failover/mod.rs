//! Who is lost and who is back: nodes judged by the age of their reports.
//!
//! [`ReportTimes`] is the leader's soft state: when each node was last heard of. [`judge`] turns the ages into
//! commands. Both work on durations that the caller measures with its own clock; ages of different machines' clocks
//! are never compared. What becomes of a lost node's replicas is decided by [`placement`](crate::placement).

mod judge;
mod leases;
mod report_times;

pub use judge::judge;
pub use leases::{Lease, LeaseTerms, Leases};
pub use report_times::ReportTimes;
