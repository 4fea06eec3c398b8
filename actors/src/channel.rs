//! Channels to coordinators: lazy, checked for a stranger at the other end, and never mute for long.

use std::time::Duration;

use helixflow_env::Env;
use helixflow_env::net::Connector;
use helixflow_model::{ClusterId, RequestId};
use helixflow_proto::context::{CallContext, attach};
use helixflow_proto::hello::{Hello, HelloClient, HelloClientLayer};
use tonic::transport::{Channel, Endpoint};
use tower::Layer;

/// To open a connection: covers one lost SYN packet.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// A silent connection is asked for a sign of life this often: one that was cut off by a dead machine or a partition
/// gives no other sign.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
/// How long the sign may take; a busy machine answers late.
const KEEP_ALIVE_LIMIT: Duration = Duration::from_secs(5);

/// A channel whose other end has to belong to our cluster.
pub(crate) type CoordinatorChannel = HelloClient<Channel>;

/// An address that is no `host:port`.
#[derive(Debug, thiserror::Error)]
#[error("the coordinator address {address:?} is no host:port")]
pub struct BadAddress {
    address: String,
    source: tonic::transport::Error,
}

/// Whether a channel can be opened to it.
pub(crate) fn check(address: &str) -> Result<(), BadAddress> {
    endpoint(address).map(drop)
}

fn endpoint(address: &str) -> Result<Endpoint, BadAddress> {
    Endpoint::from_shared(format!("http://{address}"))
        .map_err(|source| BadAddress { address: address.to_owned(), source })
}

/// A channel to `host:port`; it connects with the first call, and again after a break.
pub(crate) fn open(env: &Env, cluster: &ClusterId, address: &str) -> Result<CoordinatorChannel, BadAddress> {
    let endpoint = endpoint(address)?
        .connect_timeout(CONNECT_LIMIT)
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_LIMIT)
        .keep_alive_while_idle(true);
    let channel = endpoint.connect_with_connector_lazy(Connector(env.network.clone()));
    Ok(HelloClientLayer::new(Hello::new(cluster.clone())).layer(channel))
}

/// A call of this node's own: no client stands behind it.
pub(crate) fn own_call<T>(env: &Env, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    attach(&CallContext::new(RequestId::drawn(env.random.next_u64())), request.metadata_mut());
    request
}
