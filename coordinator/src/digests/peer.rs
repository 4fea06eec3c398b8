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
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use tower::Layer;

/// To open a connection between far regions, one lost packet included.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// What one message may take: the next two are late then, and nobody is taken for silent yet.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// A connection is probed this often while a call waits, so that one over a cut is opened anew.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Messages to one coordinator. They end when it is dropped.
pub(super) struct Peer {
    address: String,
    latest: watch::Sender<Option<Arc<RegionDigest>>>,
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

    /// Sends this next, whatever still waits.
    pub(super) fn tell(&self, message: Arc<RegionDigest>) {
        self.latest.send_replace(Some(message));
    }
}

/// Sends the latest message again and again, until nobody gives any.
async fn send(
    mut client: DigestServiceClient<HelloClient<Channel>>,
    mut messages: watch::Receiver<Option<Arc<RegionDigest>>>,
    random: Arc<dyn Randomness>,
    address: String,
) {
    let (mut way, mut refused) = (Duration::ZERO, false);
    while messages.changed().await.is_ok() {
        let Some(message) = messages.borrow_and_update().clone() else { continue };
        let way_ms = u64::try_from(way.as_millis()).unwrap_or(u64::MAX);
        let mut request = Request::new(RegionDigest { way_ms, ..message.as_ref().clone() });
        attach(&CallContext::new(RequestId::drawn(random.next_u64())), request.metadata_mut());
        let begun = Instant::now();
        match timeout(CALL_LIMIT, client.tell(request)).await {
            Ok(Ok(_)) => (way, refused) = (begun.elapsed() / 2, false),
            // The other side's own words, not the network's. Once is enough: the next digest follows in a second.
            Ok(Err(status)) if status.source().is_none() && !refused => {
                refused = true;
                tracing::warn!(%address, message = status.message(), "a coordinator refuses the digests");
            }
            Ok(Err(status)) => {
                tracing::debug!(%address, message = status.message(), "a digest was not taken");
            }
            Err(_) => tracing::debug!(%address, "a digest was not answered in time"),
        }
    }
}
