//! What is run: fleets of which size, over which hours, with how many seeds.

use helixflow_simulator::{Peak, Policy, Scenario, Setting, Span};
use serde::Serialize;

/// Seconds that a fleet fills and warms up before it is measured: ten times the longest time in which a board's heat
/// settles, about a minute.
const RUN_IN: f64 = 600.0;
/// Windows of a sampled hour, and how long each is, in hours.
const WINDOWS: u32 = 2;
const WINDOW: f64 = 120.0 / 3600.0;
/// Seeds of a sampled part, at the most: ten thousand boards spread less than sixty-four do.
const SEEDS_SAMPLED: u64 = 3;

/// How much is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// A day at 64 boards and the peak hours at 512, request by request; the peak hour at 10,000, sampled.
    Full,
    /// Half an hour of the peak at 64 boards.
    Quick,
    /// Some minutes of it, to see that all works.
    Sample,
}

/// One size of a scenario's fleet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// What it is, for people.
    pub(super) what: &'static str,
    /// The spans that are run one by one and added up.
    pub(super) spans: Vec<Span>,
    /// Seeds.
    pub(super) seeds: u64,
}

/// The parts of a scenario.
#[must_use]
pub(super) fn parts(scenario: &Scenario, scale: Scale, seeds: u64) -> Vec<Part> {
    let Peak { hours, hour } = scenario.peak;
    let span = |boards, from, to| Span { boards, from, to, run_in: RUN_IN };
    match scale {
        Scale::Full => vec![
            Part { what: "a day", spans: vec![span(64, RUN_IN / 3600.0, 24.0)], seeds },
            Part { what: "the peak hours", spans: vec![span(512, hours.0, hours.1)], seeds },
            Part {
                what: "the peak hour, sampled",
                spans: windows(hour, 10_000),
                seeds: seeds.min(SEEDS_SAMPLED),
            },
        ],
        Scale::Quick => {
            vec![Part {
                what: "half an hour of the peak",
                spans: vec![span(64, hour.0, hour.0 + 0.5)],
                seeds,
            }]
        }
        Scale::Sample => {
            let brief = Span { run_in: RUN_IN / 2.0, ..span(64, hour.0, hour.0 + 0.1) };
            vec![Part { what: "some minutes of the peak", spans: vec![brief], seeds }]
        }
    }
}

/// Windows spread over an hour.
fn windows(hour: (f64, f64), boards: usize) -> Vec<Span> {
    let apart = (hour.1 - hour.0) / f64::from(WINDOWS);
    let window = |n: u32| {
        let from = hour.0 + apart * (f64::from(n) + 0.5);
        Span { boards, from, to: from + WINDOW, run_in: RUN_IN }
    };
    (0..WINDOWS).map(window).collect()
}

/// One run: a part of a scenario under a policy, from a seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Job {
    /// Which of the scenarios.
    pub(super) scenario: usize,
    /// Which of its parts.
    pub(super) part: usize,
    /// Who is in charge.
    pub(super) setting: Setting,
    /// The seed.
    pub(super) seed: u64,
}

/// Static caps that are tried, as shares of the highest clock and of the highest power limit.
const CAPS: [f64; 5] = [0.95, 0.9, 0.85, 0.8, 0.7];

/// The settings that a policy is tried with.
pub(super) fn grid(policy: Policy) -> impl Iterator<Item = Setting> {
    CAPS.into_iter().map(move |cap| Setting { policy, cap })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heat::scenarios;

    #[test]
    fn every_span_lies_within_the_day() {
        for name in scenarios::names() {
            let scenario = scenarios::named(name).unwrap();
            for scale in [Scale::Full, Scale::Quick, Scale::Sample] {
                let spans = parts(&scenario, scale, 10).into_iter().flat_map(|part| part.spans);
                for Span { from, to, run_in, .. } in spans {
                    assert!(from * 3600.0 - run_in >= 0.0 && from < to && to <= 24.0, "{name} {scale:?}");
                }
            }
        }
    }

    #[test]
    fn the_full_study_has_the_sizes_that_it_is_known_for() {
        let parts = parts(&scenarios::named("heat-wave").unwrap(), Scale::Full, 10);
        let sizes: Vec<_> =
            parts.iter().map(|part| (part.spans[0].boards, part.spans.len(), part.seeds)).collect();
        assert_eq!(sizes, [(64, 1, 10), (512, 1, 10), (10_000, 2, 3)]);
    }
}
