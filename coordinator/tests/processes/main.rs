//! Coordinators as real processes: killed without warning, restarted, and on a machine whose cores are all busy.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first thing that fails, and says what it measured"
)]

mod clients;
mod history;
mod kill;
mod restart;
mod seats;
mod steady;
mod tally;
