//! The checkout keeps its style: sizes, names, docs, unsafe code, configuration files and scripts.
//!
//! The rules stand in `helixflow_tests::tidy`, where each is also shown to fail.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use helixflow_tests::rust_file::RustFile;
use helixflow_tests::tidy::{self, Offence};
use helixflow_tests::tree::{TextFile, text_files};
use helixflow_tests::workspace_root;

fn checkout() -> Result<Vec<TextFile>> {
    text_files(workspace_root())
}

fn sources(files: &[TextFile]) -> Result<Vec<RustFile>> {
    files.iter().filter(|file| file.has_extension("rs")).map(RustFile::measure).collect()
}

fn assert_none(offences: impl IntoIterator<Item = Offence>) {
    let lines: Vec<String> = offences.into_iter().map(|offence| offence.to_string()).collect();
    assert!(lines.is_empty(), "{} places break this rule:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn every_source_file_opens_with_its_docs() {
    let sources = sources(&checkout().unwrap()).unwrap();
    assert!(sources.len() > 20, "only {} source files found", sources.len());
    assert_none(sources.iter().flat_map(tidy::opens_with_docs));
}

#[test]
fn files_are_short() {
    assert_none(sources(&checkout().unwrap()).unwrap().iter().flat_map(tidy::is_short));
}

#[test]
fn functions_are_short() {
    let sources = sources(&checkout().unwrap()).unwrap();
    assert_none(sources.iter().flat_map(tidy::has_short_functions));
    assert_none(tidy::functions_are_usually_short(&sources));
}

#[test]
fn folders_and_files_have_telling_names() {
    assert_none(checkout().unwrap().iter().flat_map(tidy::has_a_telling_name));
}

#[test]
fn nothing_is_marked_as_unfinished() {
    assert_none(checkout().unwrap().iter().flat_map(tidy::is_finished));
}

#[test]
fn unsafe_code_stays_in_its_homes() {
    assert_none(sources(&checkout().unwrap()).unwrap().iter().flat_map(tidy::keeps_unsafe_at_home));
}

#[test]
fn generated_files_are_marked() {
    assert_none(sources(&checkout().unwrap()).unwrap().iter().flat_map(tidy::is_marked_when_generated));
}

#[test]
fn every_cluster_config_is_named_by_a_test() {
    let files = checkout().unwrap();
    let sources = sources(&files).unwrap();
    assert_none(tidy::configs_are_tested(&files, &sources));
}

#[test]
fn no_file_names_a_place_on_one_persons_machine() {
    assert_none(checkout().unwrap().iter().flat_map(tidy::is_free_of_personal_paths));
}

#[test]
fn shell_scripts_parse() {
    let is_script =
        |file: &&TextFile| file.has_extension("sh") || file.text.starts_with("#!/usr/bin/env bash");
    let files = checkout().unwrap();
    let mut scripts = files.iter().filter(is_script).peekable();
    assert!(scripts.peek().is_some(), "no script found, and .ci/run is one");
    for script in scripts {
        assert_eq!(bash_complaint(&workspace_root().join(&script.path)).unwrap(), "");
    }
}

/// What bash says of a script that it reads without running it.
fn bash_complaint(script: &Path) -> Result<String> {
    let output = Command::new("bash").arg("-n").arg(script).output().context("running bash")?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test writes a real script")]
fn a_broken_script_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("broken.sh");
    std::fs::write(&script, "if true; then\n").unwrap();
    assert!(bash_complaint(&script).unwrap().contains("syntax error"));
}
