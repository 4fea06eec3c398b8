//! The figures as rows, for scripts and for people, and which bars they miss.

use comfy_table::{CellAlignment, Table, presets};
use helixflow_tests::bench::{Better, Row, median};

use crate::steps::{Figures, Step};

/// What a row may be: at the most where less is better, else at the least. Of the differences in CPU and in memory a line has
/// to explain nearly all. Ten tables a second are the rule; the time in which they are counted begins and ends between two.
const BARS: [(&str, f64); 6] = [
    ("cpu-total", 1.0),
    ("cpu-linear", 0.95),
    ("memory-linear", 0.95),
    ("pick-p99", 100.0),
    ("storm-lost", 0.0),
    ("table-swaps", 10.5),
];
/// What it should be.
const GOALS: [(&str, f64); 1] = [("pick-p99", 20.0)];

/// Every figure as a row.
pub(crate) fn rows(figures: &Figures) -> Vec<Row> {
    let Figures { steps, storm, picked } = figures;
    let lower = |name: &str, unit, value| Row::new(name.to_owned(), unit, Better::Lower, vec![value], vec![]);
    let mut rows = Vec::new();
    for step in steps {
        let mut row = lower(&format!("cpu-{}", step.nodes), "cores", step.usage.mean);
        row.beside.insert("reports_per_second", vec![step.reports]);
        row.beside.insert("most", vec![step.usage.most]);
        rows.push(row);
        rows.push(lower(&format!("memory-{}", step.nodes), "MiB", step.resident_kib as f64 / 1024.0));
    }
    rows.extend(steps.last().map(|step| lower("cpu-total", "cores", step.usage.mean)));
    let cpu = Line::through(steps, |step| step.usage.mean);
    rows.push(lower("cpu-node", "µs a report", cpu.slope * 1e6));
    let memory = Line::through(steps, |step| step.resident_kib as f64);
    rows.push(lower("memory-node", "KiB", memory.slope));
    for (name, line) in [("cpu-linear", cpu), ("memory-linear", memory)] {
        rows.push(Row::new(name.to_owned(), "R²", Better::Higher, vec![line.explained], vec![]));
    }
    rows.extend([
        lower("storm-time", "s", storm.usage.took.as_secs_f64()),
        lower("storm-cpu", "cores", storm.usage.mean),
        lower("storm-cpu-peak", "cores", storm.usage.most),
        lower("storm-lost", "nodes", storm.lost as f64),
        lower("pick-p50", "µs", picked.cpu_p50),
        lower("pick-p99", "µs", picked.cpu_p99),
        lower("pick-wall-p50", "µs", picked.wall_p50),
        lower("pick-wall-p99", "µs", picked.wall_p99),
        lower("pick-error-mean", "of the best", picked.error_mean),
        lower("pick-error-p99", "of the best", picked.error_p99),
        lower("table-swaps", "a second", picked.swaps),
    ]);
    rows
}

/// A line by least squares.
#[derive(Clone, Copy)]
struct Line {
    slope: f64,
    /// The share of the differences that it explains, R².
    explained: f64,
}

impl Line {
    fn through(steps: &[Step], of: impl Fn(&Step) -> f64) -> Self {
        let count = steps.len().max(1) as f64;
        let mean = |of: &dyn Fn(&Step) -> f64| steps.iter().map(of).sum::<f64>() / count;
        let nodes = |step: &Step| step.nodes as f64;
        let (x, y) = (mean(&nodes), mean(&of));
        let together = mean(&|step| (nodes(step) - x) * (of(step) - y));
        let (spread, rise) = (mean(&|step| (nodes(step) - x).powi(2)), mean(&|step| (of(step) - y).powi(2)));
        let explained = if rise > 0.0 && spread > 0.0 { together.powi(2) / (spread * rise) } else { 1.0 };
        Self { slope: if spread > 0.0 { together / spread } else { 0.0 }, explained }
    }
}

/// The rows for people.
pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["row", "unit", "ours", "bar", "goal"]);
    for row in rows {
        table.add_row([
            row.name.clone(),
            row.unit.to_owned(),
            median(&row.ours).map(|ours| format!("{ours:.3}")).unwrap_or_default(),
            of(&BARS, row),
            of(&GOALS, row),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A line for each row beyond its bar.
pub(crate) fn missed(rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| {
        let ours = median(&row.ours)?;
        let (_, bar) = BARS.iter().find(|(name, _)| *name == row.name)?;
        let beyond = match row.better {
            Better::Lower => ours > *bar,
            Better::Higher => ours < *bar,
        };
        beyond.then(|| format!("MISSED: {} is {ours:.3} {}, its bar {bar}", row.name, row.unit))
    };
    rows.iter().filter_map(line).collect()
}

fn of(bounds: &[(&str, f64)], row: &Row) -> String {
    bounds.iter().find(|(name, _)| *name == row.name).map(|(_, bound)| bound.to_string()).unwrap_or_default()
}
