//! How the start goes on: a line for each process on a terminal, a line for each step elsewhere.

use std::cell::RefCell;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);
/// What a process does.
const PROCESS: &str = "{spinner} {prefix:16} {msg}";
/// How many of all processes are ready.
const TOTAL: &str = "  {prefix:16} [{bar:30}] {pos}/{len} {msg}";

/// What a process does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// In a word or two: where no terminal is, each new one is told.
    pub(crate) phase: String,
    /// More, which may change often; may be empty.
    pub(crate) detail: String,
}

impl Step {
    /// A step without detail.
    pub(crate) fn new(phase: &str) -> Self {
        Self { phase: phase.to_owned(), detail: String::new() }
    }
}

/// The lines, in the order of the processes.
pub(crate) struct Board {
    lines: Vec<ProgressBar>,
    total: ProgressBar,
    said: RefCell<Vec<Step>>,
}

/// The phase that every process is to reach.
pub(crate) const READY: &str = "ready";

impl Board {
    /// A line for each of these processes.
    pub(crate) fn new(names: &[String]) -> Self {
        let all = MultiProgress::new();
        let style =
            ProgressStyle::with_template(PROCESS).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let line = |name: &String| {
            let line = all.add(ProgressBar::new_spinner().with_style(style.clone()));
            line.set_prefix(name.clone());
            line.set_message("starting");
            line.enable_steady_tick(TICK);
            line
        };
        let lines = names.iter().map(line).collect();
        let total = all.add(ProgressBar::new(names.len() as u64));
        total.set_style(ProgressStyle::with_template(TOTAL).unwrap_or_else(|_| ProgressStyle::default_bar()));
        total.set_message(READY);
        Self { lines, total, said: RefCell::new(vec![Step::new("starting"); names.len()]) }
    }

    /// Says what a process does now.
    pub(crate) fn say(&self, index: usize, step: Step) {
        let mut said = self.said.borrow_mut();
        let (Some(line), Some(last)) = (self.lines.get(index), said.get_mut(index)) else { return };
        if *last == step {
            return;
        }
        let news = last.phase != step.phase;
        *last = step.clone();
        let Step { phase, detail } = step;
        if line.is_hidden() {
            if news {
                eprintln!("{} {phase}", line.prefix());
            }
            return;
        }
        line.set_message(if detail.is_empty() { phase.clone() } else { format!("{phase}: {detail}") });
        self.total.set_position(said.iter().filter(|step| step.phase == READY).count() as u64);
    }

    /// Leaves the processes' lines as they are and stops turning.
    pub(crate) fn finish(&self) {
        for line in &self.lines {
            line.finish();
        }
        self.total.finish_and_clear();
    }
}
