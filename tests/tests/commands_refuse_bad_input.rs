//! Commands that cannot do what they are told say why and what to do next, and end with an exit code of their own.

use std::path::Path;

use anyhow::{Context, Result};
use helixflow_env::disk::RealDisk;
use helixflow_env::{Disk, Env};
use helixflow_tests::cluster::new_data_dir;
use helixflow_tests::program::{printed, refused, run, run_with_input};
use helixflow_tests::{model_file, workspace_root};

/// The exit code of a command line that clap refuses.
const USAGE: i32 = 2;

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a temporary path is text")
}

/// `up` with these options on a fresh data directory.
fn up(options: &[&str]) -> Result<std::process::Output> {
    let dir = new_data_dir()?;
    run(&[&["up", "--no-example", "--data-dir", text(dir.path())?], options].concat())
}

#[test]
fn an_unknown_model_is_refused_with_those_that_are_known() -> Result<()> {
    let known = ["nobody", "smollm2-135m-instruct"];
    refused(&up(&["--model", "nobody"])?, 1, &known)?;
    refused(&run(&["model", "fetch", "nobody", "--to", "models"])?, 1, &known)
}

#[test]
fn a_file_that_is_no_model_is_refused_by_its_name() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let whole = RealDisk.read(&model_file()?)?;
    // A header, version 3, without tensors and with one key: the architecture.
    let mut other = b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
    for part in ["general.architecture", "gpt2"] {
        if part == "gpt2" {
            other.extend(8_u32.to_le_bytes());
        }
        other.extend((part.len() as u64).to_le_bytes());
        other.extend(part.as_bytes());
    }
    for (name, bytes, said) in [
        ("header.gguf", &whole[..1_000], ""),
        ("truncated.gguf", &whole[..whole.len() / 2], ""),
        ("other.gguf", &other[..], "gpt2"),
        ("text.gguf", b"The capital of France is Paris.", ""),
        ("empty.gguf", b"", ""),
    ] {
        let file = dir.path().join(name);
        RealDisk.write_durably(&file, bytes)?;
        refused(&up(&["--model", text(&file)?])?, 1, &[name, said]).with_context(|| name.to_owned())?;
    }
    refused(&up(&["--model", text(&dir.path().join("missing.gguf"))?])?, 1, &["missing.gguf"])
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_purpose() -> Result<()> {
    let dir = new_data_dir()?;
    let start = |model: &str| run(&["up", "--no-example", "--model", model, "--data-dir", text(dir.path())?]);
    // A start that fails later has drawn the ports already.
    refused(&start("nobody")?, 1, &[])?;
    let layout: serde_json::Value = serde_json::from_slice(&RealDisk.read(&dir.path().join("layout.json"))?)?;
    let address = layout["coordinators"][1]["raft"].as_str().context("a port")?;
    let _held = Env::real().network.bind(address.parse()?).await?;
    refused(&start("smollm2-135m-instruct")?, 1, &[address, "Raft of coordinator-2", "--data-dir"])
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("file");
    RealDisk.write_durably(&file, b"in the way")?;
    let inside = file.join("data");
    refused(&run(&["up", "--data-dir", text(&inside)?])?, 1, &[text(&inside)?, "--data-dir"])
}

#[test]
fn an_unknown_configuration_key_is_refused_by_its_name() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for noun in ["coordinator", "node"] {
        let example = workspace_root().join(format!("cluster-configs/{noun}.toml"));
        let config = dir.path().join(format!("{noun}.toml"));
        let spoilt = [b"colour = 3\n", RealDisk.read(&example)?.as_slice()].concat();
        RealDisk.write_durably(&config, &spoilt)?;
        refused(&run(&[noun, "run", "--config", text(&config)?])?, 1, &["colour", text(&config)?])?;
        refused(&run(&[noun, "run", "--config", "missing.toml"])?, 1, &["missing.toml"])?;
    }
    Ok(())
}

#[test]
fn a_data_directory_or_a_backup_that_cannot_be_used_is_refused_before_anything_is_written() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (config, home) = (dir.path().join("c.toml"), dir.path().join("home"));
    let text_of = |port: u16| {
        let listen = format!("{{ listen = \"127.0.0.1:{port}\" }}");
        format!(
            "cluster = \"a\"\nid = 1\nregion = \"eu-1\"\ndata_dir = {home:?}\ngrpc = {listen}\nraft = {listen}\nhttp = {listen}\n"
        )
    };
    RealDisk.write_durably(&config, text_of(7100).as_bytes())?;
    let recover = ["coordinator", "recover", "--from-survivor", "--yes", "--config", text(&config)?];
    refused(&run(&recover)?, 1, &[text(&home)?, "has no log"])?;
    let other = dir.path().join("other");
    RealDisk.write_durably(&other, b"no backup at all")?;
    let restore = |file: &Path| run(&["cluster", "restore", text(file)?, "--config", text(&config)?]);
    refused(&restore(&other)?, 1, &[text(&other)?, "no backup of HelixFlow"])?;
    refused(&restore(&dir.path().join("missing"))?, 1, &["missing", "cannot be read"])?;
    RealDisk.write_durably(&config, text_of(0).as_bytes())?;
    refused(&run(&recover)?, 1, &["grpc.listen", "port 0"])
}

