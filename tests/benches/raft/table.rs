//! The rows for people, and which bars they miss.

use comfy_table::{CellAlignment, Table, presets};
use helixflow_tests::bench::{Row, median, spread};

/// The least ratio of a row of writes, by the number of writers; a row that is spread has the same.
const BARS: [(&str, f64); 3] = [("16", 1.0), ("64", 1.0), ("256", 1.0)];
/// What the ratio should be.
const GOALS: [(&str, f64); 2] = [("1", 1.0), ("64", 2.0)];

/// Medians of all rounds.
pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header([
        "row",
        "unit",
        "ours",
        "spread",
        "etcd",
        "spread",
        "ratio",
        "bar",
        "goal",
        "syncs/write",
        "etcd's",
        "fdatasync/s",
        "growing",
        "bare openraft",
    ]);
    for row in rows {
        let beside = |name, digits| number(row.beside.get(name).and_then(|values| median(values)), digits);
        let digits = if row.unit == "ms" { 2 } else { 0 };
        table.add_row([
            row.name.clone(),
            row.unit.to_owned(),
            number(median(&row.ours), digits),
            percent(spread(&row.ours)),
            number(median(&row.theirs), digits),
            percent(spread(&row.theirs)),
            number(row.ratio, 2),
            number(of(&BARS, &row.name), 1),
            number(of(&GOALS, &row.name), 1),
            beside("syncs_per_write_ours", 2),
            beside("syncs_per_write_theirs", 2),
            beside("fdatasync_zero_filled", 0),
            beside("fdatasync_growing", 0),
            beside("bare_openraft", 0),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A line for each row whose ratio is under its bar.
pub(crate) fn missed(rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| {
        let (bar, ratio) = (of(&BARS, &row.name)?, row.ratio?);
        (ratio < bar).then(|| format!("MISSED: {} is {ratio:.2}, its bar {bar:.1}", row.name))
    };
    rows.iter().filter_map(line).collect()
}

/// What stands for the number of writers of this row of writes.
fn of(bars: &[(&str, f64)], row: &str) -> Option<f64> {
    let writers = row.strip_prefix("writes-")?;
    let writers = writers.strip_suffix("-spread").unwrap_or(writers);
    bars.iter().find(|(name, _)| *name == writers).map(|(_, bar)| *bar)
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map(|value| format!("{value:.digits$}")).unwrap_or_default()
}

fn percent(value: Option<f64>) -> String {
    value.map(|value| format!("{:.0} %", value * 100.0)).unwrap_or_default()
}
