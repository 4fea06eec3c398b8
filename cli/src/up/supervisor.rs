//! All children of `up`: who runs under which process id, told to `cluster.json` whenever it changes.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use helixflow_env::{Env, disk};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::layout::Layout;
use super::process::{Event, Spec, keep};
use crate::data_dir::{ClusterFile, ProcessRecord, Role};

/// Events that may wait to be read: a few for each process.
const EVENT_BACKLOG: usize = 256;
/// Deaths before the cluster was ever ready after which a start is given up.
const START_TRIES: u32 = 3;
/// Lines of a process's log that an error shows.
const SHOWN_LINES: usize = 8;

/// The children, in the order of the layout: coordinators, then nodes.
pub(crate) struct Supervisor {
    specs: Vec<Spec>,
    pids: Vec<Option<u32>>,
    deaths: Vec<u32>,
    tasks: Vec<(Role, watch::Sender<bool>, JoinHandle<()>)>,
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
}

impl Supervisor {
    /// Knows how to start each process; starts none.
    pub(crate) fn new(env: &Env, data_dir: &Path, layout: &Layout) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program's own file")?;
        let logs = data_dir.join("logs");
        env.disk.create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        let coordinators = layout.coordinators.iter().map(|c| ("coordinator", c.name()));
        let nodes = layout.nodes.iter().map(|n| ("node", n.name()));
        let specs: Vec<Spec> = coordinators.chain(nodes).map(|(noun, name)| spec(&program, data_dir, &logs, noun, name)).collect();
        let (sender, events) = mpsc::channel(EVENT_BACKLOG);
        let count = specs.len();
        Ok(Self { specs, pids: vec![None; count], deaths: vec![0; count], tasks: Vec::new(), sender, events })
    }

    /// Starts a process and keeps it running.
    pub(crate) fn start(&mut self, index: usize, role: Role) {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(keep(index, self.specs[index].clone(), self.sender.clone(), stopped));
        self.tasks.push((role, stop, task));
    }

    /// Waits for the next death before the cluster is ready; fails when a process cannot be kept up.
    pub(crate) async fn fails_to_start(&mut self) -> anyhow::Error {
        loop {
            match self.next().await {
                Event::Failed { error, .. } => return error,
                Event::Died { index, status, .. } if self.deaths[index] >= START_TRIES => {
                    let Spec { name, log, .. } = &self.specs[index];
                    let shown = last_lines(log);
                    return anyhow::anyhow!("{name} ended with {status} {START_TRIES} times; {} says:\n{shown}", log.display());
                }
                Event::Died { .. } | Event::Started { .. } => {}
            }
        }
    }

    /// Tells of deaths and restarts, and keeps the record true, for as long as the cluster runs.
    pub(crate) async fn watch(&mut self, env: &Env, data_dir: &Path, layout: &Layout) -> anyhow::Result<()> {
        loop {
            match self.next().await {
                Event::Died { index, status, again_in } => {
                    eprintln!("{} ended with {status}; starting it again in {} ms", self.specs[index].name, again_in.as_millis());
                }
                Event::Started { .. } => self.record(env, data_dir, layout)?,
                Event::Failed { index, error } => bail!("{} cannot be started again: {error:#}", self.specs[index].name),
            }
        }
    }

    /// Writes `cluster.json`.
    pub(crate) fn record(&self, env: &Env, data_dir: &Path, layout: &Layout) -> anyhow::Result<()> {
        let coordinators = layout.coordinators.iter().map(|c| (c.name(), Role::Coordinator, &c.region, &c.grpc, &c.http));
        let nodes = layout.nodes.iter().map(|n| (n.name(), Role::Node, &n.region, &n.grpc, &n.http));
        let records = coordinators.chain(nodes).zip(&self.pids).map(|((id, role, region, grpc, http), pid)| ProcessRecord {
            id,
            role,
            region: region.to_string(),
            pid: pid.unwrap_or(0),
            grpc: grpc.clone(),
            http: Some(http.clone()),
        });
        ClusterFile { cluster: layout.cluster.to_string(), processes: records.collect() }.write(env.disk.as_ref(), data_dir)
    }

    /// Ends the nodes, then the coordinators, so that nodes can say good-bye.
    pub(crate) async fn stop(self) {
        for role in [Role::Node, Role::Coordinator] {
            let mut ending = Vec::new();
            for (_, stop, task) in self.tasks.iter().filter(|(r, ..)| *r == role) {
                stop.send_replace(true);
                ending.push(task);
            }
            while ending.iter().any(|task| !task.is_finished()) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }

    async fn next(&mut self) -> Event {
        // This side holds a sender, so the channel never ends.
        let event = match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        };
        match &event {
            Event::Started { index, pid } => self.pids[*index] = Some(*pid),
            Event::Died { index, .. } => {
                self.pids[*index] = None;
                self.deaths[*index] += 1;
            }
            Event::Failed { .. } => {}
        }
        event
    }
}

fn spec(program: &Path, data_dir: &Path, logs: &Path, noun: &str, name: String) -> Spec {
    let config = data_dir.join(&name).join("config.toml");
    let arguments = vec![
        noun.to_owned(),
        "run".to_owned(),
        "--config".to_owned(),
        config.display().to_string(),
        "--parent".to_owned(),
        std::process::id().to_string(),
    ];
    Spec { program: PathBuf::from(program), arguments, log: logs.join(format!("{name}.log")), name }
}

fn last_lines(log: &Path) -> String {
    let Ok(bytes) = disk::tail(log) else { return "(no log)".to_owned() };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}
