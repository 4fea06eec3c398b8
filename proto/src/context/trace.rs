//! The trace of a call that travels with others in one message, and so has no metadata of its own.

use opentelemetry::propagation::{Extractor, Injector};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::CallContext;
use super::metadata::TRACEPARENT;

/// Puts a span under what another process named as its parent.
pub fn place_under(span: &Span, traceparent: Option<&str>) {
    let parent =
        opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&Named(traceparent)));
    // Without a subscriber that exports traces there is no span to give a parent to.
    let _ = span.set_parent(parent);
}

impl CallContext {
    /// What the other end's spans are to hang under: the current span, or, where this process makes no traces, what the
    /// caller's hang under.
    pub fn traceparent_here(&self) -> Option<String> {
        let span = Span::current().context();
        let mut here = Here(None);
        opentelemetry::global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&span, &mut here);
        });
        here.0.or_else(|| self.traceparent.clone())
    }
}

struct Here(Option<String>);

impl Injector for Here {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = Some(value);
        }
    }
}

struct Named<'a>(Option<&'a str>);

impl Extractor for Named<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.filter(|_| key == TRACEPARENT)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|_| TRACEPARENT).collect()
    }
}
