//! The import table: which of our crates may use which, and which libraries stay out of them.
//!
//! Node and coordinator meet only at the contract, decisions stay pure, and a library with a home stays there. The
//! table is held over the manifests as cargo reads them; what a crate's dependencies bring along is their business.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};
use helixflow_tests::workspace_root;

/// What one crate may import.
struct Row {
    name: &'static str,
    folder: &'static str,
    /// Our own crates that it may use, by their names without `helixflow-`.
    ours: &'static [&'static str],
    /// Whether it decides or computes by its arguments alone, and so uses nothing of [`IMPURE`].
    pure: bool,
    /// The only libraries that it may use, its tests aside; empty where any may be used.
    only: &'static [&'static str],
}

/// What makes a result depend on more than its arguments; each name stands for its family (`tonic-prost` too).
const IMPURE: &[&str] = &["tokio", "tonic", "ractor", "openraft", "rand"];

/// What the engine may use: libraries that compute, map memory and set priorities.
const COMPUTES: &[&str] = &["half", "libm", "memmap2", "parking_lot", "rustix", "thiserror"];

/// What text may use: libraries that tokenize, render templates and write a given date.
const TOKENIZES: &[&str] =
    &["ahash", "jiff", "minijinja", "minijinja-contrib", "serde", "serde_json", "thiserror", "tokenizers"];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { name: "model",       folder: "proto/model",        ours: &[], pure: true, only: &["serde", "thiserror"] },
    Row { name: "proto",       folder: "proto",              ours: &["model"], pure: false, only: &[] },
    Row { name: "env",         folder: "env",                ours: &[], pure: false, only: &[] },
    Row { name: "client",      folder: "proto/client",       ours: &["proto", "model", "env"], pure: false, only: &[] },
    Row { name: "control",     folder: "actors/control",     ours: &["model"], pure: true, only: &[] },
    Row { name: "policy",      folder: "coordinator/policy", ours: &["model"], pure: true, only: &[] },
    Row { name: "engine",      folder: "node/engine",        ours: &["model"], pure: true, only: COMPUTES },
    Row { name: "text",        folder: "node/text",          ours: &["model"], pure: true, only: TOKENIZES },
    Row { name: "physics",     folder: "node/physics",       ours: &["model"], pure: true, only: &["libm"] },
    Row { name: "actors",      folder: "actors",             ours: &["control", "model", "proto", "env"], pure: false, only: &[] },
    Row { name: "node",        folder: "node",               ours: &["actors", "control", "engine", "physics", "text", "model", "proto", "env"], pure: false, only: &[] },
    Row { name: "linearizability", folder: "chaos/linearizability", ours: &[], pure: true, only: &["thiserror"] },
    Row { name: "simulator",   folder: "chaos/simulator",    ours: &["model", "control", "policy", "physics"], pure: true, only: &[] },
    Row { name: "nvml-stub",   folder: "tests/nvml-stub",    ours: &[], pure: true, only: &["nvml-wrapper-sys"] },
    Row { name: "coordinator", folder: "coordinator",        ours: &["policy", "model", "proto", "env"], pure: false, only: &[] },
    Row { name: "chaos",       folder: "chaos",              ours: &["model", "proto", "env", "client", "control", "policy", "engine", "physics", "simulator", "text", "actors", "node", "coordinator"], pure: false, only: &[] },
    Row { name: "cli",         folder: "cli",                ours: &["coordinator", "node", "client", "env", "proto", "model", "chaos"], pure: false, only: &[] },
    Row { name: "tests",       folder: "tests",              ours: &["model", "proto", "env", "client", "control", "policy", "engine", "physics", "simulator", "text", "actors", "node", "coordinator", "chaos", "cli"], pure: false, only: &[] },
];

/// Our own crates that judge others, or stand in for what they act on: every crate's tests may use them, and the code of
/// these alone.
const JUDGES: &[(&str, &[&str])] =
    &[("linearizability", &["chaos", "tests"]), ("physics", &["node", "simulator", "chaos", "tests"])];

