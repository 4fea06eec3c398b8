//! Carries a plan out and writes down what happens. Nothing is judged here.

use std::collections::BTreeMap;
use std::time::Duration;

use helixflow_client::{Client, ClientOptions};
use tokio::time::{Instant, sleep, timeout};

use crate::error::ChaosError;
use crate::experiments::{Plan, Step};
use crate::faults;
use crate::history::{History, Kill, Outcome, Return};
use crate::load::{Load, LoadSpec, ask};
use crate::target::{LocalCluster, Process, Role, Snapshot};

/// How often the cluster is looked at while something is waited for.
const POLL: Duration = Duration::from_millis(50);
/// Deadlines that clients may take, in all, until each has ended a request that it began after a given time: one for the
/// request under way, one for the next, one for a busy machine.
const SETTLING_DEADLINES: u32 = 3;

/// How far an experiment has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub done: usize,
    /// Steps in all.
    pub steps: usize,
    /// What is being done.
    pub doing: String,
}

/// Carries a plan out; `tell` hears of each stage.
///
/// # Errors
/// When the cluster is not whole at the start, or the plan cannot be carried out.
pub async fn run(
    cluster: &LocalCluster,
    plan: &Plan,
    tell: &mut dyn FnMut(Progress),
) -> Result<History, ChaosError> {
    let mut experiment =
        Experiment { cluster, plan, tell, origin: Instant::now(), history: History::default() };
    let model = experiment.model().await?;
    experiment.take_references(&model).await?;
    let spec = LoadSpec {
        clients: plan.clients,
        model,
        prompts: plan.prompts.clone(),
        deadline: plan.hypotheses.deadline,
    };
    let load = Load::start(cluster.env(), &cluster.endpoints()?, &spec, experiment.origin)?;
    for step in &plan.steps {
        // A second fault on top of one that has not healed would be another experiment.
        if !experiment.carry_out(step, &load).await? {
            break;
        }
    }
    experiment.say("letting the last requests end");
    experiment.settle(&load).await;
    experiment.history.requests = load.stop().await;
    experiment.look_at_the_end().await?;
    Ok(experiment.history)
}

struct Experiment<'a> {
    cluster: &'a LocalCluster,
    plan: &'a Plan,
    tell: &'a mut dyn FnMut(Progress),
    origin: Instant,
    history: History,
}

