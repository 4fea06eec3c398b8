//! What the runs of a study say: figures of each policy, paired differences from (b), and whether bars and goals are met.

use std::collections::BTreeMap;

use helixflow_simulator::{Cap, Outcome, Policy, Setting};
use serde::Serialize;

use super::figure::Figure;
use super::plan::Part;
use super::statistics::Interval;

/// A scenario counts only where the least-loaded policy throttles for more than this share of the boards' time at 70 to
/// 90 % load.
const COUNTS_FROM: f64 = 0.02;
/// Throttle seconds that are gone: the bar, and the goal.
const THROTTLE_BAR: f64 = 0.8;
const THROTTLE_GOAL: f64 = 0.98;
/// The goal for the peak rise.
const RISE_GOAL: f64 = 0.18;

/// A part of a scenario, under all policies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartFindings {
    /// Names its plots and rows.
    pub key: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Boards.
    pub boards: usize,
    /// Hours of the day, of each span.
    pub hours: Vec<(f64, f64)>,
    /// Seeds.
    pub seeds: u64,
    /// Requests that arrived in the measured time, of all runs of a policy.
    pub requests: u64,
    /// Share of the boards' time in which heat held clocks down under (b), at 70 to 90 % load.
    pub least_loaded_throttles: f64,
    /// Whether that is enough for the scenario to count.
    pub counts: bool,
    /// Each policy.
    pub policies: Vec<PolicyFindings>,
    /// Bars, then goals.
    pub checks: Vec<Check>,
}

/// A policy in a part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyFindings {
    /// Its letter.
    pub letter: char,
    /// Its name.
    pub policy: &'static str,
    /// The static cap, where it has one.
    pub cap: Option<Cap>,
    /// Each figure, one value a seed.
    pub runs: BTreeMap<Figure, Vec<f64>>,
    /// The mean difference of each figure from (b)'s with the same seed.
    pub against_least_loaded: BTreeMap<Figure, Interval>,
    /// The mean difference of (f)'s from it with the same seed.
    pub helixflow_against: BTreeMap<Figure, Interval>,
    /// Means over the seeds of what else is told.
    pub beside: Beside,
    /// Mean share of boards that are throttled, by the quarter of an hour of the day; none where nothing was measured.
    pub by_quarter: Vec<Option<f64>>,
}

/// What is told beside the figures; all seconds are of boards, as means over the seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Beside {
    /// All of them.
    pub board_seconds: f64,
    /// Throttled gently (0x20).
    pub software_seconds: f64,
    /// Throttled hard (0x40).
    pub hardware_seconds: f64,
    /// At the power limit (0x4).
    pub power_cap_seconds: f64,
    /// Under the power brake (0x80).
    pub power_brake_seconds: f64,
    /// At a clock that was asked for, by the governor or statically (0x2).
    pub requested_seconds: f64,
    /// The share of the highest clock that boards at work lacked, whatever held it down.
    pub clock_lost: f64,
    /// The speed of boards at work, of that at the highest clock.
    pub speed: f64,
    /// The mean over boards of their highest rise, K.
    pub mean_rise: f64,
    /// Requests a second that arrived.
    pub offered: f64,
    /// Requests that nobody took.
    pub refused: f64,
    /// Boards that turned themselves off for heat.
    pub turned_off: f64,
}

/// A bar or a goal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What is asked.
    pub what: String,
    /// Whether it must hold, or is aimed at.
    pub is_bar: bool,
    /// What was found.
    pub found: String,
    /// Whether it holds.
    pub holds: bool,
}

/// A policy's runs of a part, seed by seed.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    pub(super) setting: Setting,
    pub(super) outcomes: Vec<Outcome>,
}

impl Runs {
    fn figure(&self, figure: Figure) -> Vec<f64> {
        self.outcomes.iter().map(|outcome| figure.of(outcome)).collect()
    }

    fn mean(&self, of: impl Fn(&Outcome) -> f64) -> f64 {
        Interval::of(&self.outcomes.iter().map(of).collect::<Vec<_>>()).mean
    }

