//! What one replica counts and measures, under names registered once: nothing is allocated for a token.

use std::time::Duration;

use helixflow_model::{ModelId, Usage};
use metrics::{Counter, Histogram};

/// The series of one model on this node.
#[derive(Clone)]
pub(super) struct Meter {
    first_token: Histogram,
    next_token: Histogram,
    generated: Counter,
    prompt: Counter,
    cached: Counter,
}

impl Meter {
    pub(super) fn new(model: &ModelId) -> Self {
        let histogram = |name: &'static str| metrics::histogram!(name, "model" => model.to_string());
        let counter = |name: &'static str| metrics::counter!(name, "model" => model.to_string());
        Self {
            first_token: histogram("helixflow_replica_time_to_first_token_seconds"),
            next_token: histogram("helixflow_replica_inter_token_seconds"),
            generated: counter("helixflow_replica_generated_tokens_total"),
            prompt: counter("helixflow_replica_prompt_tokens_total"),
            cached: counter("helixflow_replica_cached_tokens_total"),
        }
    }

    /// A choice's first token, so long after the request.
    pub(super) fn first_token(&self, waited: Duration) {
        self.first_token.record(waited.as_secs_f64());
        self.generated.increment(1);
    }

    /// A further token, so long after the one before.
    pub(super) fn next_token(&self, waited: Duration) {
        self.next_token.record(waited.as_secs_f64());
        self.generated.increment(1);
    }

    /// A request that came to its end.
    pub(super) fn ended(&self, usage: &Usage) {
        self.prompt.increment(u64::from(usage.prompt));
        self.cached.increment(u64::from(usage.cached));
    }
}

/// Uses every series of a model once, for those who look at what is exported.
#[cfg(test)]
pub(crate) fn record_everything(model: &ModelId) {
    let meter = Meter::new(model);
    meter.first_token(Duration::from_millis(1));
    meter.next_token(Duration::from_millis(1));
    meter.ended(&Usage::default());
}
