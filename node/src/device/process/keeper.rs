//! Keeps one process that reads devices: starts it, passes calls and answers, replaces it when it is held.
//!
//! Everything happens in one task, which sleeps while nothing is asked.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use helixflow_model::BoardId;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::codec::LinesCodecError;

use super::calls::{Call, Calls};
use super::link::Link;
use super::program::{Launch, Life};
use super::replaced::Replaced;
use super::{CallError, Patience};
use crate::device::driver::Refusal;
use crate::device::protocol::{Answer, Inventory, Line, Request};

/// How often it is looked whether abandoned processes have ended: rarely, since most that hang do so for good.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// What a request may take to be written. The process reads them at once, on a thread that does nothing else.
const WRITE_LIMIT: Duration = Duration::from_secs(1);

enum State {
    /// None runs until then.
    Resting { until: Instant },
    /// One runs.
    Running(Box<Link>),
    /// There is nothing to read on this machine.
    Done,
}

enum Event {
    Asked(Option<Call>),
    Said(Option<Result<String, LinesCodecError>>),
    Due,
}

/// Whoever keeps the process.
pub(super) struct Keeper {
    launch: Box<dyn Launch>,
    patience: Patience,
    incoming: mpsc::Receiver<Call>,
    found: watch::Sender<Option<Inventory>>,
    calls: Calls,
    state: State,
    /// The boards that a process has ever found.
    known: BTreeSet<BoardId>,
    /// Processes that ended or were replaced since a board last answered.
    failures: u32,
    /// For which boards processes were replaced.
    replaced: Replaced,
    /// Processes that were killed and are not known to have ended.
    abandoned: Vec<Box<dyn Life>>,
}

/// When a process is replaced unless it answers by then, and for which board, where others are well.
type Replacement = (Instant, Option<BoardId>);

impl Keeper {
    pub(super) fn new(
        launch: Box<dyn Launch>,
        patience: Patience,
        incoming: mpsc::Receiver<Call>,
        found: watch::Sender<Option<Inventory>>,
    ) -> Self {
        let (known, replaced) = (BTreeSet::new(), Replaced::default());
        let (calls, state) = (Calls::default(), State::Resting { until: Instant::now() });
        let abandoned = Vec::new();
        Self { launch, patience, incoming, found, calls, state, known, failures: 0, replaced, abandoned }
    }

    /// Keeps a process until nobody can ask any more.
    pub(super) async fn keep(mut self) {
        while !matches!(self.state, State::Done) {
            match self.event().await {
                Event::Asked(Some(call)) => self.calls.add(call),
                Event::Asked(None) => break,
                Event::Said(Some(Ok(line))) => self.hear(&line),
                Event::Said(None | Some(Err(_))) => self.lose(&CallError::Ended),
                Event::Due => {}
            }
            self.abandoned.retain_mut(|life| !life.has_ended());
            self.start_when_due();
            self.settle();
            self.judge();
            self.send().await;
        }
        self.calls.end_all(|| CallError::Over);
    }

