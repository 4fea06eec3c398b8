//! Connections to the nodes: one for each address, opened when first needed and shared by all requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_env::{Network, net::Connector};
use helixflow_proto::hello::{Hello, HelloClient, HelloClientLayer};
use parking_lot::Mutex;
use tonic::transport::{Channel, Endpoint};
use tower::Layer;

/// A node on the same network answers within this, or another replica is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// An idle connection is probed this often, so that a machine that vanished is noticed under a running stream.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// How long a probe may take; a busy node answers it from its network threads.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(4);
/// Connections kept at most; past it all are dropped and opened anew as needed. Far above the nodes of a cluster.
const MAX_CHANNELS: usize = 20_000;

/// A connection to one node, which has to belong to our cluster.
pub(super) type NodeChannel = HelloClient<Channel>;

/// The connections of a gateway.
#[derive(Debug)]
pub(super) struct Channels {
    network: Arc<dyn Network>,
    hello: HelloClientLayer,
    by_address: Mutex<BTreeMap<String, NodeChannel>>,
}

impl Channels {
    pub(super) fn new(network: Arc<dyn Network>, ours: Hello) -> Self {
        Self { network, hello: HelloClientLayer::new(ours), by_address: Mutex::default() }
    }

    /// The connection to the node at `host:port`; it is made, or made again, by the first call on it.
    pub(super) fn to(&self, address: &str) -> Result<NodeChannel, tonic::transport::Error> {
        let mut channels = self.by_address.lock();
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        let channel = endpoint.connect_with_connector_lazy(Connector(Arc::clone(&self.network)));
        let channel = self.hello.layer(channel);
        if channels.len() >= MAX_CHANNELS {
            channels.clear();
        }
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }
}
