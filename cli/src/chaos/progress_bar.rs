//! How far an experiment has come: a bar on a terminal; elsewhere ten lines a stage, so that a log shows that it goes on.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use helixflow_chaos::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// How often the bar is drawn anew while nothing moves.
const TICK: Duration = Duration::from_millis(120);
/// Bar, steps, time and what is being done.
const TEMPLATE: &str = "[{bar:30}] {pos}/{len} {elapsed}, {eta} left: {msg}";
/// Lines of each stage where there is no terminal.
const LINES: usize = 10;

/// Shows on standard error.
pub(super) struct Bar {
    drawn: Option<ProgressBar>,
    /// Tenths that were done when it was last told.
    tenths: usize,
}

impl Bar {
    pub(super) fn new() -> Self {
        let drawn = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template(TEMPLATE);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { drawn, tenths: 0 }
    }

    pub(super) fn show(&mut self, progress: Progress) {
        match &self.drawn {
            Some(bar) => {
                bar.set_length(progress.steps as u64);
                bar.set_position(progress.done as u64);
                bar.set_message(progress.doing);
            }
            None => {
                if let Some(line) = self.line(&progress) {
                    // Nobody may be there to read it, which is no reason to end.
                    let _ = writeln!(io::stderr(), "{line}");
                }
            }
        }
    }

    /// What to write, where another tenth is done.
    fn line(&mut self, Progress { done, steps, doing }: &Progress) -> Option<String> {
        let tenths = (done * LINES).checked_div(*steps)?;
        // Fewer than before are those of the next stage.
        let is_news = tenths > std::mem::replace(&mut self.tenths, tenths);
        is_news.then(|| format!("{done} of {steps} done: {doing}"))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.drawn {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_each_tenth_is_one_line() {
        let mut bar = Bar { drawn: None, tenths: 0 };
        for stage in ["first", "second"] {
            let progress = |done| Progress { done, steps: 25, doing: stage.to_owned() };
            let lines: Vec<_> = (0..=25).filter_map(|done| bar.line(&progress(done))).collect();
            assert_eq!((lines.len(), &lines[0]), (LINES, &format!("3 of 25 done: {stage}")));
        }
        assert_eq!(bar.line(&Progress { done: 0, steps: 0, doing: String::new() }), None);
    }
}
