//! The gRPC port of a node: gateways generate and tokenize here.

mod seat;
mod service;

use std::sync::Arc;
use std::time::Duration;

use helixflow_actors::{BoardWatch, Roster};
use helixflow_env::Env;
use helixflow_env::net::Listener;
use helixflow_model::{ClusterId, RequestId};
use helixflow_proto::context::{ContextLayer, Trust};
use helixflow_proto::hello::{Hello, HelloLayer};
use helixflow_proto::v1::shard_service_server::ShardServiceServer;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::shard::ShardReplica;
use service::ShardGrpc;

/// The largest message taken: a prompt of the longest text that is tokenized, and its framing.
const MAX_MESSAGE: usize = 8 << 20;
/// Calls under way on one connection, at most: all that one gateway carries.
const MAX_CALLS: u32 = 10_000;
/// A silent gateway is asked for a sign of life this often, so that the streams of one that is cut off are freed.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
/// How long the sign may take.
const KEEP_ALIVE_LIMIT: Duration = Duration::from_secs(10);

/// Serves until `stop` is cancelled and the last stream has ended.
pub(crate) async fn serve(
    listener: Listener,
    cluster: ClusterId,
    env: Env,
    roster: watch::Receiver<Roster<ShardReplica>>,
    boards: BoardWatch,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let service =
        ShardServiceServer::new(ShardGrpc::new(roster, boards)).max_decoding_message_size(MAX_MESSAGE);
    let random = Arc::clone(&env.random);
    Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_LIMIT))
        .max_concurrent_streams(MAX_CALLS)
        .layer(HelloLayer::new(Hello::new(cluster)))
        .layer(ContextLayer::new(Trust::Members, move || RequestId::drawn(random.next_u64())))
        .add_service(service)
        .serve_with_incoming_shutdown(listener, stop.cancelled_owned())
        .await
}
