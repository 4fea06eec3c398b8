//! The membership actor: joins the cluster and brings this node's orders, by whichever coordinator answers.
//!
//! Handling the one message is one attempt at one coordinator: join, then watch until the stream breaks. The next
//! attempt goes to the next coordinator. Like a link it holds nothing that needs undoing.

use std::time::Duration;

use helixflow_control::Backoff;
use helixflow_env::Env;
use helixflow_model::NodeId;
use helixflow_proto::v1;
use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;

use crate::channel::{self, CoordinatorChannel, own_call};
use crate::coordinators::Coordinators;
use crate::identity::NodeIdentity;
use crate::mailbox::{Letter, Mailbox};
use crate::orders::{self, Part};
use crate::tree::Station;

/// While a cluster starts, its first leader is a second or two away; later there is a next coordinator to ask.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(3) };
/// A stream that lived for this long was a good one: after its break the pauses begin anew.
const GOOD_AFTER: Duration = Duration::from_secs(10);
/// To join, or to have the first answer to a watch: a write through the log, over regions.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// What the cluster tells this node.
#[derive(Debug)]
pub(crate) enum News {
    /// The node's id.
    Joined(NodeId),
    /// What it is to run, and whom to report to.
    Part(Part),
}

/// Joins and watches.
pub(crate) struct Membership;

/// The only message: try the next coordinator.
pub(crate) struct Join;

pub(crate) struct MembershipState {
    pub(crate) identity: NodeIdentity,
    /// Whoever is known as each attempt begins.
    pub(crate) coordinators: watch::Receiver<Coordinators>,
    pub(crate) news: Mailbox<News>,
    pub(crate) env: Env,
    pub(crate) attempts: usize,
    /// In a row.
    pub(crate) failures: u32,
    pub(crate) station: Station,
}

impl Actor for Membership {
    type Msg = Letter<Join>;
    type State = MembershipState;
    type Arguments = MembershipState;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: MembershipState,
    ) -> Result<MembershipState, ActorProcessingErr> {
        myself.cast(state.station.mailbox.letter(Join))?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        letter: Self::Msg,
        state: &mut MembershipState,
    ) -> Result<(), ActorProcessingErr> {
        let Join = letter.open();
        let began = Instant::now();
        let asked = state.coordinators.borrow().to_ask(state.attempts).cloned();
        if let Some(address) = asked {
            state.station.runs(format!("asks {address}"));
            let channel = channel::open(&state.env, &state.identity.cluster, &address)?;
            let status = match follow(state, &address, &channel).await {
                Ok(()) => Status::unavailable("the coordinator closed the stream"),
                Err(status) => status,
            };
            let message = status.message();
            tracing::info!(coordinator = %address, message, "cannot take orders here; asking the next");
            state.station.runs(format!("asks the next soon; {address} gave no orders: {message}"));
        }
        state.attempts = state.attempts.wrapping_add(1);
        state.failures = if began.elapsed() >= GOOD_AFTER { 1 } else { state.failures.saturating_add(1) };
        let pause = BACKOFF.jittered(state.failures, state.env.random.next_u64());
        let mailbox = state.station.mailbox.clone();
        myself.send_after(pause, move || mailbox.letter(Join));
        Ok(())
    }
}

/// Joins at one coordinator and passes its orders on until the stream ends.
async fn follow(state: &MembershipState, address: &str, channel: &CoordinatorChannel) -> Result<(), Status> {
    let mut client = ClusterServiceClient::new(channel.clone());
    let NodeIdentity { uuid, region, advertise, memory, boards, .. } = state.identity.clone();
    let request = v1::JoinNodeRequest {
        uuid,
        region: region.to_string(),
        advertise,
        memory_bytes: memory.0,
        boards: boards.into_iter().map(Into::into).collect(),
    };
    let joined = in_time(client.join_node(own_call(&state.env, request))).await?.into_inner();
    pass_on(state, News::Joined(NodeId(joined.node)));
    let request = own_call(&state.env, v1::WatchNodeRequest { node: joined.node });
    let mut parts = in_time(client.watch_node(request)).await?.into_inner();
    state.station.runs(format!("takes orders from {address}"));
    while let Some(part) = parts.message().await? {
        match orders::read(part) {
            Ok(part) => pass_on(state, News::Part(part)),
            Err(bad) => {
                tracing::error!(%bad, "orders that make no sense are not obeyed; upgrade the older side");
            }
        }
    }
    Ok(())
}

async fn in_time<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late = |_| Status::deadline_exceeded(format!("no answer within {CALL_LIMIT:?}"));
    tokio::time::timeout(CALL_LIMIT, call).await.map_err(late)?
}

/// A supervisor that has ended takes this actor with it, so a message that it misses is not missed.
fn pass_on(state: &MembershipState, news: News) {
    if state.news.send(news).is_err() {
        tracing::debug!("the supervisor has ended");
    }
}
