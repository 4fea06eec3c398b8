//! A library with NVML's calls, each of which can fail, lie or block: for tests of the code that loads it.
//!
//! What it plays is a JSON file, named by `HELIXFLOW_NVML_STUB` and read anew at each call, so that a test can change a
//! process that runs. `script.rs` says what may stand in it. Calls that set something are written to a log beside it.
#![expect(unsafe_code, reason = "a C library's interface: pointers that the caller owns")]

mod events;
mod identity;
mod script;
mod sensors;
mod settings;
