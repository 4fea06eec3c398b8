//! Every file in `cluster-configs` is one that the product loads, and the daemons' examples show every key.
//!
//! Optional keys stand in them as comments of the form `# threads = 8`; they are loaded as well.

use std::path::Path;

use anyhow::{Context, Result, bail};
use helixflow_coordinator::CoordinatorConfig;
use helixflow_env::Disk;
use helixflow_env::disk::{MemoryDisk, RealDisk};
use helixflow_node::NodeConfig;
use helixflow_node::weights::Catalogue;
use helixflow_tests::workspace_root;

/// A key that no configuration has.
const UNKNOWN: &str = "colour";

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
        _ => bail!("nothing loads {name}: give it a loader in this test, or remove it"),
    }
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
    let files = RealDisk.list(&workspace_root().join("cluster-configs"))?;
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).context("a file's name")?;
        let text = config(name)?;
        load(name, &text).with_context(|| name.to_owned())?;
        load(name, &whole(&text)).with_context(|| format!("{name} with every key"))?;
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
