//! One channel for each address, shared by votes, appends, snapshots and forwarded writes; and the address of each member.
//!
//! A member may move. openraft keeps the client that it made when only an address changes, so the address is looked up at
//! each call; the disk in each frame tells that it is the same member.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_env::Network;
use helixflow_env::net::Connector;
use helixflow_model::CoordinatorId;
use helixflow_proto::error::{Reason, status};
use helixflow_proto::hello::{Hello, HelloClient, HelloClientLayer};
use helixflow_proto::v1::raft_service_client::RaftServiceClient;
use parking_lot::Mutex;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tower::Layer;

use super::frame::Envelope;
use super::{MAX_FRAME_BYTES, Peer};
use crate::raft::types::Member;

/// How long a connection may take to be made: a machine that is down answers nothing at all.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// A connection that is silent while calls wait is asked for a sign of life this often,
const KEEP_ALIVE: Duration = Duration::from_millis(500);
/// and given up after this long without one.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(1);
/// Addresses kept: more than there can be coordinators, so that a stream of changes cannot grow it for ever.
const MAX_CHANNELS: usize = 128;

/// A client that says who we are and checks who answers.
pub(crate) type PeerClient = RaftServiceClient<HelloClient<Channel>>;

/// The channels to the other coordinators.
pub(crate) struct Peers {
    us: CoordinatorId,
    hello: HelloClientLayer,
    network: Arc<dyn Network>,
    channels: Mutex<BTreeMap<String, Channel>>,
    /// Where each member is, as the membership says now.
    addresses: Mutex<BTreeMap<CoordinatorId, String>>,
}

impl Peers {
    /// No channel yet.
    pub(crate) fn new(us: CoordinatorId, hello: Hello, network: Arc<dyn Network>) -> Self {
        let (channels, addresses) = (Mutex::default(), Mutex::default());
        Self { us, hello: HelloClientLayer::new(hello), network, channels, addresses }
    }

    /// Takes over where the members are.
    pub(crate) fn locate(&self, members: impl Iterator<Item = (CoordinatorId, String)>) {
        *self.addresses.lock() = members.collect();
    }

    /// Where a member is now; where it was, if it is none any more.
    pub(super) fn address(&self, id: CoordinatorId, known: &str) -> String {
        self.known_address(id).unwrap_or_else(|| known.to_owned())
    }

    /// Where a member is now, if it is one.
    pub(super) fn known_address(&self, id: CoordinatorId) -> Option<String> {
        self.addresses.lock().get(&id).cloned()
    }

    pub(super) fn network(&self) -> &Arc<dyn Network> {
        &self.network
    }

    /// One member, with its frames addressed to it and its disk.
    pub(crate) fn peer(self: &Arc<Self>, target: CoordinatorId, member: &Member) -> Peer {
        let envelope = Envelope { from: self.us, to: target, disk: member.disk };
        Peer { peers: Arc::clone(self), address: member.raft.clone(), envelope }
    }

    /// A client for `host:port`. It connects with the first call.
    pub(crate) fn client(&self, address: &str) -> Result<PeerClient, Status> {
        let channel = self.channel(address)?;
        Ok(PeerClient::new(self.hello.layer(channel))
            .max_decoding_message_size(MAX_FRAME_BYTES)
            .max_encoding_message_size(MAX_FRAME_BYTES))
    }

    fn channel(&self, address: &str) -> Result<Channel, Status> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| {
            status(
                Reason::InvalidParameter,
                format!("{address:?} is no host:port for a coordinator: {error}"),
            )
        })?;
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .connect_with_connector_lazy(Connector(Arc::clone(&self.network)));
        if channels.len() >= MAX_CHANNELS {
            channels.clear();
        }
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }
}