/// Libraries with a home, and the crates that are it; the tests of another crate may look at its values through one.
const HOMES: &[(&str, &[&str])] = &[
    ("openraft", &["coordinator"]),
    ("bincode", &["coordinator"]),
    ("redb", &["coordinator"]),
    ("ractor", &["actors", "node"]),
    ("nvml-wrapper", &["node", "nvml-stub"]),
    ("ratatui", &["cli"]),
    ("plotters", &["chaos"]),
    ("tokenizers", &["text"]),
    ("minijinja", &["text"]),
];

/// What both sides of the wire share: the contract, its words, and the world outside.
const MEETING_PLACE: &[&str] = &["proto", "model", "env"];

/// A crate as its manifest describes it.
struct Manifest {
    name: String,
    folder: String,
    /// Every dependency by its package name, with whether only tests and examples use it.
    dependencies: Vec<(String, bool)>,
}

/// The workspace's crates, by the names of the table.
fn manifests() -> Result<Vec<Manifest>> {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace_root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("asking cargo for the workspace's manifests")?;
    let root = &metadata.workspace_root;
    Ok(metadata
        .packages
        .iter()
        .map(|package| {
            let folder = package.manifest_path.parent().unwrap_or(root);
            let used =
                |d: &cargo_metadata::Dependency| (d.name.clone(), d.kind == DependencyKind::Development);
            Manifest {
                name: short_name(&package.name).unwrap_or(&package.name).to_owned(),
                folder: folder.strip_prefix(root).unwrap_or(folder).to_string(),
                dependencies: package.dependencies.iter().map(used).collect(),
            }
        })
        .collect())
}

/// The table's name of one of our packages; `None` for a library.
fn short_name(package: &str) -> Option<&str> {
    if package == "helixflow" { Some("cli") } else { package.strip_prefix("helixflow-") }
}

