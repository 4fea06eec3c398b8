//! The study: chooses the static caps, runs every policy on the same requests, and judges.

use std::collections::BTreeMap;

use helixflow_env::Disk;
use helixflow_simulator::{FleetError, Outcome, Scenario, Setting, Span, lowest_serving_rise, run};
use serde::Serialize;
use tokio::time::Instant;

use super::findings::{PartFindings, Runs, judge};
use super::machine::Machine;
use super::plan::{Job, Part, Scale, parts};
use super::scenarios::{ScenarioError, named};
use super::trials::{self, Trial, Trials};
use super::work::run_all;
use crate::Progress;

/// What to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Scenarios, by name.
    pub scenarios: Vec<String>,
    /// Seeds of each, from 1.
    pub seeds: u64,
    /// How much of each.
    pub scale: Scale,
    /// Threads that run them.
    pub threads: usize,
}

/// A study that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// A scenario cannot be used.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A fleet cannot be built.
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

/// A study: all that its report says. Fields are added, never renamed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Study {
    /// Seeds of each part.
    pub seeds: u64,
    /// How much of each scenario was run.
    pub scale: Scale,
    /// Threads that ran it.
    pub threads: usize,
    /// How long it took.
    pub wall_seconds: f64,
    /// Where.
    pub machine: Machine,
    /// Each scenario.
    pub scenarios: Vec<ScenarioFindings>,
}

/// A scenario in a study.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioFindings {
    /// Its name.
    pub name: String,
    /// What is simulated.
    #[serde(skip)]
    pub scenario: Scenario,
    /// What caps came to on an hour of its peak, with a seed of its own.
    pub trials: Vec<Trial>,
    /// Hours of the peak that were tried.
    pub trial_hours: f64,
    /// The rise of that time under (b), K.
    pub blind_rise: f64,
    /// About the lowest rise, in K, at which its boards can compute what is asked of them, however clocks differ.
    pub lowest_serving_rise: Option<f64>,
    /// The lowest rise of that time, in K, among what was tried and is no worse than (b) in goodput and in the p99 of the time
    /// to the first token, as far as one seed tells.
    pub rise_within_bars: f64,
    /// Its parts.
    pub parts: Vec<PartFindings>,
}

impl Study {
    /// Whether every bar was met wherever the scenario counts.
    #[must_use]
    pub fn holds(&self) -> bool {
        let parts = self.scenarios.iter().flat_map(|scenario| &scenario.parts);
        let mut checks = parts.filter(|part| part.counts).flat_map(|part| &part.checks);
        checks.all(|check| check.holds || !check.is_bar)
    }
}

/// One scenario on its way through the study.
struct Case {
    scenario: Scenario,
    parts: Vec<Part>,
    lowest_serving_rise: Option<f64>,
    trials: Trials,
}

impl Case {
    fn new(name: &str, options: &Options) -> Result<Self, StudyError> {
        let scenario = named(name)?;
        let parts = parts(&scenario, options.scale, options.seeds);
        let boards =
            parts.iter().flat_map(|part| &part.spans).map(|span| span.boards).min().unwrap_or_default();
        let lowest_serving_rise = lowest_serving_rise(&scenario, boards, trials::SEED)?;
        Ok(Self { parts, lowest_serving_rise, scenario, trials: Trials::default() })
    }

    /// An hour of the peak at the smallest size, or all of a smaller part.
    fn trial_span(&self) -> Option<Span> {
        let first = self.parts.first()?.spans.first()?;
        let (from, to) = self.scenario.peak.hour;
        Some(if first.to - first.from > to - from { Span { from, to, ..*first } } else { *first })
    }

    fn findings(&self, parts: Vec<PartFindings>) -> ScenarioFindings {
        ScenarioFindings {
            name: self.scenario.name.clone(),
            scenario: self.scenario.clone(),
            trials: self.trials.all(),
            trial_hours: self.trial_span().map_or(0.0, |span| span.to - span.from),
            blind_rise: self.trials.blind_rise(),
            lowest_serving_rise: self.lowest_serving_rise,
            rise_within_bars: self.trials.rise_within_bars(),
            parts,
        }
    }
}

