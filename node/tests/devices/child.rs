//! The process that the other tests start.

use std::ffi::{OsStr, OsString};

use helixflow_node::device::{Program, Sources, read_devices};

/// Tells a test program that it is such a process.
const MARK: &str = "HELIXFLOW_TEST_READS_DEVICES";

/// This test program, told to read devices, in an environment of its own.
pub(crate) fn program(environment: &[(&str, &OsStr)]) -> Program {
    // Two threads for one test: with one, its name would be printed before what it says.
    let arguments = ["--exact", "child::reads_devices", "--ignored", "--nocapture", "--test-threads=2"];
    let mut program = Program::this_binary(&arguments).expect("this test program's file");
    let marked = environment.iter().copied().chain([(MARK, OsStr::new("1"))]);
    program.environment = marked.map(|(name, value)| (OsString::from(name), value.to_os_string())).collect();
    program
}

#[test]
#[ignore = "the process that the other tests start"]
fn reads_devices() {
    if std::env::var_os(MARK).is_some() {
        read_devices(Sources::from_environment()).expect("requests that can be read");
    }
}
