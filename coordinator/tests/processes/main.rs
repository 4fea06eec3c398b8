//! Coordinators as real processes: killed without warning, idle, and on a machine whose cores are all busy.
#![expect(clippy::expect_used, clippy::panic, reason = "a test stops at the first thing that fails")]

mod kill;
mod seats;
mod steady;
