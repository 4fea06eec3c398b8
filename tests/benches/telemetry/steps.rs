//! What is measured, step by step: more and more nodes, a coordinator that is gone and comes back, picks meanwhile.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use helixflow_model::ClusterId;
use tokio::time::sleep;

use crate::fleet::Fleet;
use crate::picks::Picked;
use crate::process::{CLUSTER, Running, Seat, Usage};

/// Between a change and what is measured after it: what it has set off is done by then.
const SETTLE: Duration = Duration::from_secs(5);
/// The least share of the reports that have to be acknowledged: with less the load was not what it is said to be.
const LEAST_LOAD: f64 = 0.95;
/// How often it is asked whether the coordinator takes all nodes for live after its restart, and how many times.
const LIVE_AGAIN: (Duration, usize) = (Duration::from_secs(2), 10);

/// How much is measured.
pub(crate) struct Plan {
    /// How many nodes, in rising order.
    pub(crate) nodes: Vec<usize>,
    /// How long at each of these, and for the picks.
    pub(crate) measured: Duration,
    /// The product's binary.
    pub(crate) binary: PathBuf,
    /// Where data goes.
    pub(crate) work: PathBuf,
}

/// What a number of nodes costs.
pub(crate) struct Step {
    pub(crate) nodes: usize,
    pub(crate) usage: Usage,
    pub(crate) resident_kib: u64,
    /// Reports acknowledged a second.
    pub(crate) reports: f64,
}

/// All nodes at once after a restart.
pub(crate) struct Storm {
    pub(crate) usage: Usage,
    /// Nodes that the coordinator did not take for live afterwards.
    pub(crate) lost: usize,
}

/// All of it.
pub(crate) struct Figures {
    pub(crate) steps: Vec<Step>,
    pub(crate) storm: Storm,
    pub(crate) picked: Picked,
}

impl Plan {
    /// Measures everything.
    pub(crate) async fn run(&self) -> Result<Figures> {
        let most = *self.nodes.last().context("at least one number of nodes")?;
        ensure!(self.nodes.is_sorted(), "the numbers of nodes rise");
        let seat = Seat::prepare(&self.work).await?;
        let mut coordinator = seat.start(&self.binary)?;
        seat.bootstrap(&mut coordinator).await?;
        let mut fleet = Fleet::of(ClusterId::new(CLUSTER)?, &seat.grpc)?;
        fleet.add_model(u32::try_from(most)?).await?;
        let mut steps = Vec::new();
        for nodes in &self.nodes {
            eprintln!("{nodes} nodes");
            fleet.grow(*nodes).await?;
            fleet.serve().await?;
            steps.push(self.step(&fleet, &coordinator, *nodes).await?);
        }
        eprintln!("a restart");
        let (coordinator, storm) = self.storm(&seat, coordinator, &fleet, most).await?;
        drop(coordinator);
        fleet.lost().await?;
        eprintln!("picks");
        let picked = self.picks(&seat, most).await?;
        Ok(Figures { steps, storm, picked })
    }

    async fn step(&self, fleet: &Fleet, coordinator: &Running, nodes: usize) -> Result<Step> {
        sleep(SETTLE).await;
        let before = fleet.acknowledged();
        let usage = coordinator
            .usage(async {
                sleep(self.measured).await;
                Ok(())
            })
            .await?;
        let reports = (fleet.acknowledged() - before) as f64 / usage.took.as_secs_f64();
        if reports < nodes as f64 * LEAST_LOAD {
            bail!(
                "only {reports:.0} reports a second of {nodes} nodes were acknowledged: the machine is too busy"
            );
        }
        Ok(Step { nodes, usage, resident_kib: coordinator.resident_kib()?, reports })
    }

    /// Kills the coordinator, starts it again, and waits for all nodes.
    async fn storm(
        &self,
        seat: &Seat,
        running: Running,
        fleet: &Fleet,
        nodes: usize,
    ) -> Result<(Running, Storm)> {
        drop(running);
        fleet.lost().await?;
        let running = seat.start(&self.binary)?;
        let usage = running.usage(fleet.heard()).await?;
        let (every, times) = LIVE_AGAIN;
        let mut live = 0;
        for _ in 0..times {
            sleep(every).await;
            live = fleet.live().await?;
            if live == nodes {
                break;
            }
        }
        Ok((running, Storm { usage, lost: nodes.saturating_sub(live) }))
    }

    /// Picks in a process like this one, which runs the coordinator itself.
    async fn picks(&self, seat: &Seat, nodes: usize) -> Result<Picked> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--picks").arg(seat.config()).args(["--nodes", &nodes.to_string()]);
        command.args(["--seconds", &self.measured.as_secs_f64().to_string()]);
        let mut picking = seat.spawn(&command, Stdio::piped())?;
        let printed = tokio::task::spawn_blocking(move || picking.output()).await??;
        serde_json::from_str(&printed).context("what the picks print")
    }
}