/// Whether `library` is `family` or one of its companions.
fn is_of(library: &str, family: &str) -> bool {
    library.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// All that the manifests do against the table.
fn violations(manifests: &[Manifest]) -> Vec<String> {
    let mut found = Vec::new();
    for manifest in manifests {
        match TABLE.iter().find(|row| row.name == manifest.name) {
            None => found.push(format!("{} is missing from the table: give it a row", manifest.name)),
            Some(row) => found.extend(row_violations(row, manifest)),
        }
    }
    let gone = TABLE.iter().filter(|row| manifests.iter().all(|manifest| manifest.name != row.name));
    found.extend(gone.map(|row| format!("{} is in the table and not in the workspace", row.name)));
    found
}

fn row_violations(row: &Row, manifest: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    if manifest.folder != row.folder {
        found.push(format!("{} lies in {}, and its home is {}", row.name, manifest.folder, row.folder));
    }
    for (package, only_tests) in &manifest.dependencies {
        let refused = match short_name(package) {
            Some(ours) => refuses_crate(row, ours, *only_tests),
            None => refuses_library(row, package, *only_tests),
        };
        if refused {
            found.push(format!("{} must not depend on {package}", row.name));
        }
    }
    found
}

fn refuses_crate(row: &Row, ours: &str, only_tests: bool) -> bool {
    match JUDGES.iter().find(|(judge, _)| *judge == ours) {
        Some((_, users)) => !only_tests && !users.contains(&row.name),
        None => !row.ours.contains(&ours),
    }
}

fn refuses_library(row: &Row, library: &str, only_tests: bool) -> bool {
    let is_impure = row.pure && IMPURE.iter().any(|family| is_of(library, family));
    let is_away = |(family, homes): &(&str, &[&str])| is_of(library, family) && !homes.contains(&row.name);
    let is_extra = !row.only.is_empty() && !row.only.contains(&library);
    is_impure || (!only_tests && (is_extra || HOMES.iter().any(is_away)))
}

/// All of our crates that `name` brings along, without what only its tests use.
fn closure<'a>(name: &'a str, manifests: &'a [Manifest]) -> BTreeSet<&'a str> {
    let by_name: BTreeMap<&str, &Manifest> = manifests.iter().map(|m| (m.name.as_str(), m)).collect();
    let mut reached = BTreeSet::new();
    let mut waiting = vec![name];
    while let Some(manifest) = waiting.pop().and_then(|next| by_name.get(next)) {
        let used = manifest.dependencies.iter().filter(|(_, only_tests)| !only_tests);
        waiting
            .extend(used.filter_map(|(package, _)| short_name(package)).filter(|ours| reached.insert(*ours)));
    }
    reached
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let found = violations(&manifests().unwrap());
    assert!(found.is_empty(), "the import table is broken:\n{}", found.join("\n"));
}

#[test]
fn node_and_coordinator_meet_only_at_the_contract() {
    let manifests = manifests().unwrap();
    let (node, coordinator) = (closure("node", &manifests), closure("coordinator", &manifests));
    let shared: Vec<_> =
        node.intersection(&coordinator).filter(|name| !MEETING_PLACE.contains(name)).collect();
    assert!(shared.is_empty(), "node and coordinator both bring along {shared:?}");
    assert!(node.contains("proto") && coordinator.contains("proto"), "they do not meet at all");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test of the source tree reads the real disk")]
fn every_crate_inherits_the_lints_of_the_workspace() {
    for row in TABLE {
        let manifest = std::fs::read_to_string(workspace_root().join(row.folder).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let inherits =
            manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(inherits, Some(true), "{}/Cargo.toml lacks `[lints] workspace = true`", row.folder);
    }
}

/// The table's crates without dependencies, and one of them with the given one.
fn workspace_where(name: &str, dependency: &str, only_tests: bool) -> Vec<Manifest> {
    let dependencies =
        |row: &Row| if row.name == name { vec![(dependency.into(), only_tests)] } else { Vec::new() };
    let manifest = |row: &Row| Manifest {
        name: row.name.into(),
        folder: row.folder.into(),
        dependencies: dependencies(row),
    };
    TABLE.iter().map(manifest).collect()
}

#[test]
fn a_forbidden_import_is_found() {
    for (name, dependency, only_tests) in [
        ("coordinator", "helixflow-node", false),
        ("node", "helixflow-policy", true),
        ("chaos", "helixflow", false),
        ("policy", "tokio", true),
        ("control", "rand_chacha", false),
        ("proto", "openraft-rt", false),
        ("model", "bytes", false),
        ("engine", "tonic", false),
        ("text", "regex", false),
        ("policy", "bincode", false),
        ("node", "openraft", false),
        ("coordinator", "helixflow-linearizability", false),
        ("linearizability", "tokio", true),
        ("control", "helixflow-physics", false),
    ] {
        let found = violations(&workspace_where(name, dependency, only_tests));
        assert_eq!(found, [format!("{name} must not depend on {dependency}")]);
    }
}

#[test]
fn an_allowed_import_passes() {
    for (name, dependency, only_tests) in [
        ("coordinator", "openraft", false),
        ("policy", "tokenizer-of-words", false),
        ("engine", "proptest", true),
        ("policy", "bincode", true),
        ("tests", "helixflow", true),
        ("coordinator", "helixflow-linearizability", true),
        ("control", "helixflow-physics", true),
        ("chaos", "helixflow-linearizability", false),
    ] {
        assert_eq!(violations(&workspace_where(name, dependency, only_tests)), [""; 0]);
    }
}

#[test]
fn a_crate_without_a_row_and_a_row_without_a_crate_are_found() {
    let mut manifests = workspace_where("model", "serde", false);
    manifests[0].name = "words".into();
    let found = violations(&manifests);
    assert_eq!(
        found,
        ["words is missing from the table: give it a row", "model is in the table and not in the workspace"]
    );
}

#[test]
fn a_crate_away_from_its_folder_is_found() {
    let mut manifests = workspace_where("model", "serde", false);
    manifests[0].folder = "model".into();
    assert_eq!(violations(&manifests), ["model lies in model, and its home is proto/model"]);
}
