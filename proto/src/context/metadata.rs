//! CallContext to metadata and back.

use std::time::Duration;

use helixflow_model::{InvalidName, Region, RequestId, TenantId};
use http::HeaderMap;
use opentelemetry::propagation::Injector;
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{CallContext, MAX_DEADLINE, Priority};

const REQUEST_ID: &str = "x-request-id";
const TENANT: &str = "helixflow-tenant";
const PRIORITY: &str = "helixflow-priority";
const RESIDENCY: &str = "helixflow-residency";
pub(super) const TRACEPARENT: &str = "traceparent";
const TIMEOUT: &str = "grpc-timeout";

/// Most regions in one residency rule.
const MAX_RESIDENCY: usize = 32;

/// Metadata that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadContext {
    /// A name with wrong characters or length.
    #[error("metadata {key}: {source}")]
    Name {
        /// The metadata's key.
        key: &'static str,
        /// What is wrong with the name.
        source: InvalidName,
    },
    /// A value that is none of those expected.
    #[error("metadata {key} must be {expected}")]
    Value {
        /// The metadata's key.
        key: &'static str,
        /// What it may be.
        expected: &'static str,
    },
}

impl BadContext {
    /// The metadata's key.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Name { key, .. } | Self::Value { key, .. } => key,
        }
    }
}

/// Reads the context of a call. `fresh_id` is used when the caller gave no request id.
pub fn read(headers: &HeaderMap, fresh_id: impl FnOnce() -> RequestId) -> Result<CallContext, BadContext> {
    let request_id = match text(headers, REQUEST_ID)? {
        Some(id) => RequestId::new(id).map_err(|source| BadContext::Name { key: REQUEST_ID, source })?,
        None => fresh_id(),
    };
    let mut context = CallContext::new(request_id);
    if let Some(tenant) = text(headers, TENANT)? {
        context.tenant = TenantId::new(tenant).map_err(|source| BadContext::Name { key: TENANT, source })?;
    }
    context.priority = priority(headers)?;
    context.deadline =
        timeout(headers)?.and_then(|timeout| Instant::now().checked_add(timeout.min(MAX_DEADLINE)));
    context.residency = residency(headers)?;
    context.traceparent = text(headers, TRACEPARENT)?.map(str::to_owned);
    Ok(context)
}

/// Writes the context into an outgoing call, the deadline as what is left of it.
pub fn attach(context: &CallContext, metadata: &mut MetadataMap) {
    put(metadata, REQUEST_ID, context.request_id.as_str());
    put(metadata, TENANT, context.tenant.as_str());
    put(metadata, PRIORITY, word(context.priority));
    if !context.residency.is_empty() {
        let regions: Vec<&str> = context.residency.iter().map(Region::as_str).collect();
        put(metadata, RESIDENCY, &regions.join(","));
    }
    if let Some(traceparent) = &context.traceparent {
        put(metadata, TRACEPARENT, traceparent);
    }
    put_span(metadata);
    if let Some(remaining) = context.remaining() {
        put(metadata, TIMEOUT, &format!("{}m", remaining.as_millis().min(99_999_999)));
    }
}

/// Names the current span as the parent of what the other end does. Where this process makes no traces, there is none,
/// and the caller's own trace context goes on as it came.
fn put_span(metadata: &mut MetadataMap) {
    let span = tracing::Span::current().context();
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&span, &mut Carrier(metadata));
    });
}

struct Carrier<'a>(&'a mut MetadataMap);

impl Injector for Carrier<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (key.parse::<MetadataKey<Ascii>>(), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

fn put(metadata: &mut MetadataMap, key: &'static str, value: &str) {
    if let Ok(value) = value.parse::<MetadataValue<Ascii>>() {
        metadata.insert(key, value);
    }
}

fn text<'a>(headers: &'a HeaderMap, key: &'static str) -> Result<Option<&'a str>, BadContext> {
    let value = headers.get(key).map(|value| value.to_str());
    value.transpose().map_err(|_| BadContext::Value { key, expected: "visible ASCII text" })
}

fn priority(headers: &HeaderMap) -> Result<Priority, BadContext> {
    match text(headers, PRIORITY)? {
        None => Ok(Priority::default()),
        Some(given) => [Priority::Low, Priority::Normal, Priority::High]
            .into_iter()
            .find(|priority| word(*priority) == given)
            .ok_or(BadContext::Value { key: PRIORITY, expected: "low, normal or high" }),
    }
}

const fn word(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
    }
}

