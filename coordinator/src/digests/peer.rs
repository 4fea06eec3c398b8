//! The way to one other coordinator: the latest message wins, and a slow or silent one delays nobody.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use helixflow_env::net::Connector;
use helixflow_env::{Env, Randomness};
use helixflow_model::RequestId;
use helixflow_proto::context::{CallContext, attach};
use helixflow_proto::hello::{Hello, HelloClient, HelloClientLayer};
use helixflow_proto::v1::RegionDigest;
use helixflow_proto::v1::digest_service_client::DigestServiceClient;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tower::Layer;

/// To open a connection between far regions, one lost packet included.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// What one message may take: the next two are late then, and nobody is taken for silent yet.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// Messages in a row without an answer after which that is told: the region counts as unheard there by now.
const TOLD_AFTER: u32 = 5;
/// A connection is probed this often while a call waits, so that one over a cut is opened anew.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Messages to one coordinator. They end when it is dropped.
pub(super) struct Peer {
    address: String,
    latest: watch::Sender<Option<Told>>,
}

/// A message, and the time for which its ages are true.
#[derive(Clone)]
struct Told {
    message: Arc<RegionDigest>,
    at: Instant,
}

impl Peer {
    /// To the coordinator that answers at `host:port`; a call opens the connection.
    pub(super) fn to(address: &str, env: &Env, ours: &Hello) -> Self {
        let (latest, messages) = watch::channel(None);
        match Endpoint::from_shared(format!("http://{address}")) {
            Ok(endpoint) => {
                let endpoint = endpoint
                    .connect_timeout(CONNECT_LIMIT)
                    .http2_keep_alive_interval(KEEP_ALIVE)
                    .keep_alive_timeout(CALL_LIMIT);
                let channel = endpoint.connect_with_connector_lazy(Connector(Arc::clone(&env.network)));
                let client = DigestServiceClient::new(HelloClientLayer::new(ours.clone()).layer(channel));
                let random = Arc::clone(&env.random);
                tokio::spawn(send(client, messages, random, address.to_owned()));
            }
            Err(error) => tracing::warn!(%address, %error, "a coordinator's address is none"),
        }
        Self { address: address.to_owned(), latest }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Sends this next, whatever still waits. Its ages are true `at` this time.
    pub(super) fn tell(&self, message: Arc<RegionDigest>, at: Instant) {
        self.latest.send_replace(Some(Told { message, at }));
    }
}

/// Sends the latest message again and again, until nobody gives any.
async fn send(
    mut client: DigestServiceClient<HelloClient<Channel>>,
    mut messages: watch::Receiver<Option<Told>>,
    random: Arc<dyn Randomness>,
    address: String,
) {
    let mut way = Way { address, takes: Duration::ZERO, refused: false, unanswered: 0 };
    while messages.changed().await.is_ok() {
        let Some(Told { message, at }) = messages.borrow_and_update().clone() else { continue };
        let way_ms = u64::try_from((at.elapsed() + way.takes).as_millis()).unwrap_or(u64::MAX);
        let message = RegionDigest { way_ms, ..message.as_ref().clone() };
        let nodes = message.nodes.len();
        let mut request = Request::new(message);
        attach(&CallContext::new(RequestId::drawn(random.next_u64())), request.metadata_mut());
        let begun = Instant::now();
        match timeout(CALL_LIMIT, client.tell(request)).await {
            Ok(Ok(_)) => way.answered(begun.elapsed()),
            Ok(Err(status)) if status.source().is_none() => way.refused(&status),
            Ok(Err(status)) => way.unanswered(status.message(), nodes),
            Err(_) => way.unanswered("it was not answered in time", nodes),
        }
    }
}

/// What is known of the way to one coordinator. Each trouble is told once: the next message follows in a second.
struct Way {
    address: String,
    /// Half of what the last call took.
    takes: Duration,
    refused: bool,
    /// Messages in a row that were not answered.
    unanswered: u32,
}

impl Way {
    fn answered(&mut self, after: Duration) {
        (self.takes, self.refused, self.unanswered) = (after / 2, false, 0);
    }

    /// The other side's own words, not the network's.
    fn refused(&mut self, status: &Status) {
        if !std::mem::replace(&mut self.refused, true) {
            tracing::warn!(
                address = self.address,
                message = status.message(),
                "a coordinator refuses the digests"
            );
        }
    }

