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

#[cfg(test)]
mod tests {
    use helixflow_model::RequestId;
    use opentelemetry::trace::{TraceContextExt, TracerProvider};
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn context() -> CallContext {
        let mut context = CallContext::new(RequestId::new("r-1").expect("a valid name"));
        context.traceparent = Some(CALLER.to_owned());
        context
    }

    #[test]
    fn a_span_there_hangs_under_the_span_here() {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let traced = tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
        let (here, there) = tracing::subscriber::with_default(traced, || {
            let (here, there) = (tracing::info_span!("here"), tracing::info_span!("there"));
            let carried = here.in_scope(|| context().traceparent_here());
            place_under(&there, carried.as_deref());
            [here, there].map(|span| span.context().span().span_context().clone()).into()
        });
        assert_eq!(here.trace_id(), there.trace_id());
        assert_ne!(here.span_id(), there.span_id());
    }

    #[test]
    fn a_process_that_makes_no_traces_passes_on_its_callers() {
        assert_eq!(context().traceparent_here().as_deref(), Some(CALLER));
    }
}
