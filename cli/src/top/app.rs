//! What `top` holds between two moments: the last answer, why none came since, where one looks. Time comes in as arguments.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

use super::history::History;
use super::keys::{Action, Scroll};
use super::view::{Sort, View};
use crate::status::Status;

/// Everything that is shown, and how.
pub(super) struct App {
    status: Status,
    /// When that was answered.
    answered: Instant,
    /// What went wrong since.
    trouble: Option<Trouble>,
    history: History,
    sort: Sort,
    /// The first line that is shown, of those that scroll.
    offset: usize,
    /// How many lines were shown last, and of how many.
    page: usize,
    lines: usize,
}

/// Why no newer answer is there.
struct Trouble {
    error: String,
    since: Instant,
}

impl App {
    /// With a first answer.
    pub(super) fn new(status: Status, now: Instant) -> Self {
        let mut history = History::default();
        history.note(&status);
        let sort = Sort::default();
        Self { status, answered: now, trouble: None, history, sort, offset: 0, page: 0, lines: 0 }
    }

    /// A newer answer.
    pub(super) fn answered(&mut self, status: Status, now: Instant) {
        self.history.note(&status);
        (self.status, self.answered, self.trouble) = (status, now, None);
    }

    /// None came: what was known stays, and ages.
    pub(super) fn failed(&mut self, error: String, now: Instant) {
        let since = self.trouble.take().map_or(now, |trouble| trouble.since);
        self.trouble = Some(Trouble { error, since });
    }

    /// Does what a key asks for; breaks where that is to leave.
    pub(super) fn obey(&mut self, action: Action) -> ControlFlow<()> {
        match action {
            Action::Leave => return ControlFlow::Break(()),
            Action::SortBy(sort) => self.sort = sort,
            Action::Scroll(scroll) => self.scroll(scroll),
            // A frame follows every action.
            Action::Redraw => {}
        }
        ControlFlow::Continue(())
    }

    fn scroll(&mut self, scroll: Scroll) {
        // One line of the page before stays in sight.
        let page = self.page.saturating_sub(1).max(1);
        self.offset = match scroll {
            Scroll::LineUp => self.offset.saturating_sub(1),
            Scroll::LineDown => self.offset + 1,
            Scroll::PageUp => self.offset.saturating_sub(page),
            Scroll::PageDown => self.offset + page,
            Scroll::Top => 0,
            Scroll::Bottom => usize::MAX,
        }
        .min(self.last_offset());
    }

    fn last_offset(&self) -> usize {
        self.lines.saturating_sub(self.page)
    }

    /// Which of so many lines are shown on a page of this height; what was scrolled beyond the end comes back to it.
    pub(super) fn shown(&mut self, lines: usize, page: usize) -> std::ops::Range<usize> {
        (self.lines, self.page) = (lines, page);
        self.offset = self.offset.min(self.last_offset());
        self.offset..lines.min(self.offset + page)
    }

    pub(super) const fn status(&self) -> &Status {
        &self.status
    }

    pub(super) const fn sort(&self) -> Sort {
        self.sort
    }

    /// The rows as of `now`.
    pub(super) fn view(&self, now: Instant) -> View<'_> {
        View::of(&self.status, &self.history, self.sort, self.held(now))
    }

    /// How long ago the answer came.
    pub(super) fn held(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.answered)
    }

    /// Why no newer answer is there, and for how long that has been so.
    pub(super) fn trouble(&self, now: Instant) -> Option<(&str, Duration)> {
        let trouble = self.trouble.as_ref()?;
        Some((&trouble.error, now.saturating_duration_since(trouble.since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::samples;

    fn app(now: Instant) -> App {
        App::new(samples::fleet().into(), now)
    }

    #[test]
    fn scrolling_stays_within_the_lines() {
        let mut app = app(Instant::now());
        assert_eq!(app.shown(50, 20), 0..20);
        for (scroll, first) in [
            (Scroll::LineUp, 0),
            (Scroll::LineDown, 1),
            (Scroll::PageDown, 20),
            (Scroll::PageDown, 30),
            (Scroll::LineDown, 30),
            (Scroll::PageUp, 11),
            (Scroll::Bottom, 30),
            (Scroll::Top, 0),
        ] {
            assert!(app.obey(Action::Scroll(scroll)).is_continue());
            assert_eq!(app.shown(50, 20).start, first, "{scroll:?}");
        }
    }

    #[test]
    fn fewer_lines_bring_the_view_back_to_their_end() {
        let mut app = app(Instant::now());
        app.shown(50, 20);
        assert!(app.obey(Action::Scroll(Scroll::Bottom)).is_continue());
        assert_eq!(app.shown(25, 20), 5..25);
        assert_eq!(app.shown(10, 20), 0..10);
    }

    #[test]
    fn trouble_lasts_from_the_first_failure_to_the_next_answer() {
        let begun = Instant::now();
        let mut app = app(begun);
        app.failed("first".to_owned(), begun + Duration::from_secs(2));
        app.failed("second".to_owned(), begun + Duration::from_secs(5));
        let now = begun + Duration::from_secs(6);
        assert_eq!(app.trouble(now), Some(("second", Duration::from_secs(4))));
        assert_eq!(app.held(now), Duration::from_secs(6));
        app.answered(samples::fleet().into(), now);
        assert_eq!((app.trouble(now), app.held(now)), (None, Duration::ZERO));
    }
}
