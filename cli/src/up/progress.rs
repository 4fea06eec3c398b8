//! A line on the terminal for each process, until all are ready.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// The lines, in the order of the processes.
pub(crate) struct Board {
    lines: Vec<ProgressBar>,
}

impl Board {
    /// A line for each of these names.
    pub(crate) fn new(names: impl Iterator<Item = String>) -> Self {
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{spinner} {prefix:16} {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let lines = names.map(|name| {
            let line = all.add(ProgressBar::new_spinner().with_style(style.clone()));
            line.set_prefix(name);
            line.set_message("starting");
            line.enable_steady_tick(TICK);
            line
        });
        Self { lines: lines.collect() }
    }

    /// Says what a process does now.
    pub(crate) fn say(&self, index: usize, state: &str) {
        if let Some(line) = self.lines.get(index) {
            line.set_message(state.to_owned());
        }
    }

    /// Leaves the lines as they are and stops turning.
    pub(crate) fn finish(&self) {
        for line in &self.lines {
            line.finish();
        }
    }
}
