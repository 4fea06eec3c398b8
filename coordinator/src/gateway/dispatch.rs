//! From a checked request to a stream of tokens: pick a replica, call its node, try another until one answers.

use std::sync::Arc;
use std::time::Duration;

use helixflow_model::{Fence, ModelId, NodeId, Region, ReplicaId};
use helixflow_policy::routing::{Candidate, PickContext, pick};
use helixflow_proto::context::{CallContext, attach};
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::shard_service_client::ShardServiceClient;
use helixflow_proto::v1::{ShardGenerateRequest, ShardTokenizeRequest, TokenizeResponse};
use tokio::sync::futures::Notified;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use super::channels::NodeChannel;
use super::current::Current;
use super::meter::Meter;
use super::refusal::{Verdict, judge, lost, more_telling, told};
use super::snapshot::{Snapshot, UnderWay};
use super::stream::{Opened, Relay, Term};

/// Replicas that one request tries: past these the cluster is in trouble, and the client should know.
const MAX_ATTEMPTS: usize = 4;
/// Requests that one gateway carries at once; each costs some 20 KiB. More are refused with RESOURCE_EXHAUSTED.
pub(crate) const MAX_STREAMS: usize = 10_000;
/// The largest message to and from a node: a prompt of four million bytes as token ids, and its framing.
const MAX_MESSAGE: usize = 8 << 20;
/// The largest message from a client: what the gateway adds to a request must still fit.
pub(super) const MAX_REQUEST: usize = MAX_MESSAGE - (64 << 10);
/// How long a node may take to begin: its queue answers at once, a very long prompt is tokenized in seconds.
const BEGIN_WITHIN: Duration = Duration::from_secs(30);
/// How long after its start a coordinator lets requests wait for the first reports: nodes that lost it come back within
/// three seconds.
const LISTENING: Duration = Duration::from_secs(5);
/// Deadlines travel in whole milliseconds, so the nearer end of a hop may see them pass by so much earlier.
const DEADLINE_GRAIN: Duration = Duration::from_millis(1);

/// Sends requests to replicas.
pub(super) struct Dispatch {
    current: Arc<Current>,
    /// Until then a replica that was not heard of may just not have been heard yet.
    listening_until: Instant,
    region: Region,
    random: Arc<dyn helixflow_env::Randomness>,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

/// Which model a request is for.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) model: ModelId,
    /// None means the newest that is ready.
    pub(super) version: Option<String>,
}

/// A request that a replica has taken.
struct Taken<T, H> {
    answer: T,
    node: NodeId,
    held: H,
}

type Client = ShardServiceClient<NodeChannel>;

impl Dispatch {
    /// Requests are refused from `stop` on.
    pub(super) fn new(
        current: Arc<Current>,
        region: Region,
        random: Arc<dyn helixflow_env::Randomness>,
        stop: CancellationToken,
    ) -> Self {
        let (listening_until, streams) = (Instant::now() + LISTENING, Arc::new(Semaphore::new(MAX_STREAMS)));
        Self { current, listening_until, region, random, streams, stop }
    }

    /// Starts a stream on some replica of the model.
    pub(super) async fn generate(
        &self,
        target: &Target,
        request: ShardGenerateRequest,
        context: &CallContext,
    ) -> Result<Relay, Status> {
        let mut meter = Meter::start(self.current.load().label(&target.model), request.prompt.as_ref());
        let started = self.start(target, &request, context).await;
        let (permit, taken) = started.inspect_err(|status| meter.end(Some(status)))?;
        let term = Term { deadline: context.deadline, stop: self.stop.clone() };
        Ok(Relay::new(taken.answer, taken.node, term, meter, (permit, taken.held)))
    }

    async fn start(
        &self,
        target: &Target,
        request: &ShardGenerateRequest,
        context: &CallContext,
    ) -> Result<(OwnedSemaphorePermit, Taken<Opened, Option<UnderWay>>), Status> {
        let permit = self.admit()?;
        let call = |mut client: Client, fence: Fence, node| {
            let request = ShardGenerateRequest { fence: Some(fence.into()), ..request.clone() };
            let request = forwarded(request, context);
            async move {
                let mut rest = client.generate(request).await?.into_inner();
                let first = rest.message().await?.ok_or_else(|| lost(node))?;
                Ok(Opened { first, rest })
            }
        };
        Ok((permit, self.on_some_replica(target, context, Snapshot::begin, call).await?))
    }

