//! Keeps one process that reads devices: starts it, passes calls and answers, replaces it when it is held.
//!
//! Everything happens in one task, which sleeps while nothing is asked.

use std::time::Duration;

use futures::StreamExt;
use helixflow_model::BoardId;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use super::calls::{Call, Calls};
use super::program::{Launch, Life, Running};
use super::{CallError, Patience};
use crate::device::protocol::{Inventory, Line, MOST_LINE, Request};

/// How often it is looked whether abandoned processes have ended: rarely, since most that hang do so for good.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// What a request may take to be written. The process reads them at once, on a thread that does nothing else.
const WRITE_LIMIT: Duration = Duration::from_secs(1);

/// A process that runs.
struct Link {
    requests: Box<dyn AsyncWrite + Send + Unpin>,
    lines: FramedRead<Box<dyn AsyncRead + Send + Unpin>, LinesCodec>,
    life: Box<dyn Life>,
    since: Instant,
    /// The boards that it has found, once it has told.
    boards: Option<Vec<BoardId>>,
}

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
    /// Whether a process has ever found a board.
    has_found: bool,
    /// Processes that ended or were replaced since a board last answered.
    failures: u32,
    /// Processes that were killed and are not known to have ended.
    abandoned: Vec<Box<dyn Life>>,
}

impl Keeper {
    pub(super) fn new(
        launch: Box<dyn Launch>,
        patience: Patience,
        incoming: mpsc::Receiver<Call>,
        found: watch::Sender<Option<Inventory>>,
    ) -> Self {
        let state = State::Resting { until: Instant::now() };
        let (calls, abandoned) = (Calls::default(), Vec::new());
        Self { launch, patience, incoming, found, calls, state, has_found: false, failures: 0, abandoned }
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
            State::Running(link) => self.patient_until(link, now),
            State::Done => None,
        };
        let look = (!self.abandoned.is_empty()).then(|| now + LOOK_AGAIN);
        next.into_iter().chain(look).min()
    }

    /// When the process is held by the driver and is to be replaced, unless it has answered by then.
    fn patient_until(&self, link: &Link, now: Instant) -> Option<Instant> {
        let Some(boards) = &link.boards else { return Some(link.since + self.patience.open) };
        let late = self.calls.lateness(boards, now);
        let left = |most: Duration| move |late| now + most.saturating_sub(late);
        let one = late.worst.map(left(self.patience.one_late));
        one.into_iter().chain(late.of_all.map(left(self.patience.all_late))).min()
    }

    fn hear(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(Line::Answer(number, answer)) => {
                if self.calls.answered(number, answer) {
                    self.failures = 0;
                }
            }
            Ok(Line::Fault(board, event)) => self.calls.fault(board, event),
            Ok(Line::Found(found)) => self.find(found),
            // The driver's libraries print what they like.
            Err(_) => tracing::debug!(line, "the process that reads devices printed something else"),
        }
    }

    fn find(&mut self, found: Inventory) {
        let State::Running(link) = &mut self.state else { return };
        link.boards = Some(found.boards.iter().map(|info| info.board.clone()).collect());
        for trouble in &found.trouble {
            tracing::warn!(trouble, "not every device can be read");
        }
        let (is_empty, is_well) = (found.boards.is_empty(), found.trouble.is_empty());
        self.has_found |= !is_empty;
        self.found.send_replace(Some(found));
        if is_empty {
            self.lose(&CallError::Ended);
            // Boards that were there may come back: a driver that is loaded anew shows none for a while.
            if is_well && !self.has_found {
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
            Ok(Running { requests, lines, life }) => {
                let lines = FramedRead::new(lines, LinesCodec::new_with_max_length(MOST_LINE));
                let link = Link { requests, lines, life, since: now, boards: None };
                self.state = State::Running(Box::new(link));
            }
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
        if self.patient_until(link, now).is_some_and(|until| now >= until) {
            tracing::warn!("the driver holds the process that reads devices, which is replaced");
            self.lose(&CallError::Replaced);
        }
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
        if link.boards.is_none() {
            return;
        }
        while let Some(request) = self.calls.next(Instant::now()) {
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
