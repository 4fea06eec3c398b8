//! The one way in: a tower layer that gives every call its context, its span and its deadline.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use helixflow_model::{RequestId, TenantId};
use http::{Request, Response};
use opentelemetry::propagation::Extractor;
use tower::{Layer, Service};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::metadata::read;
use super::span::InSpan;

/// Whose metadata is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Clients: the tenant is what was proven, not what was said.
    Clients,
    /// Processes of the cluster, which forward what another layer has checked.
    Members,
}

/// Puts [`ContextService`] around a server.
#[derive(Clone)]
pub struct ContextLayer {
    trust: Trust,
    fresh_id: Arc<dyn Fn() -> RequestId + Send + Sync>,
}

impl std::fmt::Debug for ContextLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContextLayer").field("trust", &self.trust).finish_non_exhaustive()
    }
}

impl ContextLayer {
    /// `fresh_id` draws an id for a call that came without one.
    pub fn new(trust: Trust, fresh_id: impl Fn() -> RequestId + Send + Sync + 'static) -> Self {
        Self { trust, fresh_id: Arc::new(fresh_id) }
    }
}

impl<S> Layer<S> for ContextLayer {
    type Service = ContextService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        ContextService { inner, layer: self.clone() }
    }
}

/// Makes a [`super::CallContext`] of a call's metadata and opens its span.
#[derive(Clone, Debug)]
pub struct ContextService<S> {
    inner: S,
    layer: ContextLayer,
}

impl<S, B, R> Service<Request<B>> for ContextService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<InSpan<R>>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Self::Response, S::Error>>, InSpan<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let mut context = match read(request.headers(), || (self.layer.fresh_id)()) {
            Ok(context) => context,
            Err(bad) => {
                let status = crate::error::invalid(bad.key(), bad.to_string());
                return Either::Left(ready(Ok(status.into_http())));
            }
        };
        if self.layer.trust == Trust::Clients {
            context.tenant = TenantId::default();
        }
        let span = tracing::info_span!(
            "call",
            path = request.uri().path(),
            request_id = %context.request_id,
            tenant = %context.tenant,
        );
        let parent =
            opentelemetry::global::get_text_map_propagator(|p| p.extract(&Headers(request.headers())));
        // Without a subscriber that exports traces there is no span to give a parent to.
        let _ = span.set_parent(parent);
        request.extensions_mut().insert(context);
        let reply = span.in_scope(|| self.inner.call(request));
        Either::Right(InSpan::new(reply, span))
    }
}

struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
