//! All children of `up`: who runs under which process id, told to `cluster.json` whenever it changes.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use helixflow_env::{Env, disk};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::board::{Board, Step};
use super::layout::{Layout, Seat};
use super::process::{Event, Spec, keep};
use crate::cluster_file::{ClusterFile, ProcessRecord, Role};
use crate::data_dir::DataDir;

/// Events that may wait to be read: a few for each process.
const EVENT_BACKLOG: usize = 256;
/// Deaths before the cluster was ever ready after which a start is given up.
const START_TRIES: u32 = 3;
/// What is said of a coordinator that was removed, or whose cluster has begun a new life without it.
const LEFT: &str = "is no member of the cluster any more and is not started again";
/// Lines of a process's log that an error shows.
const SHOWN_LINES: usize = 8;

/// The children, in the order of the layout.
pub(crate) struct Supervisor {
    env: Env,
    dir: DataDir,
    layout: Layout,
    children: Vec<Child>,
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    /// Indexes of the coordinators without which the cluster goes on.
    left: watch::Sender<BTreeSet<usize>>,
}

/// One process and what became of it.
struct Child {
    seat: Seat,
    spec: Spec,
    /// As it was last started; 0 before that.
    pid: u32,
    deaths: u32,
    keeper: Option<Keeper>,
}

/// The task that keeps a process running, and how to end it.
struct Keeper {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Knows how to start each process; starts none.
    pub(crate) fn new(env: &Env, dir: &DataDir, layout: &Layout) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program's own file")?;
        let logs = dir.logs();
        env.disk.create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        let child = |seat: Seat| {
            let spec = spec(&program, dir, &seat);
            Child { seat, spec, pid: 0, deaths: 0, keeper: None }
        };
        let (sender, events) = mpsc::channel(EVENT_BACKLOG);
        Ok(Self {
            env: env.clone(),
            dir: dir.clone(),
            layout: layout.clone(),
            children: layout.seats().into_iter().map(child).collect(),
            sender,
            events,
            left: watch::Sender::default(),
        })
    }

    /// Who is who.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The same without the coordinators that have left.
    pub(crate) fn present(&self) -> Layout {
        let mut layout = self.layout.clone();
        let left = self.left.borrow();
        let mut index = 0..;
        layout.coordinators.retain(|_| index.next().is_some_and(|index| !left.contains(&index)));
        layout
    }

    /// Indexes of those that have left, always the latest.
    pub(crate) fn left(&self) -> watch::Receiver<BTreeSet<usize>> {
        self.left.subscribe()
    }

    /// Starts a process and keeps it running.
    pub(crate) fn start(&mut self, index: usize) {
        let (stop, stopped) = watch::channel(false);
        let child = &mut self.children[index];
        let task = tokio::spawn(keep(index, child.spec.clone(), self.sender.clone(), stopped));
        child.keeper = Some(Keeper { stop, task });
    }

    /// Watches the processes before the cluster is ready; done when one of them cannot be kept up.
    pub(crate) async fn fails_to_start(&mut self, board: &Board) -> anyhow::Error {
        loop {
            match self.next().await {
                Event::Failed { error, .. } => return error,
                Event::Died { index, status, .. } if self.children[index].deaths >= START_TRIES => {
                    return self.given_up(index, &format!("ended {START_TRIES} times, now with {status}"));
                }
                Event::Died { index, status, .. } => {
                    board.say(
                        index,
                        Step {
                            phase: "starting again".to_owned(),
                            detail: format!("it ended with {status}"),
                        },
                    );
                }
                Event::Left { index } => {
                    board.say(index, Step::new(LEFT));
                    if self.present().coordinators.is_empty() {
                        return self
                            .given_up(index, "was the last coordinator here, and has left its cluster");
                    }
                }
                Event::Started { .. } => {}
            }
        }
    }

    /// The error of a start that one process keeps from going on, with the end of its log.
    pub(crate) fn given_up(&self, index: usize, why: &str) -> anyhow::Error {
        let Spec { name, log, .. } = &self.children[index].spec;
        anyhow!("{name} {why}; the end of {}:\n{}", log.display(), last_lines(log))
    }

    /// Tells of deaths and restarts, and keeps the record true, for as long as the cluster runs.
    pub(crate) async fn watch<T>(&mut self) -> anyhow::Result<T> {
        loop {
            match self.next().await {
                Event::Died { index, status, again_in } => {
                    let name = &self.children[index].spec.name;
                    eprintln!("{name} ended with {status}; starting it again in {} ms", again_in.as_millis());
                }
                Event::Left { index } => {
                    eprintln!("{} {LEFT}", self.children[index].spec.name);
                    self.record()?;
                }
                Event::Started { .. } => self.record()?,
                Event::Failed { index, error } => {
                    bail!("{} cannot be started again: {error:#}", self.children[index].spec.name);
                }
            }
        }
    }

    /// Writes `cluster.json`.
    pub(crate) fn record(&self) -> anyhow::Result<()> {
        let record = |child: &Child| ProcessRecord {
            id: child.seat.name.clone(),
            role: child.seat.role,
            region: child.seat.region.to_string(),
            pid: child.pid,
            grpc: child.seat.grpc.clone(),
            http: Some(child.seat.http.clone()),
        };
        let left = self.left.borrow();
        let stay = self.children.iter().enumerate().filter(|(index, _)| !left.contains(index));
        let processes = stay.map(|(_, child)| record(child)).collect();
        ClusterFile { cluster: self.layout.cluster.to_string(), processes }
            .write(self.env.disk.as_ref(), &self.dir)
    }

    /// Ends the nodes, then the coordinators, so that nodes can say good-bye.
    pub(crate) async fn stop(&mut self) {
        for role in [Role::Node, Role::Coordinator] {
            let of_role = self.children.iter_mut().filter(|child| child.seat.role == role);
            let keepers: Vec<Keeper> = of_role.filter_map(|child| child.keeper.take()).collect();
            for keeper in &keepers {
                keeper.stop.send_replace(true);
            }
            for keeper in keepers {
                // A keeper that panicked has dropped its process, which kills it.
                let _ = keeper.task.await;
            }
        }
    }

    async fn next(&mut self) -> Event {
        let Some(event) = self.events.recv().await else {
            // This side holds a sender, so the channel never ends.
            return std::future::pending().await;
        };
        match &event {
            Event::Started { index, pid } => self.children[*index].pid = *pid,
            Event::Died { index, .. } => self.children[*index].deaths += 1,
            Event::Left { index } => self.left.send_modify(|left| {
                left.insert(*index);
            }),
            Event::Failed { .. } => {}
        }
        event
    }
}

fn spec(program: &Path, dir: &DataDir, seat: &Seat) -> Spec {
    let config = dir.config(&seat.name);
    let arguments = vec![
        seat.role.noun().into(),
        "run".into(),
        "--config".into(),
        config.into_os_string(),
        "--parent".into(),
        std::process::id().to_string().into(),
    ];
    Spec { name: seat.name.clone(), program: program.to_owned(), arguments, log: dir.log(&seat.name) }
}

fn last_lines(log: &Path) -> String {
    let Ok(bytes) = disk::tail(log) else { return "  (there is none)".to_owned() };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}