    fn unanswered(&mut self, message: &str, nodes: usize) {
        self.unanswered = self.unanswered.saturating_add(1);
        if self.unanswered == TOLD_AFTER {
            tracing::warn!(
                address = self.address,
                nodes,
                message,
                "digests do not arrive: what this region says is not known there"
            );
        } else {
            tracing::debug!(address = self.address, nodes, message, "a digest was not taken");
        }
    }
}

#[cfg(test)]
mod tests {
    use helixflow_env::net::Listener;
    use helixflow_model::ClusterId;
    use helixflow_policy::state::MAX_NODES;
    use helixflow_proto::hello::HelloLayer;
    use helixflow_proto::v1::digest_service_server::{DigestService, DigestServiceServer};
    use helixflow_proto::v1::{NodeReport, RegionDigestAck};
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
    use tokio::sync::mpsc;
    use tokio::time::{sleep, sleep_until};
    use tonic::Response;
    use tonic::transport::Server;

    use super::*;
    use crate::digests::{MAX_DIGEST_BYTES, WINDOW};

    /// What a call takes that is slow.
    const SLOW: Duration = Duration::from_millis(1500);
    /// From one side of the world to the other.
    const FAR: Duration = Duration::from_millis(100);

    /// Tells what came, and answers late.
    struct Far {
        come: mpsc::UnboundedSender<RegionDigest>,
        after: Duration,
    }

    #[tonic::async_trait]
    impl DigestService for Far {
        async fn tell(&self, request: Request<RegionDigest>) -> Result<Response<RegionDigestAck>, Status> {
            let _ = self.come.send(request.into_inner());
            sleep(self.after).await;
            Ok(Response::new(RegionDigestAck::default()))
        }
    }

    fn hello() -> Hello {
        Hello::new(ClusterId::new("c").expect("a valid name"))
    }

    async fn listen(env: &Env, address: &str) -> Listener {
        env.network.bind(address.parse().expect("an address")).await.expect("a port")
    }

    /// A coordinator that answers after so long a time, and what it is told.
    async fn coordinator(env: &Env, address: &str, after: Duration) -> mpsc::UnboundedReceiver<RegionDigest> {
        let (come, came) = mpsc::unbounded_channel();
        let service = DigestServiceServer::new(Far { come, after });
        let server = Server::builder()
            .layer(HelloLayer::new(hello()))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .add_service(service.max_decoding_message_size(MAX_DIGEST_BYTES));
        tokio::spawn(server.serve_with_incoming(listen(env, address).await));
        came
    }

    /// Passes on what it reads after the time of the way.
    async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Send + Unpin + 'static) {
        let (send, mut under_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        tokio::spawn(async move {
            while let Some((arrives, bytes)) = under_way.recv().await {
                sleep_until(arrives).await;
                to.write_all(&bytes).await.expect("somebody reads");
            }
        });
        let mut bytes = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            send.send((Instant::now() + FAR, bytes[..read].to_vec())).expect("somebody writes");
        }
    }

    /// A long way to the coordinator at `there`, which begins at `here`.
    async fn long_way(env: &Env, here: &str, there: &'static str) {
        let (mut port, network) = (listen(env, here).await, Arc::clone(&env.network));
        tokio::spawn(async move {
            while let Ok(near) = port.accept().await {
                let far = network.connect(there.to_owned()).await.expect("a coordinator");
                let ((near_out, near_in), (far_out, far_in)) = (split(near), split(far));
                tokio::spawn(pass(near_out, far_in));
                tokio::spawn(pass(far_out, near_in));
            }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_a_digest_waits_for_the_call_before_it_counts_as_its_way() {
        let env = Env::simulated(1);
        let mut came = coordinator(&env, "127.0.0.1:7000", SLOW).await;
        let peer = Peer::to("127.0.0.1:7000", &env, &hello());
        let mut ways = Vec::new();
        for coordinator in 1..=3 {
            let message = RegionDigest { coordinator, ..RegionDigest::default() };
            peer.tell(Arc::new(message), Instant::now());
            let told = came.recv().await.expect("a digest, once the one before has been answered");
            ways.push(Duration::from_millis(told.way_ms));
        }
        assert_eq!(ways, [Duration::ZERO, SLOW + SLOW / 2, SLOW + SLOW / 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_digest_crosses_a_long_way_within_a_call() {
        let env = Env::simulated(1);
        let mut came = coordinator(&env, "127.0.0.1:7000", Duration::ZERO).await;
        long_way(&env, "127.0.0.1:7001", "127.0.0.1:7000").await;
        let node =
            NodeReport { advertise: "a".repeat(MAX_DIGEST_BYTES / MAX_NODES - 16), ..NodeReport::default() };
        let digest = Arc::new(RegionDigest { nodes: vec![node; MAX_NODES], ..RegionDigest::default() });
        let peer = Peer::to("127.0.0.1:7001", &env, &hello());
        // The first call opens the connection as well.
        for _ in 0..2 {
            peer.tell(Arc::clone(&digest), Instant::now());
            let told = timeout(CALL_LIMIT, came.recv()).await.expect("it comes in time");
            assert_eq!(told.map(|digest| digest.nodes.len()), Some(MAX_NODES));
        }
    }
}