    /// Tokenizes on some replica of the model.
    pub(super) async fn tokenize(
        &self,
        target: &Target,
        request: ShardTokenizeRequest,
        context: &CallContext,
    ) -> Result<TokenizeResponse, Status> {
        let _permit = self.admit()?;
        let call = |mut client: Client, fence: Fence, _| {
            let request = ShardTokenizeRequest { fence: Some(fence.into()), ..request.clone() };
            let request = forwarded(request, context);
            async move { Ok(client.tokenize(request).await?.into_inner()) }
        };
        // No place in a batch, and no step of it: so it counts for nobody.
        let held = |_: &Snapshot, _: &Candidate| ();
        Ok(self.on_some_replica(target, context, held, call).await?.answer)
    }

    fn admit(&self) -> Result<OwnedSemaphorePermit, Status> {
        if self.stop.is_cancelled() {
            return Err(status(
                Reason::Draining,
                "this coordinator is going away: send the request to another",
            ));
        }
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let message =
                format!("this coordinator carries {MAX_STREAMS} requests already: try another, or wait");
            status(Reason::QueueFull, message)
        })
    }

    /// Waits for the next snapshot; false once this coordinator has listened for long enough.
    async fn hears(&self, replaced: Notified<'_>, context: &CallContext) -> bool {
        let until = context.deadline.map_or(self.listening_until, |d| d.min(self.listening_until));
        let next = self.stop.run_until_cancelled(timeout_at(until, replaced));
        Instant::now() < until && matches!(next.await, Some(Ok(())))
    }

    /// Calls one replica after the other until one takes the request; `hold` gives what is held meanwhile for each.
    async fn on_some_replica<T, H, A: Future<Output = Result<T, Status>>>(
        &self,
        target: &Target,
        context: &CallContext,
        hold: impl Fn(&Snapshot, &Candidate) -> H,
        call: impl Fn(Client, Fence, NodeId) -> A,
    ) -> Result<Taken<T, H>, Status> {
        let mut tried: Vec<ReplicaId> = Vec::new();
        let mut refusal: Option<Status> = None;
        loop {
            let replaced = self.current.replaced();
            let snapshot = self.current.load_full();
            let random = self.random.next_u64();
            let wish = PickContext { region: &self.region, exclude: &tried, numerics: None, random };
            let own = |replica| snapshot.own(replica);
            let candidate = match pick(&snapshot.table, &target.model, target.version.as_deref(), &wish, own)
            {
                Ok(picked) => picked.candidate,
                Err(why)
                    if tried.is_empty()
                        && snapshot.may_yet_learn(&why)
                        && self.hears(replaced, context).await =>
                {
                    continue;
                }
                // What the replicas said tells more than that none is left.
                Err(why) => return Err(refusal.unwrap_or_else(|| snapshot.refuse(&why))),
            };
            let held = hold(&snapshot, candidate);
            let answer = match ask(&snapshot, candidate, context, &call).await {
                Ok(answer) => return Ok(Taken { answer, node: candidate.node, held }),
                Err(answer) => answer,
            };
            tracing::info!(node = %candidate.node, replica = %candidate.fence.replica, status = %answer, "a replica did not take the request");
            let (verdict, answer) = (judge(&answer), told(&answer, candidate.node));
            if verdict == Verdict::Tell {
                return Err(answer);
            }
            let answer = match refusal.take() {
                Some(earlier) => more_telling(earlier, answer),
                None => answer,
            };
            tried.push(candidate.fence.replica);
            if tried.len() == MAX_ATTEMPTS {
                return Err(answer);
            }
            refusal = Some(answer);
        }
    }
}

/// Calls one replica, and waits until it begins.
async fn ask<T, A: Future<Output = Result<T, Status>>>(
    snapshot: &Snapshot,
    candidate: &Candidate,
    context: &CallContext,
    call: impl Fn(Client, Fence, NodeId) -> A,
) -> Result<T, Status> {
    let node = candidate.node;
    let Some(channel) = snapshot.channel(candidate) else { return Err(lost(node)) };
    let client = ShardServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let patience = Instant::now() + BEGIN_WITHIN;
    let until = context.deadline.map_or(patience, |deadline| deadline.min(patience));
    match timeout_at(until, call(client, candidate.fence, node)).await {
        Ok(Ok(answer)) => Ok(answer),
        _ if context.remaining().is_some_and(|left| left < DEADLINE_GRAIN) => {
            Err(status(Reason::DeadlineExceeded, "the deadline passed before the first token"))
        }
        Ok(Err(answer)) => Err(answer),
        Err(_) => Err(lost(node)),
    }
}

fn forwarded<T>(message: T, context: &CallContext) -> Request<T> {
    let mut request = Request::new(message);
    attach(context, request.metadata_mut());
    request
}
