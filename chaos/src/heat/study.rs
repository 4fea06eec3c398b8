//! The study: chooses the static caps, runs every policy on the same requests, and judges.

use std::collections::BTreeMap;

use helixflow_env::Disk;
use helixflow_simulator::{FleetError, Outcome, Policy, Scenario, Setting, Span, lowest_serving_clock, run};
use serde::Serialize;
use tokio::time::Instant;

use super::findings::{PartFindings, Runs, judge};
use super::machine::Machine;
use super::plan::{Job, Part, Scale, grid, parts};
use super::scenarios::{ScenarioError, named};
use super::work::run_all;
use crate::Progress;

/// The seed that caps are chosen with; the study's own begin at 1.
const TRIAL_SEED: u64 = 0;
/// Caps whose goodput is within this share of the best are as good: of these, the one that throttles least is taken.
const AS_GOOD: f64 = 0.001;
/// A trial's p99 is no worse than (b)'s up to this share above it: about what one seed alone is uncertain by.
const AS_EARLY: f64 = 0.02;

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
    /// Seeds of each part, at the most.
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
    /// The rise of that time at the lowest static clock at which boards can compute what is asked of them, K. No policy that
    /// serves it does with much less: power grows faster than the clock, so who lets one board run slower lets another run
    /// hotter.
    pub rise_bound: f64,
    /// That clock, as a share of the highest.
    pub rise_bound_clock: f64,
    /// The lowest rise of that time among what was tried and is no worse than (b) in goodput and in the p99 of the time to
    /// the first token, K: what the goal for the rise comes to while the bars hold.
    pub rise_within_bars: f64,
    /// Its parts.
    pub parts: Vec<PartFindings>,
}

/// A setting that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The policy's letter.
    pub letter: char,
    /// Its cap.
    pub cap: f64,
    /// Good requests a second.
    pub goodput: f64,
    /// Throttled seconds of boards.
    pub throttle_seconds: f64,
    /// The highest rise, K.
    pub rise: f64,
    /// The 99th percentile of the time to the first token, in seconds.
    pub p99_ttft: f64,
    /// Whether the study runs the policy with it.
    pub chosen: bool,
}

impl ScenarioFindings {
    /// The rise of that time under (b), K.
    #[must_use]
    pub(super) fn blind_rise(&self) -> f64 {
        let blind = self.trials.iter().find(|trial| trial.letter == Policy::LeastLoaded.letter());
        blind.map_or(0.0, |trial| trial.rise)
    }
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
    bound: Setting,
    trials: Vec<(Setting, Outcome)>,
}

impl Case {
    fn new(name: &str, options: &Options) -> Result<Self, StudyError> {
        let scenario = named(name)?;
        let clock = lowest_serving_clock(&scenario)?;
        Ok(Self {
            parts: parts(&scenario, options.scale, options.seeds),
            bound: Setting { policy: Policy::ClockCap, cap: clock },
            scenario,
            trials: Vec::new(),
        })
    }

    /// The settings that are tried before the study: those of the grids, (b) and (f) as they are, and the bound.
    fn tried(&self) -> Vec<Setting> {
        let grids = [Policy::ClockCap, Policy::PowerCap, Policy::HelixFlow].into_iter().flat_map(grid);
        let free = [Policy::LeastLoaded, Policy::HelixFlow].map(|policy| Setting { policy, cap: 1.0 });
        grids.chain(free).chain([self.bound]).collect()
    }

    /// The setting of a policy in the study: the best of those tried for a static cap.
    fn setting(&self, policy: Policy) -> Setting {
        if !matches!(policy, Policy::ClockCap | Policy::PowerCap) {
            return Setting { policy, cap: 1.0 };
        }
        let is_tried = |setting: &Setting| setting.policy == policy && *setting != self.bound;
        let tried: Vec<_> = self.trials.iter().filter(|(setting, _)| is_tried(setting)).collect();
        let best = tried.iter().map(|(_, outcome)| outcome.goodput()).fold(0.0, f64::max);
        let good = tried.into_iter().filter(|(_, outcome)| outcome.goodput() >= best * (1.0 - AS_GOOD));
        let least = good.min_by(|(_, one), (_, other)| one.held.thermal.total_cmp(&other.held.thermal));
        least.map_or(Setting { policy, cap: 1.0 }, |(setting, _)| *setting)
    }

