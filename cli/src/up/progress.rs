//! Progress bars: one for the download, one for each node that loads.

use std::time::Duration;

use helixflow_node::weights::{Progress, Stage};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Shows how a fetch goes on; ends when the fetch does.
pub(crate) struct FetchBar(ProgressBar);

impl FetchBar {
    /// A bar for this model.
    pub(crate) fn new(model: &str) -> Self {
        let bar = ProgressBar::new(0);
        bar.set_style(style("{prefix} {msg:12} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}"));
        bar.set_prefix(model.to_owned());
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Shows the latest.
    pub(crate) fn show(&self, progress: Progress) {
        self.0.set_message(match progress.stage {
            Stage::Starting => "looking",
            Stage::Waiting => "waiting",
            Stage::Checking => "checking",
            Stage::Downloading => "downloading",
            Stage::Unpacking => "unpacking",
            Stage::Copying => "copying",
            Stage::Ready => "ready",
        });
        self.0.set_length(progress.total.0);
        self.0.set_position(progress.done.0.min(progress.total.0));
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        self.0.finish_and_clear();
    }
}

/// A line for each process, until all are ready.
pub(crate) struct Board {
    _all: MultiProgress,
    lines: Vec<ProgressBar>,
}

impl Board {
    /// A line for each of these names.
    pub(crate) fn new(names: impl Iterator<Item = String>) -> Self {
        let all = MultiProgress::new();
        let lines = names.map(|name| {
            let line = all.add(ProgressBar::new_spinner());
            line.set_style(style("{spinner} {prefix:16} {msg}"));
            line.set_prefix(name);
            line.set_message("starting");
            line.enable_steady_tick(TICK);
            line
        });
        let lines = lines.collect();
        Self { _all: all, lines }
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

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
