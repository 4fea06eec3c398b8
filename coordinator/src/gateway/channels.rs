//! Connections to the nodes: opened by the first call, opened again after a loss, shared by all requests.

use std::sync::Arc;
use std::time::Duration;

use helixflow_env::{Network, net::Connector};
use helixflow_proto::hello::{Hello, HelloClient, HelloClientLayer};
use tonic::transport::{Channel, Endpoint};
use tower::Layer;

use super::dispatch::MAX_STREAMS;

/// A node on the same network answers within this, or another replica is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// While calls wait on a silent connection it is probed this often, so that a machine that vanished is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// How long a probe may take; a busy node answers it from its network threads.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(4);
/// Bytes of one stream that wait here for a slow client, about a hundred tokens; the rest waits on the node.
const STREAM_WINDOW: u32 = 16 * 1024;
/// Room for all streams at once: slow clients never hold back the others on the same connection.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;

/// A connection to one node, which has to belong to our cluster.
pub(super) type NodeChannel = HelloClient<Channel>;

/// Makes connections.
#[derive(Debug)]
pub(super) struct Channels {
    network: Arc<dyn Network>,
    hello: HelloClientLayer,
}

impl Channels {
    pub(super) fn new(network: Arc<dyn Network>, ours: Hello) -> Self {
        Self { network, hello: HelloClientLayer::new(ours) }
    }

    /// To the node at `host:port`; none when that is no address.
    pub(super) fn to(&self, address: &str) -> Option<NodeChannel> {
        let endpoint = match Endpoint::from_shared(format!("http://{address}")) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                tracing::warn!(%address, %error, "a node reports an address that is none");
                return None;
            }
        };
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let channel = endpoint.connect_with_connector_lazy(Connector(Arc::clone(&self.network)));
        Some(self.hello.layer(channel))
    }
}