    fn findings(&self, ours: &Self, blind: &Self) -> PolicyFindings {
        let each = |of: &dyn Fn(Figure) -> Interval| {
            Figure::ALL.into_iter().map(|figure| (figure, of(figure))).collect()
        };
        PolicyFindings {
            letter: self.setting.policy.letter(),
            policy: self.setting.policy.name(),
            cap: self.setting.cap,
            runs: Figure::ALL.into_iter().map(|figure| (figure, self.figure(figure))).collect(),
            against_least_loaded: each(&|figure| self.against(blind, figure)),
            helixflow_against: each(&|figure| ours.against(self, figure)),
            beside: self.beside(),
            by_quarter: self.by_quarter(),
        }
    }

    /// The mean difference of a figure from another's with the same seed.
    fn against(&self, other: &Self, figure: Figure) -> Interval {
        Interval::of_pairs(&self.figure(figure), &other.figure(figure))
    }

    fn beside(&self) -> Beside {
        Beside {
            board_seconds: self.mean(|outcome| outcome.held.boards),
            software_seconds: self.mean(|outcome| outcome.held.software),
            hardware_seconds: self.mean(|outcome| outcome.held.hardware),
            power_cap_seconds: self.mean(|outcome| outcome.held.power_cap),
            power_brake_seconds: self.mean(|outcome| outcome.held.power_brake),
            requested_seconds: self.mean(|outcome| outcome.held.requested),
            clock_lost: self.mean(Outcome::clock_lost),
            speed: self.mean(Outcome::speed),
            mean_rise: self.mean(Outcome::mean_rise),
            offered: self.mean(Outcome::offered),
            refused: self.mean(|outcome| outcome.refused as f64),
            turned_off: self.mean(|outcome| outcome.turned_off as f64),
        }
    }

    fn by_quarter(&self) -> Vec<Option<f64>> {
        let quarters = self.outcomes.iter().map(|outcome| outcome.by_quarter.len()).max().unwrap_or_default();
        let shares = |at: usize| {
            let shares = self.outcomes.iter().filter_map(|outcome| outcome.by_quarter.get(at)?.share());
            shares.collect::<Vec<_>>()
        };
        (0..quarters).map(shares).map(|all| (!all.is_empty()).then(|| Interval::of(&all).mean)).collect()
    }
}

/// Judges the runs of a part; none where a policy that is compared is missing.
pub(super) fn judge(part: &Part, all: &[Runs]) -> Option<PartFindings> {
    let of = |policy: Policy| all.iter().find(|runs| runs.setting.policy == policy);
    let (blind, ours) = (of(Policy::LeastLoaded)?, of(Policy::HelixFlow)?);
    let boards = part.spans.first()?.boards;
    let throttles = blind.mean(|outcome| outcome.held_under_load.share());
    let mut checks = bars(ours, blind);
    checks.extend(goals(ours, blind));
    checks.extend(
        [Policy::ClockCap, Policy::PowerCap].into_iter().filter_map(|policy| Some(ahead(ours, of(policy)?))),
    );
    Some(PartFindings {
        key: part.key,
        what: part.what,
        boards,
        hours: part.used().map(|span| (span.from, span.to)).collect(),
        seeds: part.seeds,
        requests: blind.outcomes.iter().map(|outcome| outcome.asked).sum(),
        least_loaded_throttles: throttles,
        counts: throttles > COUNTS_FROM,
        policies: all.iter().map(|runs| runs.findings(ours, blind)).collect(),
        checks,
    })
}

fn bars(ours: &Runs, blind: &Runs) -> Vec<Check> {
    let (goodput, first) = (ours.against(blind, Figure::Goodput), ours.against(blind, Figure::P99Ttft));
    vec![
        Check {
            what: "goodput not lower than (b)'s beyond the interval".to_owned(),
            is_bar: true,
            found: format!("{:+.4} requests/s ({:+.4} to {:+.4})", goodput.mean, goodput.low, goodput.high),
            holds: goodput.high >= 0.0,
        },
        Check {
            what: "p99 of the time to the first token not higher than (b)'s beyond the interval".to_owned(),
            is_bar: true,
            found: format!("{:+.4} s ({:+.4} to {:+.4})", first.mean, first.low, first.high),
            holds: first.low <= 0.0,
        },
        fewer("throttle seconds", Figure::ThrottleSeconds, THROTTLE_BAR, true, ours, blind),
    ]
}

