//! What is tried before the study, on an hour of a scenario's peak with a seed of its own: static caps, of which each
//! policy that has one gets its best in goodput. That favours them: they are chosen on the scenario that they are judged by.

use helixflow_simulator::{Cap, Outcome, Policy, Setting};
use serde::Serialize;

/// The seed of trials; the study's own begin at 1.
pub(super) const SEED: u64 = 0;
/// Caps of clock and power that are tried, as shares of the highest.
const CAPS: [f64; 5] = [0.95, 0.9, 0.85, 0.8, 0.7];
/// Caps of the rise that are tried, as shares of (b)'s highest. Peaks are some degrees above the steady rise that is capped.
const RISES: [f64; 9] = [0.95, 0.9, 0.86, 0.82, 0.8, 0.78, 0.74, 0.7, 0.66];
/// One is as good as another up to this share of goodput below it, and of its p99 above: about what one seed alone is
/// uncertain by.
const AS_GOOD: f64 = 0.0001;
const AS_EARLY: f64 = 0.02;

/// A setting that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The policy's letter.
    pub letter: char,
    /// Its cap.
    pub cap: Option<Cap>,
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

/// What was tried in one scenario.
#[derive(Clone, Debug, Default)]
pub(super) struct Trials(Vec<(Setting, Outcome)>);

/// What is tried first: (b) and (f) as they are, and caps of clock and power.
pub(super) fn first() -> Vec<Setting> {
    let free = [Policy::LeastLoaded, Policy::HelixFlow].map(|policy| Setting { policy, cap: None });
    let capped = |policy, cap: fn(f64) -> Cap| {
        CAPS.into_iter().map(move |share| Setting { policy, cap: Some(cap(share)) })
    };
    free.into_iter()
        .chain(capped(Policy::ClockCap, Cap::Clock))
        .chain(capped(Policy::PowerCap, Cap::Power))
        .chain(capped(Policy::RoutedClockCap, Cap::Clock))
        .collect()
}

impl Trials {
    /// Adds one.
    pub(super) fn add(&mut self, setting: Setting, outcome: Outcome) {
        self.0.push((setting, outcome));
    }

    /// What is tried then: caps of the rise, by (b)'s.
    pub(super) fn second(&self) -> Vec<Setting> {
        let blind = self.blind_rise();
        let capped = |share| Setting { policy: Policy::RoutedRiseCap, cap: Some(Cap::Rise(share * blind)) };
        RISES.map(capped).into()
    }

    /// The setting of a policy in the study.
    pub(super) fn setting(&self, policy: Policy) -> Setting {
        let best = match policy {
            Policy::ClockCap | Policy::PowerCap | Policy::RoutedClockCap => self.best(policy),
            Policy::RoutedRiseCap => {
                let holding = self.of(policy).filter(|(_, outcome)| self.holds(outcome));
                holding.min_by(|one, other| one.1.rise.total_cmp(&other.1.rise)).or(self.of(policy).next())
            }
            _ => None,
        };
        best.map_or(Setting { policy, cap: None }, |(setting, _)| *setting)
    }

    fn of(&self, policy: Policy) -> impl Iterator<Item = &(Setting, Outcome)> {
        self.0.iter().filter(move |(setting, _)| setting.policy == policy)
    }

    /// Of a policy's trials that are as good as the best, the one that throttles least, and of those the earliest.
    fn best(&self, policy: Policy) -> Option<&(Setting, Outcome)> {
        let best = self.of(policy).map(|(_, outcome)| outcome.goodput()).fold(0.0, f64::max);
        let good = self.of(policy).filter(|(_, outcome)| outcome.goodput() >= best * (1.0 - AS_GOOD));
        good.min_by(|(_, one), (_, other)| {
            let throttled = one.held.thermal.total_cmp(&other.held.thermal);
            throttled.then(first_tokens(one).total_cmp(&first_tokens(other)))
        })
    }