    async fn event(&mut self) -> Event {
        let due = self.due(Instant::now());
        let Self { incoming, state, .. } = self;
        let line = async {
            match state {
                State::Running(link) => link.lines.next().await,
                State::Resting { .. } | State::Done => std::future::pending().await,
            }
        };
        let time = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            call = incoming.recv() => Event::Asked(call),
            line = line => Event::Said(line),
            () = time => Event::Due,
        }
    }

    /// When something is to be done although nothing has come.
    fn due(&self, now: Instant) -> Option<Instant> {
        let next = match &self.state {
            State::Resting { until } => Some(*until),
            State::Running(link) => self.next_of(link),
            State::Done => None,
        };
        let look = (!self.abandoned.is_empty()).then(|| now + LOOK_AGAIN);
        next.into_iter().chain(look).min()
    }

    fn next_of(&self, link: &Link) -> Option<Instant> {
        let settles = if link.settled().is_none() { link.settles(&self.patience) } else { None };
        self.replacement(link).map(|(until, _)| until).into_iter().chain(settles).min()
    }

    /// When the process is to be replaced: nothing opens, no board answers, or one is late for too long.
    fn replacement(&self, link: &Link) -> Option<Replacement> {
        if link.settled().is_none() {
            return Some((link.since + self.patience.open, None));
        }
        let from = link.counts_from(&self.patience);
        let all = self.calls.all_sent_since(link.boards());
        let all = all.map(|sent| (sent.max(from) + self.patience.all_late, None));
        all.into_iter().chain(self.replacement_for_one(link, from)).min()
    }

    /// The same for the sake of one board: its call hangs, or it was there once and this process does not show it.
    ///
    /// While an abandoned process has not ended there is none: whatever holds that one would hold the next as well, and
    /// each would take one of the few places, until all boards are unread for the sake of one.
    fn replacement_for_one(&self, link: &Link, from: Instant) -> Option<Replacement> {
        if !self.abandoned.is_empty() {
            return None;
        }
        let late = self.known.iter().filter(|board| self.calls.is_asked(board)).filter_map(|board| {
            let since = if link.has(board) { self.calls.sent_since(board)?.max(from) } else { link.since };
            Some((since + self.replaced.wait(board, self.patience.one_late), Some(board.clone())))
        });
        late.min()
    }

    fn hear(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(Line::Answer(number, answer)) => self.pass_on(number, answer),
            // The process answers here, not a driver: it shows nothing of how the driver is.
            Ok(Line::NotAsked(number, why)) => {
                self.calls.answered(number, Answer::Refused(Refusal::Failed(why)));
            }
            Ok(Line::Fault(board, event)) => self.calls.fault(board, event),
            Ok(Line::Found(found)) => self.find(found),
            // The driver's libraries print what they like.
            Err(_) => tracing::debug!(line, "the process that reads devices printed something else"),
        }
    }

    fn pass_on(&mut self, number: u64, answer: Answer) {
        let answered = self.calls.answered(number, answer);
        if let (Some(board), State::Running(link)) = (answered, &self.state) {
            self.failures = 0;
            self.replaced.answered(&board, link.since.elapsed(), self.patience.one_late);
        }
    }

    fn find(&mut self, found: Inventory) {
        let State::Running(link) = &mut self.state else { return };
        self.known.extend(found.boards.iter().map(|info| info.board.clone()));
        link.learn(found, Instant::now());
        if let Some(found) = link.settled() {
            self.found.send_replace(Some(found.clone()));
        }
    }

    /// Tells the node what there is, once that has settled.
    fn settle(&mut self) {
        let State::Running(link) = &mut self.state else { return };
        let has_settled = link.settle(&self.patience, Instant::now());
        let Some(found) = link.settled().filter(|_| has_settled) else { return };
        let (is_empty, is_well) = (found.boards.is_empty(), found.trouble.is_empty());
        self.found.send_replace(Some(found.clone()));
        if is_empty {
            self.lose(&CallError::Ended);
            // Boards that were there may come back: a driver that is loaded anew shows none for a while.
            if is_well && self.known.is_empty() {
                self.state = State::Done;
            }
        }
    }

    fn start_when_due(&mut self) {
        let now = Instant::now();
        let abandoned = self.abandoned.len();
        let State::Resting { until } = &mut self.state else { return };
        if abandoned >= self.patience.abandoned {
            *until = now + LOOK_AGAIN;
            self.calls.end_all(|| CallError::Abandoned(abandoned));
            return;
        }
        if now < *until {
            return;
        }
        match self.launch.launch() {
            Ok(process) => self.state = State::Running(Box::new(Link::new(process, now))),
            Err(error) => {
                tracing::warn!(%error, "cannot start the process that reads devices");
                self.rest(now);
                self.calls.end_all(|| CallError::Start(error.to_string()));
            }
        }
    }

    /// Replaces the process when patience is at its end.
    fn judge(&mut self) {
        let now = Instant::now();
        let State::Running(link) = &self.state else { return };
        let Some((_, board)) = self.replacement(link).filter(|(until, _)| now >= *until) else { return };
        match board {
            None => tracing::warn!("the driver holds the process that reads devices, which is replaced"),
            Some(board) => {
                tracing::warn!(%board, "a board does not answer; the process that reads devices is replaced");
                self.replaced.count(board);
            }
        }
        self.lose(&CallError::Replaced);
    }

    /// Gives the process up. Killed it is in any case: nothing is left behind where that works.
    fn lose(&mut self, why: &CallError) {
        let now = Instant::now();
        if let State::Running(mut link) = self.rest(now) {
            link.life.kill();
            self.abandoned.push(link.life);
        }
        self.calls.end_sent(|| why.clone());
    }

    /// Waits before the next start; returns what was before.
    fn rest(&mut self, now: Instant) -> State {
        self.failures = self.failures.saturating_add(1);
        let until = now + self.patience.backoff.pause(self.failures);
        std::mem::replace(&mut self.state, State::Resting { until })
    }

    async fn send(&mut self) {
        let State::Running(link) = &mut self.state else { return };
        while let Some(request) = self.calls.next(Instant::now(), |board| link.may_ask(board)) {
            let written = timeout(WRITE_LIMIT, write(&mut link.requests, &request)).await;
            if !matches!(written, Ok(Ok(()))) {
                self.lose(&CallError::Ended);
                return;
            }
        }
    }
}

async fn write(requests: &mut (dyn AsyncWrite + Send + Unpin), request: &Request) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    requests.write_all(&line).await?;
    requests.flush().await
}

#[cfg(test)]
mod tests;
