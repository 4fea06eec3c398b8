//! The deterministic simulation: groups of three and five coordinators with crashes that lose what was not synced,
//! partitions, slow, full and failing disks, bit rot and wrong clocks, all drawn from a seed.
//!
//! The same seed gives the same run, byte for byte. Each check is shown to fail by bugs planted on purpose. [`runs`] has
//! the tests, [`world`] one run, [`host`] one coordinator in it.

mod checks;
mod client;
mod events;
mod faulting;
mod faults;
mod host;
mod network;
mod phases;
mod planted;
mod runs;
mod runtime;
mod world;
