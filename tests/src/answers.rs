//! What an engine answers to requests that run together: every event, in order.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use helixflow_engine::schedule::{Event, Request, Verdict};
use helixflow_engine::{Engine, Sink};
use helixflow_model::Usage;

/// Longest silence of an engine: a scalar step of a large batch on a busy machine takes seconds.
const SILENCE: Duration = Duration::from_secs(120);

/// The events of one request: its tokens with their log-probabilities, and how it ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// All events but the last.
    pub events: Vec<Event>,
    /// From the last event. What was found in the cache is not part of the answer.
    pub usage: Usage,
}

struct Tell {
    request: usize,
    events: Sender<(usize, Event)>,
}

impl Sink for Tell {
    fn emit(&mut self, event: Event) -> Verdict {
        match self.events.send((self.request, event)) {
            Ok(()) => Verdict::Continue,
            Err(_) => Verdict::Gone,
        }
    }
}

/// Submits all requests at once and waits for all answers.
///
/// # Errors
/// When a request is refused or fails, or the engine falls silent.
pub fn answers(engine: &Engine, requests: &[Request]) -> Result<Vec<Answer>> {
    let (events, news) = channel();
    let mut handles = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        let sink = Tell { request: number, events: events.clone() };
        handles.push(engine.submit(request.clone(), Box::new(sink))?);
    }
    let mut answers = vec![Answer::default(); requests.len()];
    let mut open = requests.len();
    while open > 0 {
        let (number, event) = news.recv_timeout(SILENCE).context("the engine fell silent")?;
        match event {
            Event::End { usage } => {
                answers[number].usage = usage;
                open -= 1;
            }
            Event::Failed(failure) => bail!("request {number} failed: {failure}"),
            event => answers[number].events.push(event),
        }
    }
    Ok(answers)
}
