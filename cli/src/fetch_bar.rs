//! How the fetch of a model's file goes on: a bar on a terminal, a line now and then elsewhere.

use std::time::Duration;

use helixflow_node::weights::{Progress, Stage};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

/// How often the bar is drawn anew while nothing moves.
const TICK: Duration = Duration::from_millis(120);
/// File, stage, bar, amounts and speed.
const TEMPLATE: &str = "{prefix} {msg:12} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}";
/// Lines that one stage of a fetch is worth where no bar is drawn.
const LINES: u64 = 10;

/// Shows how a fetch goes on.
pub(crate) struct FetchBar {
    bar: ProgressBar,
    title: String,
    /// The last line told where no bar is drawn.
    told: Option<(Stage, u64)>,
}

impl FetchBar {
    /// For the file of this name.
    pub(crate) fn new(title: &str) -> Self {
        let bar = ProgressBar::new(0);
        bar.set_style(
            ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_prefix(title.to_owned());
        bar.enable_steady_tick(TICK);
        Self { bar, title: title.to_owned(), told: None }
    }

    /// Shows the latest progress for as long as the work goes on, then takes the bar away.
    pub(crate) async fn follow<T>(
        mut self,
        mut latest: watch::Receiver<Progress>,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => {
                    self.bar.finish_and_clear();
                    return result;
                }
                Ok(()) = latest.changed() => self.show(*latest.borrow_and_update()),
            }
        }
    }

    fn show(&mut self, progress: Progress) {
        if self.bar.is_hidden() {
            let news = worth_a_line(progress).filter(|line| self.told != Some(*line));
            if let Some((stage, part)) = news {
                self.told = news;
                eprintln!("{}: {} {} %", self.title, word(stage), part * 100 / LINES);
            }
            return;
        }
        self.bar.set_message(word(progress.stage));
        self.bar.set_length(progress.total.0);
        self.bar.set_position(progress.done.0.min(progress.total.0));
    }
}

/// The stage and how many of its [`LINES`] parts are done; none for what takes a moment only.
fn worth_a_line(progress: Progress) -> Option<(Stage, u64)> {
    let part = (progress.done.0.saturating_mul(LINES)).checked_div(progress.total.0).unwrap_or(0).min(LINES);
    match progress.stage {
        Stage::Starting | Stage::Checking | Stage::Ready => None,
        Stage::Waiting | Stage::Downloading | Stage::Unpacking | Stage::Copying => {
            Some((progress.stage, part))
        }
    }
}

const fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Starting => "looking",
        Stage::Waiting => "waiting",
        Stage::Checking => "checking",
        Stage::Downloading => "downloading",
        Stage::Unpacking => "unpacking",
        Stage::Copying => "copying",
        Stage::Ready => "ready",
    }
}

#[cfg(test)]
mod tests {
    use helixflow_model::Bytes;

    use super::*;

    #[test]
    fn a_download_is_worth_a_line_for_each_tenth_of_it() {
        let lines = |stage, total| {
            let all = (0..=1000)
                .map(|done| worth_a_line(Progress { stage, done: Bytes(done), total: Bytes(total) }));
            let mut all: Vec<_> = all.flatten().collect();
            all.dedup();
            all.len()
        };
        assert_eq!(lines(Stage::Downloading, 1000), 11);
        assert_eq!(lines(Stage::Checking, 1000), 0);
        assert_eq!(lines(Stage::Waiting, 0), 1);
    }
}
