//! The processes that the other tests start.
#![expect(clippy::disallowed_methods, reason = "a program's file is replaced on the real disk")]

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use helixflow_env::disk::RealDisk;
use helixflow_node::device::{Gpus, Program, Sources, read_devices};

use crate::world::{PATIENCE, within};

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
#[ignore = "the process that the other tests start; `cargo test -p helixflow-node --test devices` runs it through them"]
fn reads_devices() {
    if std::env::var_os(MARK).is_some() {
        read_devices(Sources::from_environment()).expect("requests that can be read");
    }
}

/// The name of the test below.
pub(crate) const UPGRADED: &str = "child::finds_gpus_although_its_file_was_replaced";

#[tokio::test]
#[ignore = "replaces its own file; `cargo test -p helixflow-node --test devices build_that_it_is` runs a copy of it"]
async fn finds_gpus_although_its_file_was_replaced() {
    let program = program(&[]);
    let path = std::env::current_exe().expect("this program's file");
    let folder = path.parent().expect("a folder");
    assert!(folder.starts_with(std::env::temp_dir()), "a copy of its own is to be replaced, and none else");
    std::fs::remove_file(&path).expect("the old build is gone");
    std::fs::write(&path, "another build").expect("a file in its place");
    let gpus = within(Gpus::find(program, PATIENCE, Arc::new(RealDisk), folder)).await;
    assert_eq!(gpus.expect("an empty journal").boards().len(), 1);
}
