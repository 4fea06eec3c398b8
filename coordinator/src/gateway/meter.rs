//! What a stream cost in time, as the field's dashboards plot it.

use helixflow_model::ModelId;
use tokio::time::Instant;

/// Measures one stream: time to first token, time per output token, duration.
pub(super) struct Meter {
    model: String,
    began: Instant,
    first: Option<Instant>,
    tokens: usize,
    ended: bool,
}

impl Meter {
    pub(super) fn start(model: &ModelId, now: Instant) -> Self {
        Self { model: model.to_string(), began: now, first: None, tokens: 0, ended: false }
    }

    /// Notes tokens that went out.
    pub(super) fn tokens(&mut self, count: usize, now: Instant) {
        self.tokens += count;
        if self.first.is_none() && count > 0 {
            self.first = Some(now);
            self.histogram("gen_ai.server.time_to_first_token", now - self.began);
        }
    }

    /// Notes the end, with the status as a label.
    pub(super) fn end(&mut self, outcome: &'static str, now: Instant) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.histogram("gen_ai.server.request.duration", now - self.began);
        if let Some(first) = self.first.filter(|_| self.tokens > 1) {
            self.histogram("gen_ai.server.time_per_output_token", (now - first) / (self.tokens - 1) as u32);
        }
        let model = self.model.clone();
        metrics::counter!("helixflow_requests_total", "model" => model.clone(), "outcome" => outcome)
            .increment(1);
        metrics::counter!("helixflow_generated_tokens_total", "model" => model).increment(self.tokens as u64);
    }

    fn histogram(&self, name: &'static str, value: std::time::Duration) {
        metrics::histogram!(name, "gen_ai.request.model" => self.model.clone()).record(value.as_secs_f64());
    }
}

impl Drop for Meter {
    /// A client that went away drops the stream before its end.
    fn drop(&mut self) {
        self.end("cancelled", Instant::now());
    }
}
