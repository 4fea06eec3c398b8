//! The client's side of Hello: a tower layer around a channel that says who we are and checks who answers.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use tower::{Layer, Service};

use super::Hello;

/// Puts [`HelloClient`] around a channel.
#[derive(Clone, Debug)]
pub struct HelloClientLayer {
    ours: Hello,
}

impl HelloClientLayer {
    /// For a process that says `ours`.
    pub const fn new(ours: Hello) -> Self {
        Self { ours }
    }
}

impl<S> Layer<S> for HelloClientLayer {
    type Service = HelloClient<S>;
    fn layer(&self, inner: S) -> Self::Service {
        HelloClient { inner, ours: self.ours.clone() }
    }
}

/// A channel whose other end has to belong to our cluster.
#[derive(Clone, Debug)]
pub struct HelloClient<S> {
    inner: S,
    ours: Hello,
}

/// A call that failed, or that a stranger answered.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<S, B, R> Service<Request<B>> for HelloClient<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    R: 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<R>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        self.ours.write(request.headers_mut());
        let ours = self.ours.clone();
        let reply = self.inner.call(request);
        Box::pin(async move {
            let response = reply.await.map_err(Into::into)?;
            // A refusal already says what is wrong; tonic turns this status into the call's error.
            ours.check(response.headers(), "server").map_err(tonic::Status::from)?;
            Ok(response)
        })
    }
}
