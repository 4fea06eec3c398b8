//! What is run: fleets of which size, over which hours, with how many seeds.

use helixflow_simulator::{Peak, Policy, Scenario, Setting, Span};
use serde::Serialize;

/// Seconds that a fleet fills and warms up before it is measured: ten times the longest time in which a board's heat
/// settles, about a minute.
const RUN_IN: f64 = 600.0;
/// The same of a sampled part, whose time is mostly this: seven times, which leaves a thousandth of what was.
const RUN_IN_SAMPLED: f64 = 420.0;
/// Windows of a sampled hour, one a seed, and how long each is, in hours.
const WINDOWS: u32 = 10;
const WINDOW: f64 = 120.0 / 3600.0;

/// How much is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// A day at 64 boards and the peak hours at 512, request by request; the peak hour at 10,000, sampled; and once more at 64
    /// with the policies that take ours apart.
    Full,
    /// Half an hour of the peak at 64 boards under all policies.
    Quick,
    /// Some minutes of it, to see that all works.
    Sample,
}

/// One size of a scenario's fleet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// Names its plots and rows.
    pub(super) key: &'static str,
    /// What it is, for people.
    pub(super) what: &'static str,
    /// Each seed runs one of them, in turn.
    pub(super) spans: Vec<Span>,
    /// Seeds.
    pub(super) seeds: u64,
    /// Who is compared.
    pub(super) policies: &'static [Policy],
}

impl Part {
    /// The span of a seed.
    pub(super) fn span(&self, seed: u64) -> Option<Span> {
        self.spans.iter().cycle().nth(usize::try_from(seed.checked_sub(1)?).ok()?).copied()
    }

    /// The spans that some seed runs.
    pub(super) fn used(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().take(usize::try_from(self.seeds).unwrap_or(usize::MAX))
    }
}

/// The parts of a scenario.
#[must_use]
pub(super) fn parts(scenario: &Scenario, scale: Scale, seeds: u64) -> Vec<Part> {
    let Peak { hours, hour } = scenario.peak;
    let span = |boards, from, to| Span { boards, from, to, run_in: RUN_IN };
    let part = |key, what, spans| Part { key, what, spans, seeds, policies: Policy::COMPARED };
    let apart = |key, what, span| Part { policies: &Policy::ALL, ..part(key, what, vec![span]) };
    match scale {
        Scale::Full => vec![
            part("64", "a day", vec![span(64, RUN_IN / 3600.0, 24.0)]),
            part("512", "the peak hours", vec![span(512, hours.0, hours.1)]),
            part("10000", "the peak hour, sampled", windows(hour, 10_000)),
            apart("64-apart", "the peak hour, ours taken apart", span(64, hour.0, hour.1)),
        ],
        Scale::Quick => vec![apart("64", "half an hour of the peak", span(64, hour.0, hour.0 + 0.5))],
        Scale::Sample => {
            let brief = Span { run_in: RUN_IN / 2.0, ..span(64, hour.0, hour.0 + 0.1) };
            vec![apart("64", "some minutes of the peak", brief)]
        }
    }
}

/// Windows spread over an hour.
fn windows(hour: (f64, f64), boards: usize) -> Vec<Span> {
    let apart = (hour.1 - hour.0) / f64::from(WINDOWS);
    let window = |n: u32| {
        let from = hour.0 + apart * (f64::from(n) + 0.5);
        Span { boards, from, to: from + WINDOW, run_in: RUN_IN_SAMPLED }
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
        assert_eq!(sizes, [(64, 1, 10), (512, 1, 10), (10_000, 10, 10), (64, 1, 10)]);
        assert_eq!(parts[0].policies.last().map(|policy| policy.letter()), Some('g'));
        let (all, once_more) = (&parts[2], |seed| parts[2].span(seed).map(|span| span.from));
        assert!(all.spans.windows(2).all(|pair| pair[0].to < pair[1].from));
        assert!(once_more(1) < once_more(10) && once_more(11) == once_more(1) && once_more(0).is_none());
    }
}
