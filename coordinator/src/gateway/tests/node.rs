//! A node whose every answer a test decides, and whose connections a test can cut.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use helixflow_env::Env;
use helixflow_env::net::Connection;
use helixflow_proto::context::{CallContext, Trust};
use helixflow_proto::error::{Reason, status};
use helixflow_proto::hello::HelloLayer;
use helixflow_proto::v1::generate_response::Event;
use helixflow_proto::v1::shard_service_server::{ShardService, ShardServiceServer};
use helixflow_proto::v1::{
    ChoiceEnd, FinishReason, GenerateResponse, ShardGenerateRequest, ShardTokenizeRequest, StreamEnd,
    StreamStart, TokenChunk, TokenizeResponse, Usage,
};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::Server;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tonic::{Request, Response, Status};

use super::{PATIENCE, context_layer, hello};

/// As a node has it.
const MAX_MESSAGE: usize = 8 << 20;

/// What a node answers to Generate.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// These tokens, and an orderly end.
    Say(&'static [&'static str]),
    /// A refusal with a reason.
    Refuse(Reason),
    /// The transport's own words.
    Fail(&'static str),
    /// A stream that ends before its first message.
    EndAtOnce,
    /// These tokens, and then the stream ends without its last message.
    BreakAfter(&'static [&'static str]),
    /// These tokens, and then nothing more.
    FallSilentAfter(&'static [&'static str]),
    /// Tokens of this many bytes for as long as somebody reads them.
    Babble(usize),
    /// No answer at all.
    Hang,
}

/// A node that serves until it is cut off.
pub(super) struct FakeNode {
    pub(super) address: String,
    seen: Arc<Seen>,
    cut: CancellationToken,
}

/// What came in.
struct Seen {
    act: Mutex<Act>,
    requests: Mutex<Vec<(ShardGenerateRequest, CallContext)>>,
    /// Requests under way.
    running: watch::Sender<usize>,
    /// Tokens made.
    made: Mutex<usize>,
}

impl FakeNode {
    pub(super) async fn start(env: &Env, act: Act) -> Self {
        let port = env.network.bind(([127, 0, 0, 1], 0).into()).await.expect("a port");
        let address = port.local_addr().to_string();
        let seen = Arc::new(Seen {
            act: Mutex::new(act),
            requests: Mutex::default(),
            running: watch::channel(0).0,
            made: Mutex::default(),
        });
        let cut = CancellationToken::new();
        let wire = cut.clone();
        let connections = port.map(move |connection| {
            connection.map(|inner| Wire {
                inner,
                cut: wire.clone(),
                cutting: Box::pin(wire.clone().cancelled_owned()),
            })
        });
        let server = Server::builder()
            .layer(HelloLayer::new(hello()))
            .layer(context_layer(Trust::Members))
            .add_service(
                ShardServiceServer::new(Service(Arc::clone(&seen))).max_decoding_message_size(MAX_MESSAGE),
            )
            .serve_with_incoming_shutdown(connections, cut.clone().cancelled_owned());
        tokio::spawn(server);
        Self { address, seen, cut }
    }

    /// Ends every connection in the middle, as the death of a process does.
    pub(super) fn die(&self) {
        self.cut.cancel();
    }

    pub(super) fn asked(&self) -> usize {
        self.seen.requests.lock().len()
    }

    pub(super) fn requests(&self) -> Vec<(ShardGenerateRequest, CallContext)> {
        self.seen.requests.lock().clone()
    }

    pub(super) fn made(&self) -> usize {
        *self.seen.made.lock()
    }

    /// Waits until so many requests are under way here.
    pub(super) async fn running(&self, expected: usize) {
        let mut running = self.seen.running.subscribe();
        let wait = running.wait_for(|running| *running == expected);
        let _ =
            timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never {expected} requests under way"));
    }
}

struct Service(Arc<Seen>);

/// A request that is under way until this is dropped.
struct Running(Arc<Seen>);

impl Running {
    fn begin(seen: &Arc<Seen>) -> Self {
        seen.running.send_modify(|running| *running += 1);
        Self(Arc::clone(seen))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.send_modify(|running| *running -= 1);
    }
}

type Messages = BoxStream<'static, Result<GenerateResponse, Status>>;

#[tonic::async_trait]
impl ShardService for Service {
    type GenerateStream = Messages;

    async fn generate(&self, request: Request<ShardGenerateRequest>) -> Result<Response<Messages>, Status> {
        let running = Running::begin(&self.0);
        let context = CallContext::of(&request)?.clone();
        let start = Event::Start(StreamStart {
            request_id: context.request_id.to_string(),
            seed: request.get_ref().seed,
            model: "m".to_owned(),
            model_version: "1".to_owned(),
            ..Default::default()
        });
        self.0.requests.lock().push((request.into_inner(), context));
        let act = self.0.act.lock().clone();
        let begun = |texts| stream::iter([start]).chain(stream::iter(said(texts)));
        let events: BoxStream<'static, Event> = match act {
            Act::Hang => std::future::pending().await,
            Act::Refuse(reason) => return Err(status(reason, format!("{} for the test", reason.as_str()))),
            Act::Fail(words) => return Err(Status::unknown(words)),
            Act::EndAtOnce => stream::empty().boxed(),
            Act::Say(texts) => begun(texts).chain(stream::iter(ended())).boxed(),
            Act::BreakAfter(texts) => begun(texts).boxed(),
            Act::FallSilentAfter(texts) => begun(texts).chain(stream::pending()).boxed(),
            Act::Babble(bytes) => {
                begun(&[]).chain(stream::repeat_with(move || token(&"x".repeat(bytes)))).boxed()
            }
        };
        let messages = events.map(move |event| {
            *running.0.made.lock() += 1;
            Ok(GenerateResponse { event: Some(event) })
        });
        Ok(Response::new(messages.boxed()))
    }

    async fn tokenize(
        &self,
        request: Request<ShardTokenizeRequest>,
    ) -> Result<Response<TokenizeResponse>, Status> {
        let ids = request.into_inner().text.bytes().map(u32::from).collect();
        Ok(Response::new(TokenizeResponse { ids, model: "m".to_owned(), model_version: "1".to_owned() }))
    }
}

fn said(texts: &'static [&'static str]) -> impl Iterator<Item = Event> {
    texts.iter().copied().map(token)
}

fn token(text: &str) -> Event {
    Event::Chunk(TokenChunk { text: text.to_owned(), token_ids: vec![1], ..Default::default() })
}

fn ended() -> [Event; 2] {
    let usage = Usage { prompt_tokens: 5, generated_tokens: 2, ..Default::default() };
    [
        Event::ChoiceEnd(ChoiceEnd { reason: FinishReason::Length.into(), ..Default::default() }),
        Event::End(StreamEnd { usage: Some(usage) }),
    ]
}

/// A connection that a test can cut.
struct Wire {
    inner: Connection,
    cut: CancellationToken,
    /// Wakes a reader that waits.
    cutting: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Wire {
    fn intact(&self) -> io::Result<()> {
        if self.cut.is_cancelled() { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cutting.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.intact());
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.intact()?;
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.intact()?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl Connected for Wire {
    type ConnectInfo = TcpConnectInfo;
    fn connect_info(&self) -> TcpConnectInfo {
        self.inner.connect_info()
    }
}