impl Experiment<'_> {
    fn say(&mut self, doing: impl Into<String>) {
        let (done, steps) = (self.history.kills.len(), self.plan.steps.len());
        (self.tell)(Progress { done, steps, doing: doing.into() });
    }

    /// The model that the cluster serves; the cluster has to be whole.
    async fn model(&mut self) -> Result<String, ChaosError> {
        let mut model = None;
        for endpoint in self.cluster.endpoints()? {
            let snapshot = self.cluster.ask(&endpoint).await?;
            if let Some(lack) = snapshot.lack() {
                return Err(ChaosError::NotReady { what: format!("{endpoint} says that {lack}") });
            }
            model = snapshot.models.into_keys().next().map(|(id, _)| id);
        }
        model.ok_or_else(|| ChaosError::NotReady { what: "no coordinator is recorded".to_owned() })
    }

    /// Each prompt's own answer, taken while nothing is wrong.
    async fn take_references(&mut self, model: &str) -> Result<(), ChaosError> {
        let deadline = self.plan.hypotheses.deadline;
        let options = ClientOptions { timeout: Some(deadline) };
        let client = Client::new(self.cluster.env(), &self.cluster.endpoints()?, options)?;
        for (number, prompt) in self.plan.prompts.iter().enumerate() {
            self.say(format!("taking reference answers: {number} of {}", self.plan.prompts.len()));
            match ask(&client, model, prompt, deadline).await.outcome {
                Outcome::Answered(answer) => self.history.references.push(answer),
                other => return Err(ChaosError::NoReference { what: format!("{other:?}") }),
            }
        }
        Ok(())
    }

    /// Waits until each client has ended a request that it began from now on.
    async fn settle(&self, load: &Load) {
        let since = self.origin.elapsed();
        let settled = async {
            while !load.all_went_on(since) {
                sleep(POLL).await;
            }
        };
        // Clients give up by themselves; one that does not is found in the history.
        let _ = timeout(self.plan.hypotheses.deadline * SETTLING_DEADLINES, settled).await;
    }

    /// One fault, and what comes of it; false when the cluster did not heal in time.
    async fn carry_out(&mut self, step: &Step, load: &Load) -> Result<bool, ChaosError> {
        let Step { round, victim } = step;
        self.say(format!("round {round}: letting requests run"));
        self.settle(load).await;
        let victim = self.process(victim)?;
        let before = self.cluster.ask(&self.witness(&victim)?).await?;
        self.say(format!("round {round}: killed {}, waiting for its return", victim.id));
        let at = self.origin.elapsed();
        faults::kill(self.cluster, &victim)?;
        let bound = self.plan.hypotheses.recovery_bound;
        let back = timeout(bound, self.comes_back(&victim, &before)).await.ok();
        let healed = back.is_some();
        self.history.kills.push(Kill { round: *round, victim, at, before, back });
        Ok(healed)
    }

    fn process(&self, id: &str) -> Result<Process, ChaosError> {
        let found = self.cluster.processes()?.into_iter().find(|process| process.id == id);
        found.ok_or_else(|| ChaosError::NotReady { what: format!("there is no process {id}") })
    }

    /// Who tells how the cluster is before and after: a coordinator itself of itself, any coordinator of a node.
    fn witness(&self, victim: &Process) -> Result<String, ChaosError> {
        let endpoints = match victim.role {
            Role::Coordinator => vec![victim.grpc.clone()],
            Role::Node => self.cluster.endpoints()?,
        };
        endpoints
            .into_iter()
            .next()
            .ok_or_else(|| ChaosError::NotReady { what: "no coordinator is recorded".to_owned() })
    }

    /// Waits until the process runs again and the cluster is whole, as everybody concerned sees it.
    async fn comes_back(&self, victim: &Process, before: &Snapshot) -> Return {
        let mut restarted: Option<(Process, Instant)> = None;
        loop {
            sleep(POLL).await;
            // The record is being rewritten, or the process is not in it yet.
            let Ok(process) = self.process(&victim.id) else { continue };
            if process.pid == 0 || process.pid == victim.pid {
                continue;
            }
            if restarted.as_ref().is_none_or(|(known, _)| known.pid != process.pid) {
                restarted = Some((process.clone(), Instant::now()));
            }
            let since = restarted.as_ref().map_or(Duration::ZERO, |(_, at)| at.elapsed());
            if let Some(after) = self.all_see_it_back(&process, before, since).await {
                return Return { at: self.origin.elapsed(), process, after };
            }
        }
    }

    /// What the witness says, once it and, of a node, every coordinator sees the process at work.
    async fn all_see_it_back(
        &self,
        process: &Process,
        before: &Snapshot,
        since: Duration,
    ) -> Option<Snapshot> {
        let witnesses = match process.role {
            Role::Coordinator => vec![process.grpc.clone()],
            Role::Node => self.cluster.endpoints().ok()?,
        };
        let mut first = None;
        for endpoint in witnesses {
            let snapshot = self.cluster.ask(&endpoint).await.ok()?;
            if !sees_back(&snapshot, process, before, since) {
                return None;
            }
            first.get_or_insert(snapshot);
        }
        first
    }

    async fn look_at_the_end(&mut self) -> Result<(), ChaosError> {
        self.say("looking at the cluster once more");
        let mut finally = BTreeMap::new();
        for endpoint in self.cluster.endpoints()? {
            let mut last = None;
            let whole = async {
                loop {
                    last = self.cluster.ask(&endpoint).await.ok();
                    if last.as_ref().is_some_and(|snapshot| snapshot.lack().is_none()) {
                        return;
                    }
                    sleep(POLL).await;
                }
            };
            // What was said last stands in the history, whole or not.
            let _ = timeout(self.plan.hypotheses.recovery_bound, whole).await;
            finally.insert(endpoint, last);
        }
        self.history.finally = finally;
        Ok(())
    }
}

/// Whether a view is of a whole cluster with the restarted process in it, and none of the time before.
fn sees_back(view: &Snapshot, process: &Process, before: &Snapshot, since: Duration) -> bool {
    let fresh = match process.role {
        Role::Coordinator => view.applied >= before.applied,
        // An older report is of the process that was killed.
        Role::Node => {
            let age = view.nodes.get(&process.grpc).and_then(|node| node.report_age);
            age.is_some_and(|age| age < since)
        }
    };
    fresh && view.lack().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::NodeSeen;

    #[test]
    fn a_node_is_back_only_once_it_has_reported_since() {
        let process =
            Process { id: "node-1".to_owned(), role: Role::Node, pid: 2, grpc: "127.0.0.1:1".to_owned() };
        let model = ("m".to_owned(), "1".to_owned());
        let view = |age| Snapshot {
            leader: Some(1),
            models: BTreeMap::from([(model.clone(), 1)]),
            nodes: BTreeMap::from([(
                process.grpc.clone(),
                NodeSeen { id: 1, lost: false, report_age: Some(age), ready: vec![model.clone()] },
            )]),
            ..Snapshot::default()
        };
        let since = Duration::from_secs(2);
        let back = |age| sees_back(&view(Duration::from_secs(age)), &process, &Snapshot::default(), since);
        assert_eq!((back(1), back(3)), (true, false));
    }
}