    fn rise_within_bars(&self) -> f64 {
        let first = |outcome: &Outcome| outcome.first.quantile(0.99).unwrap_or_default();
        let blind = self.trials.iter().find(|(setting, _)| setting.policy == Policy::LeastLoaded);
        let Some((_, blind)) = blind else { return 0.0 };
        let (goodput, early) = (blind.goodput() * (1.0 - AS_GOOD), first(blind) * (1.0 + AS_EARLY));
        let holds = |outcome: &Outcome| outcome.goodput() >= goodput && first(outcome) <= early;
        let holding = self.trials.iter().filter(|(_, outcome)| holds(outcome));
        holding.map(|(_, outcome)| outcome.rise).fold(f64::INFINITY, f64::min)
    }

    fn findings(&self, parts: Vec<PartFindings>) -> ScenarioFindings {
        let trial = |(setting, outcome): &(Setting, Outcome)| Trial {
            letter: setting.policy.letter(),
            cap: setting.cap,
            goodput: outcome.goodput(),
            throttle_seconds: outcome.held.thermal,
            rise: outcome.rise,
            p99_ttft: outcome.first.quantile(0.99).unwrap_or_default(),
            chosen: self.setting(setting.policy) == *setting,
        };
        let bound = self.trials.iter().find(|(setting, _)| *setting == self.bound);
        ScenarioFindings {
            name: self.scenario.name.clone(),
            scenario: self.scenario.clone(),
            trials: self.trials.iter().map(trial).collect(),
            trial_hours: trial_span(self).map_or(0.0, |span| span.to - span.from),
            rise_bound: bound.map_or(0.0, |(_, outcome)| outcome.rise),
            rise_bound_clock: self.bound.cap,
            rise_within_bars: self.rise_within_bars(),
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
    try_caps(&mut cases, options, told)?;
    let jobs = jobs(&cases);
    let mut done = 0;
    let name = |job: &Job| cases.get(job.scenario).map_or("", |case| case.scenario.name.as_str());
    let outcomes = run_all(&jobs, options.threads, |job| run_job(&cases, job), &mut |job| {
        done += 1;
        let doing = format!("{}: ({}), seed {}", name(job), job.setting.policy.letter(), job.seed);
        told(Progress { done, steps: jobs.len(), doing });
    });
    let outcomes = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut found: BTreeMap<(usize, usize), Vec<Runs>> = BTreeMap::new();
    for (job, outcome) in jobs.iter().zip(outcomes) {
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

/// Tries the static caps, which favours them: they are chosen on the scenario that they are judged by.
fn try_caps(cases: &mut [Case], options: &Options, told: &mut dyn FnMut(Progress)) -> Result<(), StudyError> {
    let all = |(at, case): (usize, &Case)| {
        case.tried().into_iter().map(move |setting| (at, setting)).collect::<Vec<_>>()
    };
    let jobs: Vec<(usize, Setting)> = cases.iter().enumerate().flat_map(all).collect();
    let mut done = 0;
    let trial = |(at, setting): &(usize, Setting)| {
        let case = cases.get(*at)?;
        let span = trial_span(case)?;
        Some(run(&case.scenario, span, *setting, TRIAL_SEED))
    };
    let outcomes = run_all(&jobs, options.threads, trial, &mut |_| {
        done += 1;
        told(Progress { done, steps: jobs.len(), doing: "choosing the static caps".to_owned() });
    });
    for ((at, setting), outcome) in jobs.iter().zip(outcomes) {
        if let (Some(case), Some(outcome)) = (cases.get_mut(*at), outcome) {
            case.trials.push((*setting, outcome?));
        }
    }
    Ok(())
}

/// An hour of the peak at the smallest size, or all of a smaller part.
fn trial_span(case: &Case) -> Option<Span> {
    let first = case.parts.first()?.spans.first()?;
    let (from, to) = case.scenario.peak.hour;
    Some(if first.to - first.from > to - from { Span { from, to, ..*first } } else { *first })
}

fn jobs(cases: &[Case]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (scenario, case) in cases.iter().enumerate() {
        for (part, what) in case.parts.iter().enumerate() {
            for seed in 1..=what.seeds {
                let settings = Policy::ALL.map(|policy| case.setting(policy));
                jobs.extend(settings.map(|setting| Job { scenario, part, setting, seed }));
            }
        }
    }
    jobs
}

fn run_job(cases: &[Case], job: &Job) -> Result<Outcome, StudyError> {
    let mut sum = Outcome::default();
    let Some(case) = cases.get(job.scenario) else { return Ok(sum) };
    for span in case.parts.get(job.part).iter().flat_map(|part| &part.spans) {
        sum.merge(&run(&case.scenario, *span, job.setting, job.seed)?);
    }
    Ok(sum)
}
