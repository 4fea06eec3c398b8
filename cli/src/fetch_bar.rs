//! A progress bar for a model's file.

use std::time::Duration;

use helixflow_node::weights::{Progress, Stage};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

/// How often the bar is drawn anew while nothing moves.
const TICK: Duration = Duration::from_millis(120);
/// Stage, bar, amounts and speed.
const TEMPLATE: &str = "{prefix} {msg:12} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}";

/// Shows how a fetch goes on.
pub(crate) struct FetchBar(ProgressBar);

impl FetchBar {
    /// A bar for this model.
    pub(crate) fn new(model: &str) -> Self {
        let bar = ProgressBar::new(0);
        bar.set_style(ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(model.to_owned());
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Shows the latest progress for as long as the work goes on, then takes the bar away.
    pub(crate) async fn follow<T>(self, mut latest: watch::Receiver<Progress>, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => {
                    self.0.finish_and_clear();
                    return result;
                }
                Ok(()) = latest.changed() => self.show(*latest.borrow_and_update()),
            }
        }
    }

    fn show(&self, progress: Progress) {
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
}