/// Makes the study; `told` hears of each run that is done.
///
/// # Errors
/// When a scenario is not known or cannot be run.
pub fn study(
    options: &Options,
    disk: &dyn Disk,
    told: &mut dyn FnMut(Progress),
) -> Result<Study, StudyError> {
    let (machine, began) = (Machine::here(disk), Instant::now());
    let mut cases =
        options.scenarios.iter().map(|name| Case::new(name, options)).collect::<Result<Vec<_>, _>>()?;
    try_each(&mut cases, options, told, |_| trials::first())?;
    try_each(&mut cases, options, told, Trials::second)?;
    let jobs = jobs(&cases);
    let mut done = 0;
    let name = |job: &Job| cases.get(job.scenario).map_or("", |case| case.scenario.name.as_str());
    let outcomes = run_all(&jobs, options.threads, |job| run_job(&cases, job), &mut |job| {
        done += 1;
        let doing = format!("{}: ({}), seed {}", name(job), job.setting.policy.letter(), job.seed);
        told(Progress { done, steps: jobs.len(), doing });
    });
    let mut found: BTreeMap<(usize, usize), Vec<Runs>> = BTreeMap::new();
    for (job, outcome) in jobs.iter().zip(outcomes) {
        let Some(outcome) = outcome.transpose()? else { continue };
        let all = found.entry((job.scenario, job.part)).or_default();
        match all.iter_mut().find(|runs| runs.setting == job.setting) {
            Some(runs) => runs.outcomes.push(outcome),
            None => all.push(Runs { setting: job.setting, outcomes: vec![outcome] }),
        }
    }
    let scenario = |(at, case): (usize, &Case)| {
        let parts = case.parts.iter().enumerate();
        let judged = parts.filter_map(|(part, what)| judge(what, found.get(&(at, part))?));
        case.findings(judged.collect())
    };
    let scenarios = cases.iter().enumerate().map(scenario).collect();
    let wall_seconds = began.elapsed().as_secs_f64();
    let Options { seeds, scale, threads, .. } = *options;
    Ok(Study { seeds, scale, threads, wall_seconds, machine, scenarios })
}

/// Tries settings in each scenario.
fn try_each(
    cases: &mut [Case],
    options: &Options,
    told: &mut dyn FnMut(Progress),
    settings: impl Fn(&Trials) -> Vec<Setting>,
) -> Result<(), StudyError> {
    let all = |(at, case): (usize, &Case)| {
        settings(&case.trials).into_iter().map(move |setting| (at, setting)).collect::<Vec<_>>()
    };
    let jobs: Vec<(usize, Setting)> = cases.iter().enumerate().flat_map(all).collect();
    let mut done = 0;
    let trial = |(at, setting): &(usize, Setting)| {
        let case = cases.get(*at)?;
        Some(run(&case.scenario, case.trial_span()?, *setting, trials::SEED))
    };
    let outcomes = run_all(&jobs, options.threads, trial, &mut |_| {
        done += 1;
        told(Progress { done, steps: jobs.len(), doing: "choosing the static caps".to_owned() });
    });
    for ((at, setting), outcome) in jobs.iter().zip(outcomes) {
        if let (Some(case), Some(outcome)) = (cases.get_mut(*at), outcome) {
            case.trials.add(*setting, outcome?);
        }
    }
    Ok(())
}

fn jobs(cases: &[Case]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (scenario, case) in cases.iter().enumerate() {
        for (part, what) in case.parts.iter().enumerate() {
            for seed in 1..=what.seeds {
                let settings = what.policies.iter().map(|policy| case.trials.setting(*policy));
                jobs.extend(settings.map(|setting| Job { scenario, part, setting, seed }));
            }
        }
    }
    jobs
}

fn run_job(cases: &[Case], job: &Job) -> Option<Result<Outcome, FleetError>> {
    let case = cases.get(job.scenario)?;
    let span = case.parts.get(job.part)?.span(job.seed)?;
    Some(run(&case.scenario, span, job.setting, job.seed))
}
