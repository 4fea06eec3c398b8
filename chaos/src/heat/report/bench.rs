//! `heat.json`, in the form of every benchmark: rows of ours beside a peer's, which is (b) here.

use serde::Serialize;

use crate::heat::statistics::{median, median_ratio};
use crate::heat::{Figure, Machine, PartFindings, PolicyFindings, Scale, ScenarioFindings, Study};

/// The benchmark, as scripts read it. Fields are added, never renamed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Bench {
    bench: &'static str,
    scale: Scale,
    seeds: u64,
    machine: Machine,
    rows: Vec<Row>,
}

/// One row: a figure, over all scenarios at the smallest size, or of one part of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Row {
    name: String,
    unit: &'static str,
    ours: Vec<f64>,
    peer: Option<&'static str>,
    theirs: Vec<f64>,
    ratio: Option<f64>,
    limit: Option<f64>,
    share: Option<f64>,
    better: &'static str,
}

impl Row {
    fn new(name: String, figure: Figure, ours: Vec<f64>, theirs: Vec<f64>, limit: Option<f64>) -> Self {
        Self {
            ratio: median_ratio(&ours, &theirs),
            share: median(&ours).zip(limit.filter(|limit| *limit > 0.0)).map(|(ours, limit)| ours / limit),
            name,
            unit: figure.unit(),
            ours,
            peer: Some("least-loaded"),
            theirs,
            limit,
            better: if figure.is_better_higher() { "higher" } else { "lower" },
        }
    }
}

/// The rows of a study: first each figure over all scenarios that count, at the smallest size, one number a run; then the
/// figures of each part.
#[must_use]
pub(super) fn bench(study: &Study) -> Bench {
    let overall = Figure::ALL.into_iter().map(|figure| {
        let smallest = study.scenarios.iter().filter_map(|scenario| scenario.parts.first());
        let pairs: Vec<_> =
            smallest.filter(|part| part.counts).filter_map(|part| sides(part, figure)).collect();
        let (ours, theirs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        Row::new(figure.name().to_owned(), figure, ours.concat(), theirs.concat(), None)
    });
    let mut rows: Vec<Row> = overall.collect();
    for scenario in &study.scenarios {
        rows.extend(
            scenario
                .parts
                .iter()
                .flat_map(|part| Figure::ALL.map(|figure| row(scenario, part, figure)))
                .flatten(),
        );
    }
    Bench { bench: "heat", scale: study.scale, seeds: study.seeds, machine: study.machine.clone(), rows }
}

fn row(scenario: &ScenarioFindings, part: &PartFindings, figure: Figure) -> Option<Row> {
    let name = format!("{}-{}-{}", figure.name(), scenario.name, part.key);
    let (ours, theirs) = sides(part, figure)?;
    let limit = match figure {
        Figure::Goodput => policy(part, 'f').map(|ours| ours.beside.offered),
        Figure::PeakRise | Figure::ThrottleSeconds | Figure::P99Ttft | Figure::EnergyPerToken => None,
    };
    Some(Row::new(name, figure, ours, theirs, limit))
}

/// Ours and (b)'s, seed by seed.
fn sides(part: &PartFindings, figure: Figure) -> Option<(Vec<f64>, Vec<f64>)> {
    let runs = |letter| policy(part, letter)?.runs.get(&figure).cloned();
    Some((runs('f')?, runs('b')?))
}

fn policy(part: &PartFindings, letter: char) -> Option<&PolicyFindings> {
    part.policies.iter().find(|policy| policy.letter == letter)
}
