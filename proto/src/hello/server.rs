//! The server's side of Hello: a tower layer that refuses strangers and says who we are in every reply.

use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http::{Request, Response};
use tower::{Layer, Service};

use super::Hello;

/// Services that only processes of the cluster may call; elsewhere a Hello is checked when it is there.
const INTERNAL: [&str; 4] = [
    "/helixflow.v1.DigestService/",
    "/helixflow.v1.RaftService/",
    "/helixflow.v1.ShardService/",
    "/helixflow.v1.TelemetryService/",
];

/// Puts [`HelloService`] around a server.
#[derive(Clone, Debug)]
pub struct HelloLayer {
    ours: Hello,
}

impl HelloLayer {
    /// For a process that says `ours`.
    pub const fn new(ours: Hello) -> Self {
        Self { ours }
    }
}

impl<S> Layer<S> for HelloLayer {
    type Service = HelloService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        HelloService { inner, ours: self.ours.clone() }
    }
}

/// Checks the caller's Hello, and writes ours into the reply.
#[derive(Clone, Debug)]
pub struct HelloService<S> {
    inner: S,
    ours: Hello,
}

impl<S, B, R> Service<Request<B>> for HelloService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<R>, S::Error>>, Greeted<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let internal = INTERNAL.iter().any(|prefix| request.uri().path().starts_with(prefix));
        let speaks = internal || Hello::is_in(request.headers());
        if speaks && let Err(stranger) = self.ours.check(request.headers(), "caller") {
            tracing::warn!(%stranger, path = request.uri().path(), "refused a call");
            let mut response = tonic::Status::from(stranger).into_http();
            self.ours.write(response.headers_mut());
            return Either::Left(ready(Ok(response)));
        }
        Either::Right(Greeted { inner: self.inner.call(request), ours: self.ours.clone() })
    }
}

pin_project_lite::pin_project! {
    /// A reply that says who we are.
    #[derive(Debug)]
    pub struct Greeted<F> {
        #[pin]
        inner: F,
        ours: Hello,
    }
}

impl<F, R, E> Future for Greeted<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut output = std::task::ready!(this.inner.poll(cx));
        if let Ok(response) = &mut output {
            this.ours.write(response.headers_mut());
        }
        Poll::Ready(output)
    }
}
