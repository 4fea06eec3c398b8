//! The step times of the engine model, fitted to measured steps by least squares.
//!
//! A step's time is taken for a sum: by the number of sequences that generate (straight between some sizes of the batch),
//! by the rows of prompts, and by the positions that both attend to.

use helixflow_simulator::StepTime;

use crate::real::Measured;

/// Sizes of the batch between which the time is taken to run straight.
const KNOTS: [usize; 6] = [0, 1, 2, 4, 8, 16];
/// What is fitted: a time at each knot, then one each for prompt rows, their positions, and the others' positions.
const UNKNOWNS: usize = KNOTS.len() + 3;
/// Steps whose time is off by more than so many times the usual deviation were disturbed, and do not count.
const DISTURBED: f64 = 4.0;
/// Rounds of leaving those out.
const ROUNDS: usize = 4;
/// A trifle on the diagonal: what never occurred is fitted as nothing.
const TRIFLE: f64 = 1e-9;

type Row = [f64; UNKNOWNS];

/// The step times; none where the steps do not tell them.
pub(crate) fn fit(steps: &[Measured], sequences: usize) -> Option<StepTime> {
    let mut counted: Vec<&Measured> = steps.iter().collect();
    let mut times = solve(&counted)?;
    for _ in 0..ROUNDS {
        let off = |step: &Measured| (step.took - expected(&times, step)).abs();
        let mut all: Vec<f64> = counted.iter().map(|step| off(step)).collect();
        all.sort_by(f64::total_cmp);
        let usual = *all.get(all.len() / 2)?;
        counted = steps.iter().filter(|step| off(step) <= DISTURBED * usual).collect();
        times = solve(&counted)?;
    }
    let [.., prompt_row, prompt_position, context_position] = times;
    let generating = (0..=sequences).map(|rows| {
        let hats = hats(rows);
        hats.iter().zip(&times).map(|(hat, time)| hat * time).sum::<f64>().max(0.0)
    });
    Some(StepTime {
        generating: generating.collect(),
        weights: 0.0,
        prompt_row: prompt_row.max(0.0),
        prompt_position: prompt_position.max(0.0),
        context_position: context_position.max(0.0),
    })
}

/// How much each knot counts for a batch of this size.
fn hats(rows: usize) -> [f64; KNOTS.len()] {
    let mut hats = [0.0; KNOTS.len()];
    let above = KNOTS.partition_point(|knot| *knot < rows);
    if let (Some(before), Some(knot)) = (above.checked_sub(1), KNOTS.get(above)) {
        let share = (rows - KNOTS[before]) as f64 / (knot - KNOTS[before]) as f64;
        (hats[before], hats[above]) = (1.0 - share, share);
    } else {
        hats[above.min(KNOTS.len() - 1)] = 1.0;
    }
    hats
}

fn row(step: &Measured) -> Row {
    let mut row = [0.0; UNKNOWNS];
    row[..KNOTS.len()].copy_from_slice(&hats(step.generating));
    row[KNOTS.len()..].copy_from_slice(&[step.prompt_rows, step.prompt_positions, step.context]);
    row
}

fn expected(times: &Row, step: &Measured) -> f64 {
    row(step).iter().zip(times).map(|(share, time)| share * time).sum()
}

/// The normal equations, by Gauss and Jordan.
fn solve(steps: &[&Measured]) -> Option<Row> {
    let mut sums = [[0.0; UNKNOWNS + 1]; UNKNOWNS];
    for step in steps {
        let row = row(step);
        for (at, one) in row.iter().enumerate() {
            row.iter().zip(&mut sums[at]).for_each(|(other, sum)| *sum += one * other);
            sums[at][UNKNOWNS] += one * step.took;
        }
    }
    (0..UNKNOWNS).for_each(|at| sums[at][at] += TRIFLE * (1.0 + sums[at][at]));
    for at in 0..UNKNOWNS {
        let pivot = (at..UNKNOWNS).max_by(|a, b| sums[*a][at].abs().total_cmp(&sums[*b][at].abs()))?;
        sums.swap(at, pivot);
        let head = sums[at];
        for (_, line) in sums.iter_mut().enumerate().filter(|(line, _)| *line != at) {
            let factor = line[at] / head[at];
            line.iter_mut().zip(&head).for_each(|(value, head)| *value -= factor * head);
        }
    }
    let solved = std::array::from_fn(|at| sums[at][UNKNOWNS] / sums[at][at]);
    solved.iter().all(|time: &f64| time.is_finite()).then_some(solved)
}
