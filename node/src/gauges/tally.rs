//! What adds up from reading to reading: throttled time by reason, energy, faults by code. Pure but for [`Tally::set`].
//!
//! A reading stands for the time until the next one, as far as that is within [`LONGEST_HELD`]. Times and energy are kept
//! in full and shown in whole units, which is what a counter holds; a fraction is shown once it has become a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use helixflow_model::{BoardId, BoardReport, ClockReasons};
use metrics::counter;
use tokio::time::Instant;

use super::board::{Labels, labels, with};

/// What a board did for longer than this after a reading is not known: readings come at least once a second, and one that
/// is late by five is given up.
const LONGEST_HELD: Duration = Duration::from_secs(5);
/// So many codes of faults have a series of their own: above that of any driver's that was seen, and few enough for whoever
/// collects them. Further ones are counted together.
const MOST_CODES: usize = 64;
/// The label of those.
const OTHER: &str = "other";
/// The reason that holds no clock back from anything.
const IDLE: &str = "idle";

/// What was counted since the node started.
#[derive(Default)]
pub(super) struct Tally {
    boards: BTreeMap<BoardId, Counted>,
    codes: BTreeSet<u32>,
}

/// What was counted of one board.
struct Counted {
    labels: Labels,
    /// The latest report of it, and when its reading was taken.
    latest: BoardReport,
    at: Instant,
    throttled: BTreeMap<&'static str, Duration>,
    energy: Option<f64>,
    faults: BTreeMap<String, u64>,
}

impl Tally {
    /// Takes in what the node's boards say at `now`; each report once.
    pub(super) fn count(&mut self, boards: &[BoardReport], now: Instant) {
        for report in boards {
            let at = now.checked_sub(report.age).unwrap_or(now);
            let is_new = match self.boards.get_mut(&report.info.board) {
                Some(counted) => counted.advance(report, at),
                None => {
                    self.boards.insert(report.info.board.clone(), Counted::begin(report, at));
                    true
                }
            };
            if is_new {
                self.count_faults(report);
            }
        }
    }

    fn count_faults(&mut self, report: &BoardReport) {
        let Some(counted) = self.boards.get_mut(&report.info.board) else { return };
        for fault in &report.reading.faults {
            let known = self.codes.contains(&fault.code)
                || (self.codes.len() < MOST_CODES && self.codes.insert(fault.code));
            let code = if known { fault.code.to_string() } else { OTHER.to_owned() };
            *counted.faults.entry(code).or_default() += u64::from(fault.count);
        }
    }

    /// Sets every counter.
    pub(super) fn set(&self) {
        for Counted { labels, throttled, energy, faults, .. } in self.boards.values() {
            for (reason, time) in throttled {
                let labels = with(labels, "reason", reason);
                counter!("helixflow_gpu_throttle_seconds_total", &labels).absolute(time.as_secs());
            }
            if let Some(joules) = energy {
                counter!("helixflow_gpu_energy_joules_total", labels).absolute(*joules as u64);
            }
            for (code, count) in faults {
                let labels = with(labels, "code", code);
                counter!("helixflow_gpu_faults_total", &labels).absolute(*count);
            }
        }
    }
}

impl Counted {
    fn begin(report: &BoardReport, at: Instant) -> Self {
        let mut counted = Self {
            labels: labels(report),
            latest: report.clone(),
            at,
            throttled: BTreeMap::new(),
            energy: None,
            faults: BTreeMap::new(),
        };
        counted.open_series();
        counted
    }

    /// Begins at zero what the board can tell of: a rate needs a beginning.
    fn open_series(&mut self) {
        if self.latest.reading.reasons.live().is_some() {
            for reason in ClockReasons(u32::MAX).names().filter(|reason| *reason != IDLE) {
                self.throttled.entry(reason).or_default();
            }
        }
        if self.latest.reading.power.live().is_some() {
            self.energy.get_or_insert(0.0);
        }
    }

    /// Counts the time up to a reading that was taken at `at`; says whether it is one that was not seen before.
    fn advance(&mut self, report: &BoardReport, at: Instant) -> bool {
        let held = at.saturating_duration_since(self.at).min(LONGEST_HELD);
        let before = &self.latest.reading;
        for reason in before.reasons.live().into_iter().flat_map(ClockReasons::names) {
            if let Some(time) = self.throttled.get_mut(reason) {
                *time += held;
            }
        }
        if let (Some(energy), Some(power)) = (&mut self.energy, before.power.live()) {
            *energy += f64::from(power.0) / 1000.0 * held.as_secs_f64();
        }
        // A reading that is told again is the same to the bit, and older.
        let is_new = report.reading != *before || report.age <= self.latest.age;
        self.latest = report.clone();
        self.at = self.at.max(at);
        self.open_series();
        is_new
    }
}