#[test]
fn an_empty_prompt_is_refused_before_any_call() -> Result<()> {
    refused(&run(&["generate", ""])?, 1, &["the prompt is empty"])?;
    refused(&run_with_input(&["generate", "-"], "")?, 1, &["the prompt is empty"])?;
    refused(&run_with_input(&["generate"], &"x".repeat(5_000_000))?, 1, &["shorten it"])
}

#[test]
fn a_command_without_a_cluster_says_how_to_start_one() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for command in [
        &["generate", "Hello"][..],
        &["chat"],
        &["status"],
        &["coordinator", "list"],
        &["coordinator", "add", "127.0.0.1:1"],
        &["coordinator", "remove", "1"],
        &["coordinator", "transfer-leader"],
        &["coordinator", "prefer", "eu-1"],
        &["cluster", "backup", "never-written.backup"],
    ] {
        let output = run(&[command, &["--data-dir", text(dir.path())?]].concat())?;
        refused(&output, 1, &[text(dir.path())?, "helixflow up", "--endpoint"])?;
        let nobody = run(&[command, &["--endpoint", "127.0.0.1:1"]].concat())?;
        refused(&nobody, 1, &["127.0.0.1:1", "is the cluster up?"])?;
    }
    Ok(())
}

#[test]
fn wrong_usage_is_refused_with_the_option_named() -> Result<()> {
    for (arguments, option) in [
        (&["generate", "Hello", "--colour", "3"][..], "--colour"),
        (&["generate", "Hello", "--max-tokens", "-1"], "--max-tokens"),
        (&["generate", "Hello", "--temperature", "warm"], "--temperature"),
        (&["generate", "Hello", "--endpoint", "localhost"], "--endpoint"),
        (&["up", "--coordinators", "0"], "--coordinators"),
        (&["up", "--nodes", "65"], "--nodes"),
        (&["up", "--threads", "none"], "--threads"),
        (&["up", "--regions", "a b"], "--regions"),
        (&["up", "--regions", "a,,b"], "--regions"),
        (&["coordinator", "add", "localhost"], "localhost"),
        (&["coordinator", "remove", "0"], "0"),
        (&["coordinator", "transfer-leader", "one"], "one"),
        (&["coordinator", "prefer", "a b"], "a b"),
        (&["coordinator", "recover", "--config", "c.toml"], "--from-survivor"),
        (&["cluster", "restore", "file"], "--config"),
        (&["top", "--interval", "0.01"], "from 0.1 to 60"),
        (&["top", "--interval", "often"], "--interval"),
        (&["completion", "cobol"], "cobol"),
        (&["melt"], "melt"),
    ] {
        refused(&run(arguments)?, USAGE, &[option]).with_context(|| format!("{arguments:?}"))?;
    }
    Ok(())
}

#[test]
fn a_region_without_a_process_is_refused() -> Result<()> {
    refused(&up(&["--regions", "a,b,c", "--coordinators", "1", "--nodes", "2"])?, 1, &["region c", "--nodes"])
}

#[test]
fn every_command_explains_itself() -> Result<()> {
    for command in [
        &["up"][..],
        &["generate"],
        &["chat"],
        &["status"],
        &["top"],
        &["model", "list"],
        &["model", "fetch"],
        &["coordinator", "run"],
        &["coordinator", "list"],
        &["coordinator", "add"],
        &["coordinator", "remove"],
        &["coordinator", "transfer-leader"],
        &["coordinator", "prefer"],
        &["coordinator", "recover"],
        &["cluster", "backup"],
        &["cluster", "restore"],
        &["node", "run"],
        &["completion"],
    ] {
        let help = printed(run(&[command, &["--help"]].concat())?)?;
        assert!(help.contains("Usage: helixflow"), "{help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(run(&["completion", shell])?)?;
        assert!(script.contains("helixflow") && script.contains("top"), "{shell}");
    }
    let models: serde_json::Value = serde_json::from_str(&printed(run(&["model", "list", "--json"])?)?)?;
    assert_eq!(models[0]["id"], "smollm2-135m-instruct");
    Ok(())
}

#[test]
fn what_shows_no_actors_is_named_with_the_port_to_give() -> Result<()> {
    let nobody = "127.0.0.1:1";
    refused(&run(&["node", "inspect", "--endpoint", nobody])?, 1, &[nobody, "http.listen"])
}