fn residency(headers: &HeaderMap) -> Result<Vec<Region>, BadContext> {
    let Some(list) = text(headers, RESIDENCY)? else { return Ok(Vec::new()) };
    if list.split(',').count() > MAX_RESIDENCY {
        return Err(BadContext::Value {
            key: RESIDENCY,
            expected: "at most 32 regions, separated by commas",
        });
    }
    let region =
        |name: &str| Region::new(name.trim()).map_err(|source| BadContext::Name { key: RESIDENCY, source });
    list.split(',').map(region).collect()
}

/// `grpc-timeout` as the gRPC specification has it: at most eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, BadContext> {
    const BAD: BadContext =
        BadContext::Value { key: TIMEOUT, expected: "at most 8 digits and one of H, M, S, m, u, n" };
    let Some(value) = text(headers, TIMEOUT)? else { return Ok(None) };
    let (digits, unit) = value.split_at_checked(value.len().saturating_sub(1)).ok_or(BAD)?;
    if digits.is_empty() || digits.len() > 8 {
        return Err(BAD);
    }
    let amount: u64 = digits.parse().map_err(|_| BAD)?;
    let timeout = match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return Err(BAD),
    };
    Ok(Some(timeout))
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{TraceContextExt, TracerProvider};
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn fresh() -> RequestId {
        RequestId::new("drawn").expect("a valid name")
    }

    #[tokio::test(start_paused = true)]
    async fn a_context_survives_a_hop() {
        let mut sent = CallContext::new(RequestId::new("r-1").expect("a valid name"));
        sent.tenant = TenantId::new("acme").expect("a valid name");
        sent.priority = Priority::High;
        sent.deadline = Some(Instant::now() + Duration::from_secs(3));
        sent.residency =
            vec![Region::new("eu-1").expect("a valid name"), Region::new("eu-2").expect("a valid name")];
        sent.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
        let mut metadata = MetadataMap::new();
        attach(&sent, &mut metadata);
        let got = read(&metadata.into_headers(), fresh).expect("a readable context");
        assert_eq!(got.request_id, sent.request_id);
        assert_eq!(got.tenant, sent.tenant);
        assert_eq!(got.priority, sent.priority);
        assert_eq!(got.deadline, sent.deadline);
        assert_eq!(got.residency, sent.residency);
        assert_eq!(got.traceparent, sent.traceparent);
    }

    #[test]
    fn the_current_span_becomes_the_parent_of_the_next_hop() {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let traced = tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
        let mut sent = CallContext::new(fresh());
        sent.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
        let mut metadata = MetadataMap::new();
        let ours = tracing::subscriber::with_default(traced, || {
            let span = tracing::info_span!("call");
            span.in_scope(|| attach(&sent, &mut metadata));
            span.context().span().span_context().clone()
        });
        let expected = format!("00-{}-{}-01", ours.trace_id(), ours.span_id());
        assert_eq!(metadata.get(TRACEPARENT).and_then(|value| value.to_str().ok()), Some(expected.as_str()));
    }

    #[test]
    fn a_call_without_metadata_gets_a_fresh_id() {
        assert_eq!(read(&HeaderMap::new(), fresh).map(|c| c.request_id), Ok(fresh()));
    }

    #[test]
    fn bad_metadata_is_refused_by_key() {
        for (key, value) in [
            (REQUEST_ID, "with space"),
            (PRIORITY, "urgent"),
            (RESIDENCY, "eu-1,,eu-2"),
            (TIMEOUT, "5"),
            (TIMEOUT, "123456789S"),
            (TIMEOUT, ""),
            (TIMEOUT, "-5S"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(key, http::HeaderValue::from_static(value));
            assert_eq!(read(&headers, fresh).map(|_| ()).map_err(|e| e.key()), Err(key), "{key}: {value:?}");
        }
    }
}
