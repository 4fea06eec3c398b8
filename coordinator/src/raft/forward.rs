//! Writes on their way to a leader elsewhere: those that wait go in one message.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{FutureExt, stream};
use helixflow_model::CoordinatorId;
use helixflow_proto::context::CallContext;
use parking_lot::Mutex;

use super::batches::Batches;
use super::codec::size;
use super::handle::WRITE_DEADLINE;
use super::network::{Peer, PeerClient, Peers};
use super::record::{ForwardedWrite, ProposeMessage, ProposeReply, WriteAnswer, WriteRecord};
use super::to_leader::was_not_taken;
use super::types::Member;

/// The way to one leader.
type ToLeader = Arc<Batches<ForwardedWrite, WriteAnswer>>;

/// The way of writes to leaders elsewhere.
pub(super) struct Forwarding {
    peers: Arc<Peers>,
    leaders: Mutex<BTreeMap<CoordinatorId, ToLeader>>,
}

impl Forwarding {
    pub(super) fn by(peers: Arc<Peers>) -> Self {
        Self { peers, leaders: Mutex::default() }
    }

    /// Has `leader` make a write, and waits for what became of it.
    pub(super) async fn write(
        &self,
        leader: CoordinatorId,
        member: &Member,
        write: WriteRecord,
        context: &CallContext,
    ) -> WriteAnswer {
        let bytes = size(&write);
        let write = ForwardedWrite::new(context, write);
        self.to(leader, member).submit(write, bytes).await.unwrap_or(WriteAnswer::Unknown)
    }

    fn to(&self, leader: CoordinatorId, member: &Member) -> ToLeader {
        let gather = || {
            let peer = Arc::new(self.peers.peer(leader, member));
            Arc::new(Batches::sent_by(move |writes| send(Arc::clone(&peer), writes).flatten_stream()))
        };
        Arc::clone(self.leaders.lock().entry(leader).or_insert_with(gather))
    }
}

/// What became of each write, in their order.
async fn send(peer: Arc<Peer>, writes: Vec<ForwardedWrite>) -> stream::Iter<std::vec::IntoIter<WriteAnswer>> {
    let count = writes.len();
    let propose = |mut client: PeerClient, frame| async move { client.propose(frame).await };
    // Each caller waits until its own deadline; none has a later one by itself.
    let answers = match peer.call(&ProposeMessage { writes }, WRITE_DEADLINE, propose).await {
        Ok(ProposeReply { answers }) => answers,
        Err(status) if was_not_taken(&status) => vec![WriteAnswer::NotLeader { leader: None }; count],
        Err(status) => {
            tracing::debug!(%status, count, "forwarded writes have no known outcome");
            vec![WriteAnswer::Unknown; count]
        }
    };
    stream::iter(answers)
}