    /// The lowest rise of what is no worse than (b), K.
    pub(super) fn rise_within_bars(&self) -> f64 {
        let holding = self.0.iter().filter(|(_, outcome)| self.holds(outcome));
        holding.map(|(_, outcome)| outcome.rise).fold(f64::INFINITY, f64::min)
    }

    /// All of them, in the order in which they were tried.
    pub(super) fn all(&self) -> Vec<Trial> {
        let trial = |(setting, outcome): &(Setting, Outcome)| Trial {
            letter: setting.policy.letter(),
            cap: setting.cap,
            goodput: outcome.goodput(),
            throttle_seconds: outcome.held.thermal,
            rise: outcome.rise,
            p99_ttft: first_tokens(outcome),
            chosen: self.setting(setting.policy) == *setting,
        };
        self.0.iter().map(trial).collect()
    }

    /// The rise of (b), K.
    pub(super) fn blind_rise(&self) -> f64 {
        self.blind().map_or(0.0, |outcome| outcome.rise)
    }

    fn blind(&self) -> Option<&Outcome> {
        let blind = self.0.iter().find(|(setting, _)| setting.policy == Policy::LeastLoaded);
        blind.map(|(_, outcome)| outcome)
    }

    /// Whether an outcome is no worse than (b)'s.
    fn holds(&self, outcome: &Outcome) -> bool {
        self.blind().is_some_and(|blind| {
            outcome.goodput() >= blind.goodput() * (1.0 - AS_GOOD)
                && first_tokens(outcome) <= first_tokens(blind) * (1.0 + AS_EARLY)
        })
    }
}

fn first_tokens(outcome: &Outcome) -> f64 {
    outcome.first.quantile(0.99).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(good: u64, throttled: f64, rise: f64) -> Outcome {
        let mut outcome = Outcome { seconds: 100.0, good, rise, ..Outcome::default() };
        outcome.held.thermal = throttled;
        outcome
    }

    /// With (b) in it.
    fn trials() -> Trials {
        let mut trials = Trials::default();
        trials.add(Setting { policy: Policy::LeastLoaded, cap: None }, outcome(100_000, 50.0, 60.0));
        trials
    }

    #[test]
    fn a_cap_is_chosen_by_goodput_then_by_throttling_then_the_fastest() {
        let mut trials = trials();
        let clock = |share| Setting { policy: Policy::ClockCap, cap: Some(Cap::Clock(share)) };
        for (share, good, throttled) in [
            (0.95, 99_980, 0.0),
            (0.9, 100_000, 9.0),
            (0.85, 99_995, 3.0),
            (0.8, 100_000, 3.0),
            (0.7, 90_000, 0.0),
        ] {
            trials.add(clock(share), outcome(good, throttled, 50.0));
        }
        assert_eq!(trials.setting(Policy::ClockCap), clock(0.85));
        assert_eq!(trials.setting(Policy::HelixFlow).cap, None);
        assert_eq!(trials.all().iter().filter(|trial| trial.chosen).count(), 2);
    }

    #[test]
    fn a_cap_of_the_rise_is_the_lowest_that_holds_or_the_highest_tried() {
        let mut trials = trials();
        let caps = trials.second();
        assert_eq!(caps.first().and_then(|setting| setting.cap), Some(Cap::Rise(57.0)));
        let (none_holds, some_hold) = ([(90_000, 55.0)], [(100_000, 52.0), (99_995, 50.0), (90_000, 45.0)]);
        for (setting, (good, rise)) in caps.iter().zip(none_holds) {
            trials.add(*setting, outcome(good, 0.0, rise));
        }
        assert_eq!((trials.setting(Policy::RoutedRiseCap), trials.rise_within_bars()), (caps[0], 60.0));
        for (setting, (good, rise)) in caps.iter().skip(1).zip(some_hold) {
            trials.add(*setting, outcome(good, 0.0, rise));
        }
        assert_eq!(trials.setting(Policy::RoutedRiseCap), caps[2]);
        assert_eq!(trials.rise_within_bars(), 50.0);
    }
}
