//! Board control through its public door: on simulated boards, and on readings of every kind.

#![expect(unreachable_pub, reason = "an integration test has no other crate to reach")]

mod clock;
mod doubts;
mod extremes;
mod heat;
mod monotony;
mod pace;
mod plant;
mod punctuality;
mod rig;
