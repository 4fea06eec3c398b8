//! What came of an experiment: a row a fault, and the promises that were broken; as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::experiments::Plan;
use crate::history::{History, Kill, Outcome, Request};
use crate::invariants::{Broken, check};

/// An experiment's report. Fields are added, never renamed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The experiment.
    pub experiment: &'static str,
    /// The seed of its prompts.
    pub seed: u64,
    /// Clients that asked all the while.
    pub clients: u16,
    /// Faults that were planned; fewer rows mean that it was broken off.
    pub planned: usize,
    /// Faults, in order.
    pub steps: Vec<Row>,
    /// Requests in all, those before the first fault included.
    pub requests: usize,
    /// Promises that were broken; empty when all of them held.
    pub broken: Vec<Broken>,
}

/// One fault: from it to the next one.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// From 1.
    pub round: u16,
    /// The id of the process that was killed.
    pub killed: String,
    /// Requests that ended.
    pub requests: usize,
    /// With an answer.
    pub ok: usize,
    /// With an error, by its reason.
    pub failed: BTreeMap<String, usize>,
    /// From the kill to the last failure; null when none failed.
    pub last_failure_ms: Option<u64>,
    /// From the kill until the cluster was whole; null when it did not heal in time.
    pub recovery_ms: Option<u64>,
    /// The longest time between two tokens of a stream.
    pub longest_gap_ms: u64,
}

impl Report {
    /// Judges a history.
    #[must_use]
    pub fn new(plan: &Plan, history: &History) -> Self {
        let ends = history.kills.iter().skip(1).map(|kill| kill.at).chain([Duration::MAX]);
        Self {
            experiment: plan.name,
            seed: plan.seed,
            clients: plan.clients,
            planned: plan.steps.len(),
            steps: history
                .kills
                .iter()
                .zip(ends)
                .map(|(kill, end)| row(kill, end, &history.requests))
                .collect(),
            requests: history.requests.len(),
            broken: check(plan, history),
        }
    }

    /// Whether every promise held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }
}

/// What happened from a kill up to `end`.
fn row(kill: &Kill, end: Duration, requests: &[Request]) -> Row {
    let mut row = Row {
        round: kill.round,
        killed: kill.victim.id.clone(),
        requests: 0,
        ok: 0,
        failed: BTreeMap::new(),
        last_failure_ms: None,
        recovery_ms: kill.back.as_ref().map(|back| millis(back.at.saturating_sub(kill.at))),
        longest_gap_ms: 0,
    };
    for request in requests.iter().filter(|request| request.ended >= kill.at && request.ended < end) {
        row.requests += 1;
        row.longest_gap_ms = row.longest_gap_ms.max(millis(request.longest_gap));
        if let Outcome::Answered(_) = request.outcome {
            row.ok += 1;
        } else {
            *row.failed.entry(request.outcome.label().to_owned()).or_default() += 1;
            row.last_failure_ms =
                row.last_failure_ms.max(Some(millis(request.ended.saturating_sub(kill.at))));
        }
    }
    row
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header([
            "round",
            "killed",
            "requests",
            "ok",
            "failed",
            "last failure",
            "recovery",
            "longest gap",
        ]);
        let shown = |time: Option<u64>| time.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
        for row in &self.steps {
            let failed: Vec<String> =
                row.failed.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            table.add_row([
                row.round.to_string(),
                row.killed.clone(),
                row.requests.to_string(),
                row.ok.to_string(),
                if failed.is_empty() { "-".to_owned() } else { failed.join(", ") },
                shown(row.last_failure_ms),
                shown(row.recovery_ms),
                shown(Some(row.longest_gap_ms)),
            ]);
        }
        for column in [0, 2, 3, 5, 6, 7] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "{} of {} faults, {} requests, seed {}",
            self.steps.len(),
            self.planned,
            self.requests,
            self.seed
        )?;
        if self.holds() {
            return writeln!(f, "every promise held");
        }
        writeln!(f, "{} broken:", self.broken.len())?;
        self.broken.iter().try_for_each(|broken| writeln!(f, "  {broken}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample;

    #[test]
    fn a_report_counts_what_followed_each_fault() {
        let (plan, mut history) = sample::healthy();
        let mut failed = history.requests[0].clone();
        failed.outcome = Outcome::ConnectionLost { endpoint: sample::ADDRESS.to_owned(), heard: true };
        history.requests.push(failed);
        let report = Report::new(&plan, &history);
        let row = &report.steps[0];
        assert_eq!((row.requests, row.ok, row.failed["CONNECTION_LOST"]), (2, 1, 1));
        assert_eq!((row.recovery_ms, row.last_failure_ms, row.longest_gap_ms), (Some(2000), Some(1000), 20));
        assert!(!report.holds(), "a node's death breaks no connection of a client");
        assert!(report.to_string().contains("1 CONNECTION_LOST"));
    }
}