fn goals(ours: &Runs, blind: &Runs) -> Vec<Check> {
    vec![
        fewer("throttle seconds", Figure::ThrottleSeconds, THROTTLE_GOAL, false, ours, blind),
        fewer("peak rise of a die over its own inlet", Figure::PeakRise, RISE_GOAL, false, ours, blind),
    ]
}

/// How much of (b)'s figure is gone, over all seeds.
fn fewer(what: &str, figure: Figure, wanted: f64, is_bar: bool, ours: &Runs, blind: &Runs) -> Check {
    let sum = |runs: &Runs| runs.figure(figure).iter().sum::<f64>();
    let (ours, theirs) = (sum(ours), sum(blind));
    let gone = if theirs > 0.0 { 1.0 - ours / theirs } else { 0.0 };
    Check {
        what: format!("{what} at least {:.0} % down from (b)'s", wanted * 100.0),
        is_bar,
        found: format!("{:.1} % down", gone * 100.0),
        holds: gone >= wanted,
    }
}

fn ahead(ours: &Runs, other: &Runs) -> Check {
    let difference = ours.against(other, Figure::Goodput);
    let theirs = other.mean(Outcome::goodput).max(f64::MIN_POSITIVE);
    let [mean, low, high] =
        [difference.mean, difference.low, difference.high].map(|value| value / theirs * 100.0);
    let sum = |runs: &Runs, of: fn(&Outcome) -> u64| runs.outcomes.iter().map(of).sum::<u64>();
    let bad = |runs: &Runs| sum(runs, |outcome| outcome.asked) - sum(runs, |outcome| outcome.good);
    Check {
        what: format!("goodput ahead of ({})'s", other.setting.policy.letter()),
        is_bar: false,
        found: format!(
            "{mean:+.4} % ({low:+.4} to {high:+.4}): {} requests of {} are not good, of its {}",
            bad(ours),
            sum(ours, |outcome| outcome.asked),
            bad(other)
        ),
        holds: difference.low > 0.0,
    }
}

#[cfg(test)]
mod tests {
    use helixflow_simulator::Span;

    use super::*;

    fn outcome(throttled: f64, good: u64, rise: f64) -> Outcome {
        let mut outcome =
            Outcome { seconds: 100.0, good, ended: good, asked: good, rise, ..Outcome::default() };
        (outcome.held.thermal, outcome.held.boards) = (throttled, 1000.0);
        outcome.held_under_load = outcome.held;
        outcome
    }

    fn runs(policy: Policy, outcomes: [Outcome; 3]) -> Runs {
        Runs { setting: Setting { policy, cap: None }, outcomes: outcomes.into() }
    }

    fn holding(ours: [Outcome; 3]) -> Vec<bool> {
        let span = Span { boards: 64, from: 14.0, to: 15.0, run_in: 0.0 };
        let part =
            Part { key: "64", what: "a test", spans: vec![span], seeds: 3, policies: Policy::COMPARED };
        let blind =
            runs(Policy::LeastLoaded, [50.0, 60.0, 70.0].map(|throttled| outcome(throttled, 900, 50.0)));
        let cap = runs(Policy::ClockCap, [0.0; 3].map(|throttled| outcome(throttled, 850, 40.0)));
        let findings = judge(&part, &[blind, runs(Policy::HelixFlow, ours), cap]).unwrap();
        assert!(findings.counts && findings.least_loaded_throttles > 0.05);
        findings.checks.iter().map(|check| check.holds).collect()
    }

    #[test]
    fn all_is_met_by_who_throttles_little_and_answers_as_many() {
        let ours = [900, 901, 899].map(|good| outcome(1.0, good, 40.0));
        assert_eq!(holding(ours), [true, true, true, true, true, true]);
    }

    #[test]
    fn lower_goodput_throttling_and_heat_are_told() {
        let ours = [800, 801, 799].map(|good| outcome(30.0, good, 49.0));
        assert_eq!(holding(ours), [false, true, false, false, false, false]);
    }
}
