//! Operators make a cluster of running coordinators, add one, remove one and restore a backup, by commands alone.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use helixflow_env::Env;
use helixflow_env::net::draw_ports;
use helixflow_tests::binary;
use helixflow_tests::program::{errors, printed, refused, run};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long a coordinator may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often something is looked at.
const POLL: Duration = Duration::from_millis(100);
/// The exit code of a coordinator that was removed.
const REMOVED: i32 = 3;

/// A coordinator's configuration and, while it runs, its process.
struct Coordinator {
    config: PathBuf,
    grpc: String,
    raft: String,
    process: Option<Child>,
}

impl Coordinator {
    async fn configured(folder: &Path, id: u64) -> Result<Self> {
        let ports = draw_ports(&Env::real(), 3).await?;
        let [grpc, raft, http] = [0, 1, 2].map(|port: usize| ports[port].to_string());
        let text = format!(
            "cluster = \"example\"\nid = {id}\nregion = \"eu-1\"\ndata_dir = {:?}\n\
             [grpc]\nlisten = {grpc:?}\n[raft]\nlisten = {raft:?}\n[http]\nlisten = {http:?}\n",
            folder.join(id.to_string()),
        );
        let config = folder.join(format!("{id}.toml"));
        Env::real().disk.write_durably(&config, text.as_bytes())?;
        Ok(Self { config, grpc, raft, process: None })
    }

    fn config(&self) -> Result<&str> {
        self.config.to_str().context("a temporary path is text")
    }

    /// Starts it; it ends with this test at the latest.
    fn start(&mut self) -> Result<()> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(binary()?);
        command.args(["coordinator", "run", "--config", self.config()?]);
        self.process = Some(command.stdout(Stdio::null()).spawn().context("a coordinator")?);
        Ok(())
    }

    async fn exit_code(&mut self) -> Result<Option<i32>> {
        let mut process = self.process.take().context("a process")?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = process.try_wait()? {
                return Ok(status.code());
            }
            sleep(POLL).await;
        }
        process.kill()?;
        anyhow::bail!("it does not end within {PATIENCE:?}")
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // One that has ended by itself needs no end.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Runs a command at a coordinator until it succeeds: one that was just started needs a moment.
async fn until_done(at: &Coordinator, arguments: &[&str]) -> Result<String> {
    let began = Instant::now();
    loop {
        let output = run(&[arguments, &["--endpoint", &at.grpc]].concat())?;
        if output.status.success() || began.elapsed() > PATIENCE {
            return printed(output);
        }
        sleep(POLL).await;
    }
}

/// The members and their roles.
async fn members(at: &Coordinator) -> Result<Vec<(u64, String)>> {
    let list: serde_json::Value =
        serde_json::from_str(&until_done(at, &["coordinator", "list", "--json"]).await?)?;
    let member = |member: &serde_json::Value| {
        Some((member["id"].as_u64()?, member["role"].as_str()?.replace("leader", "voter")))
    };
    list["members"].as_array().context("members")?.iter().map(|m| member(m).context("a member")).collect()
}

fn voters(ids: &[u64]) -> Vec<(u64, String)> {
    ids.iter().map(|id| (*id, "voter".to_owned())).collect()
}

/// Three coordinators that were made one cluster.
async fn cluster(folder: &TempDir) -> Result<Vec<Coordinator>> {
    let mut all = Vec::new();
    for id in 1..=3 {
        let mut coordinator = Coordinator::configured(folder.path(), id).await?;
        coordinator.start()?;
        all.push(coordinator);
    }
    let rafts: Vec<&str> = all.iter().map(|c| c.raft.as_str()).collect();
    let bootstrap = [&["cluster", "bootstrap"], rafts.as_slice()].concat();
    for _ in 0..2 {
        let said = until_done(&all[1], &bootstrap).await?;
        assert!(said.contains("coordinator-3 in eu-1") && said.contains("are one cluster"), "{said}");
    }
    let two = run(&[&["cluster", "bootstrap", "--endpoint", &all[0].grpc], &rafts[..2]].concat())?;
    refused(&two, 1, &["coordinator-1 has a log already, with the members"])?;
    Ok(all)
}

#[tokio::test]
async fn a_cluster_is_made_grows_and_shrinks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut all = cluster(&folder).await?;
    assert_eq!(members(&all[2]).await?, voters(&[1, 2, 3]));
    let other_port = run(&["coordinator", "list", "--endpoint", &all[2].raft])?;
    refused(&other_port, 1, &[&all[2].raft, "give the address of its gRPC port"])?;

    let mut fourth = Coordinator::configured(folder.path(), 4).await?;
    fourth.start()?;
    let early = until_done(&fourth, &["coordinator", "list"]).await?;
    assert!(
        early.contains("belongs to no cluster yet: make one with helixflow cluster bootstrap"),
        "{early}"
    );
    let said = until_done(&all[0], &["coordinator", "add", &fourth.raft]).await?;
    assert!(said.contains("coordinator-4 is a member (voter)"), "{said}");
    assert_eq!(members(&fourth).await?, voters(&[1, 2, 3, 4]));

    let said = until_done(&fourth, &["coordinator", "remove", "1"]).await?;
    assert!(said.contains("coordinator-1 is removed"), "{said}");
    assert_eq!(all[0].exit_code().await?, Some(REMOVED));
    assert_eq!(members(&fourth).await?, voters(&[2, 3, 4]));

    // What is left takes writes, without one more.
    drop(all.remove(1));
    until_done(&fourth, &["coordinator", "prefer", "eu-1"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_backup_becomes_a_cluster_of_its_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let all = cluster(&folder).await?;
    let file = folder.path().join("state.backup");
    let file = file.to_str().context("a temporary path is text")?;
    let said = until_done(&all[0], &["cluster", "backup", file]).await?;
    assert!(said.contains("cluster example") && said.contains("3 coordinators"), "{said}");
    drop(all);

    let mut first = Coordinator::configured(folder.path(), 4).await?;
    let restore = ["cluster", "restore", file, "--config", first.config()?].map(str::to_owned);
    let restore: Vec<&str> = restore.iter().map(String::as_str).collect();
    printed(run(&restore)?)?;
    let again = run(&restore)?;
    assert!(!again.status.success() && errors(&again).contains("data_dir"), "{}", errors(&again));
    first.start()?;
    assert_eq!(members(&first).await?, voters(&[4]));
    Ok(())
}
