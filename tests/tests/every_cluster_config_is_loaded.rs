//! Every file in `cluster-configs` is one that the product loads, and the daemons' examples show every key.
//!
//! Optional keys stand in them as comments of the form `# threads = 8`; they are loaded as well. Of the units of systemd,
//! what they start must be commands that the binary has.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use helixflow_coordinator::CoordinatorConfig;
use helixflow_env::Disk;
use helixflow_env::disk::{MemoryDisk, RealDisk};
use helixflow_node::NodeConfig;
use helixflow_node::weights::Catalogue;
use helixflow_tests::program;
use helixflow_tests::{binary, workspace_root};

/// A key that no configuration has.
const UNKNOWN: &str = "colour";
/// Where the units expect the binary.
const INSTALLED: &str = "/usr/local/bin/helixflow";

fn coordinator(text: &str) -> Result<CoordinatorConfig> {
    let (disk, path) = (MemoryDisk::default(), Path::new("/coordinator.toml"));
    disk.write_durably(path, text.as_bytes())?;
    Ok(CoordinatorConfig::load(&disk, path)?)
}

fn node(text: &str) -> Result<NodeConfig> {
    let (disk, path) = (MemoryDisk::default(), Path::new("/node.toml"));
    disk.write_durably(path, text.as_bytes())?;
    Ok(NodeConfig::load(&disk, path)?)
}

/// Reads a file as the product does.
fn load(name: &str, text: &str) -> Result<()> {
    match format!("cluster-configs/{name}").as_str() {
        "cluster-configs/coordinator.toml" => coordinator(text).map(drop),
        "cluster-configs/node.toml" => node(text).map(drop),
        "cluster-configs/models.toml" => Ok(Catalogue::parse(text).map(drop)?),
        "cluster-configs/systemd/helixflow-node.service"
        | "cluster-configs/systemd/helixflow-coordinator.service" => unit(text),
        _ => bail!("nothing loads {name}: give it a loader in this test, or remove it"),
    }
}

/// Every command of a unit must be one that the binary has, with options that it knows.
fn unit(text: &str) -> Result<()> {
    let commands: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("Exec"))
        .filter_map(|line| line.split_once('='))
        .map(|(_, command)| command)
        .collect();
    ensure!(!commands.is_empty(), "a unit that starts nothing");
    for command in commands {
        let arguments =
            command.strip_prefix(INSTALLED).with_context(|| format!("{command} starts another program"))?;
        let arguments: Vec<&str> = arguments.split_whitespace().chain(["--help"]).collect();
        program::printed(program::run(&arguments)?).with_context(|| command.to_owned())?;
    }
    Ok(())
}

/// The files of `cluster-configs`, by their names from there.
fn files() -> Result<Vec<String>> {
    let root = workspace_root().join("cluster-configs");
    let mut folders = vec![root.clone()];
    let mut names = Vec::new();
    while let Some(folder) = folders.pop() {
        let (below, files): (Vec<PathBuf>, Vec<PathBuf>) =
            RealDisk.list(&folder)?.into_iter().partition(|path| path.is_dir());
        folders.extend(below);
        for file in files {
            names.push(file.strip_prefix(&root)?.to_str().context("a file's name")?.to_owned());
        }
    }
    Ok(names)
}

fn config(name: &str) -> Result<String> {
    let bytes = RealDisk.read(&workspace_root().join("cluster-configs").join(name))?;
    String::from_utf8(bytes).context("a configuration is text")
}

/// The file with its optional keys, freed of their comment marks.
fn whole(text: &str) -> String {
    let is_key = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let shown = |line: &str| {
        let entry = line
            .strip_prefix("# ")
            .filter(|entry| entry.split_once(" = ").is_some_and(|(name, _)| is_key(name)));
        format!("{}\n", entry.unwrap_or(line))
    };
    text.lines().map(shown).collect()
}

/// The keys that a configuration may have in one of its tables, as the refusal of an unknown one lists them.
fn keys(name: &str, table: Option<&str>) -> Result<Vec<String>> {
    let mut document: toml::Table = config(name)?.parse()?;
    let place = match table {
        None => &mut document,
        Some(table) => document.get_mut(table).and_then(toml::Value::as_table_mut).context("a table")?,
    };
    place.insert(UNKNOWN.to_owned(), 3.into());
    let Err(refusal) = load(name, &document.to_string()) else { bail!("{name} takes {UNKNOWN}") };
    let refusal = format!("{refusal:#}");
    let (_, expected) =
        refusal.split_once("expected").with_context(|| format!("no list of keys: {refusal}"))?;
    Ok(expected.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

#[test]
fn every_file_is_loaded_with_and_without_its_optional_keys() -> Result<()> {
    let files = files()?;
    assert!(files.len() >= 5, "{files:?}");
    for name in files {
        let text = config(&name)?;
        load(&name, &text).with_context(|| name.clone())?;
        load(&name, &whole(&text)).with_context(|| format!("{name} with every key"))?;
    }
    Ok(())
}

#[test]
fn a_unit_that_starts_what_the_binary_has_not_is_refused() {
    for (line, complaint) in [
        ("ExecStart=/usr/local/bin/helixflow node rum --config /c.toml", "rum"),
        (
            "ExecStopPost=/usr/local/bin/helixflow node release-clocks --configuration /c.toml",
            "--configuration",
        ),
        ("ExecStart=/bin/true", "another program"),
        ("[Service]", "starts nothing"),
    ] {
        let refusal = unit(line).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(refusal.contains(complaint), "{line}: {refusal}");
    }
}

#[test]
fn systemd_knows_every_key_of_the_units_where_it_is_installed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for unit in files()?.iter().filter(|name| name.ends_with(".service")) {
        let installed = config(unit)?.replace(INSTALLED, &binary()?.to_string_lossy());
        let path = folder.path().join(Path::new(unit).file_name().context("a file's name")?);
        RealDisk.write_durably(&path, installed.as_bytes())?;
        let Ok(said) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output()
        else {
            println!("systemd-analyze is not installed: the units' keys were not checked");
            return Ok(());
        };
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.contains("helixflow"), "{unit}: {said}");
    }
    Ok(())
}

#[test]
fn the_examples_show_every_key() -> Result<()> {
    for (name, tables) in [
        ("coordinator.toml", &["grpc", "raft", "http", "timings"][..]),
        ("node.toml", &["grpc", "http", "simulated"]),
    ] {
        let shown: toml::Table = whole(&config(name)?).parse()?;
        let known = keys(name, None)?;
        assert!(known.len() > 5, "{known:?}");
        for key in known {
            assert!(shown.contains_key(&key), "{name} does not show {key}");
        }
        for table in tables {
            for key in keys(name, Some(table))? {
                assert!(shown[*table].get(&key).is_some(), "{name} does not show {table}.{key}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_timings_shown_are_the_defaults() -> Result<()> {
    let text = config("coordinator.toml")?;
    assert_eq!(coordinator(&whole(&text))?.timings, coordinator(&text)?.timings);
    Ok(())
}
