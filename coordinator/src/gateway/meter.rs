//! What a stream cost in time, under the names that the field's dashboards plot.

use std::time::Duration;

use helixflow_proto::v1::shard_generate_request::Prompt;
use metrics::Label;
use tokio::time::Instant;
use tonic::{Code, Status};
use tracing::Span;

/// The outcome of a request that came to its end.
const OK: &str = "ok";

/// Measures one stream: time to first token, time per output token, duration. Made when the request comes in.
pub(super) struct Meter {
    operation: &'static str,
    model: String,
    began: Instant,
    first: Option<Instant>,
    tokens: usize,
    has_ended: bool,
    /// Of the call: a client that goes away drops the stream outside of it.
    span: Span,
}

impl Meter {
    /// `model` becomes a label, so there must be few of them.
    pub(super) fn start(model: String, prompt: Option<&Prompt>) -> Self {
        let operation = if matches!(prompt, Some(Prompt::Chat(_))) { "chat" } else { "text_completion" };
        Self {
            operation,
            model,
            began: Instant::now(),
            first: None,
            tokens: 0,
            has_ended: false,
            span: Span::current(),
        }
    }

    /// Notes tokens that went out.
    pub(super) fn tokens(&mut self, count: usize, now: Instant) {
        self.tokens += count;
        if self.first.is_none() && count > 0 {
            self.first = Some(now);
            self.record("gen_ai.server.time_to_first_token", now - self.began);
        }
    }

    /// Notes the end: none for an orderly one.
    pub(super) fn end(&mut self, failure: Option<&Status>) {
        self.finish(failure.map_or(OK, |status| label(status.code())));
    }

    fn finish(&mut self, outcome: &'static str) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let now = Instant::now();
        let first = self.first.filter(|_| self.tokens > 1);
        if let (Some(first), Ok(more)) = (first, u32::try_from(self.tokens.saturating_sub(1))) {
            self.record("gen_ai.server.time_per_output_token", (now - first) / more);
        }
        let mut labels = self.labels();
        labels.extend((outcome != OK).then(|| Label::new("error.type", outcome)));
        metrics::histogram!("gen_ai.server.request.duration", labels)
            .record((now - self.began).as_secs_f64());
        let model = self.model.clone();
        metrics::counter!("helixflow_gateway_requests_total", "model" => model.clone(), "outcome" => outcome)
            .increment(1);
        metrics::counter!("helixflow_gateway_generated_tokens_total", "model" => model)
            .increment(self.tokens as u64);
        tracing::debug!(parent: &self.span, outcome, tokens = self.tokens, took = ?(now - self.began), "a request has ended");
    }

    fn record(&self, name: &'static str, value: Duration) {
        metrics::histogram!(name, self.labels()).record(value.as_secs_f64());
    }

    fn labels(&self) -> Vec<Label> {
        vec![
            Label::new("gen_ai.operation.name", self.operation),
            Label::new("gen_ai.request.model", self.model.clone()),
        ]
    }
}

impl Drop for Meter {
    /// A client that went away drops the stream before its end.
    fn drop(&mut self) {
        self.finish("cancelled");
    }
}

/// Codes that requests end with in operation; the others are all `error`.
const fn label(code: Code) -> &'static str {
    match code {
        Code::Unavailable => "unavailable",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::ResourceExhausted => "resource_exhausted",
        Code::InvalidArgument => "invalid_argument",
        Code::NotFound => "not_found",
        _ => "error",
    }
}
