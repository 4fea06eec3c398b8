//! A reply inside its call's span: the future that makes it, and a stream's body until its last frame.
//!
//! So a span lasts as long as its stream, and log lines on the way to the last token bear the request's id.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use tracing::Span;

pin_project_lite::pin_project! {
    /// A future or a body that runs inside a span.
    #[derive(Debug)]
    pub struct InSpan<T> {
        #[pin]
        inner: T,
        span: Span,
    }
}

impl<T> InSpan<T> {
    pub(super) const fn new(inner: T, span: Span) -> Self {
        Self { inner, span }
    }
}

/// An empty body of a call that was refused, outside any span.
impl<B: Default> Default for InSpan<B> {
    fn default() -> Self {
        Self::new(B::default(), Span::none())
    }
}

impl<F, B, E> Future for InSpan<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<InSpan<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = {
            let _inside = this.span.enter();
            ready!(this.inner.poll(cx))
        };
        let span = this.span.clone();
        Poll::Ready(response.map(|response| response.map(|body| InSpan::new(body, span))))
    }
}

impl<B: Body> Body for InSpan<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let _inside = this.span.enter();
        this.inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{poll_fn, ready};

    use super::*;
    use bytes::Bytes;

    /// A body whose frames bear the name of the span that they are made in.
    #[derive(Default)]
    struct Witness;

    impl Body for Witness {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let name = Span::current().metadata().map_or("none", |span| span.name());
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(name.as_bytes())))))
        }
    }

    #[tokio::test]
    async fn every_frame_of_a_stream_is_made_inside_the_span_of_its_call() {
        let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry());
        let call = ready(Ok::<_, Infallible>(Response::new(Witness)));
        let Ok(response) = InSpan::new(call, tracing::info_span!("call")).await;
        let mut body = Box::pin(response.into_body());
        for _ in 0..2 {
            let frame =
                poll_fn(|cx| body.as_mut().poll_frame(cx)).await.expect("a frame").expect("a good one");
            assert_eq!(frame.into_data().expect("data"), "call");
        }
        assert!(Span::current().is_none(), "the span is left between frames");
    }
}
