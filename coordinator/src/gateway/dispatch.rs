//! From a checked request to a stream of tokens: pick a replica, call its node, try another until one answers.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use helixflow_model::{Fence, ModelId, NodeId, Region, ReplicaId};
use helixflow_policy::routing::{Candidate, PickContext, RoutingTable, pick};
use helixflow_proto::context::{CallContext, attach};
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::shard_service_client::ShardServiceClient;
use helixflow_proto::v1::{GenerateResponse, ShardGenerateRequest, ShardTokenizeRequest, TokenizeResponse};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

use super::channels::{Channels, NodeChannel};
use super::refusal::{Verdict, judge, no_replica};
use super::stream::Relay;

/// Replicas that one request tries: past these the cluster is in trouble, and the client should know.
const MAX_ATTEMPTS: usize = 4;
/// Streams that one gateway carries at once; each costs some 20 KiB. More are refused with RESOURCE_EXHAUSTED.
const MAX_STREAMS: usize = 10_000;
/// The largest message to and from a node: a prompt of four million bytes and its framing.
pub(super) const MAX_MESSAGE: usize = 8 * 1024 * 1024;
/// How long a node may take to say whether it takes a request; its queue answers at once.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends requests to replicas.
pub(super) struct Dispatch {
    table: Arc<ArcSwap<RoutingTable>>,
    channels: Channels,
    region: Region,
    random: Arc<dyn helixflow_env::Randomness>,
    streams: Arc<Semaphore>,
}

/// Which model a request is for.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) model: ModelId,
    /// None means the newest that is ready.
    pub(super) version: Option<String>,
}

/// Where a request was taken, and as which version.
pub(super) struct Taken<T> {
    pub(super) answer: T,
    pub(super) version: String,
    pub(super) node: NodeId,
}

impl Dispatch {
    pub(super) fn new(
        table: Arc<ArcSwap<RoutingTable>>,
        channels: Channels,
        region: Region,
        random: Arc<dyn helixflow_env::Randomness>,
    ) -> Self {
        Self { table, channels, region, random, streams: Arc::new(Semaphore::new(MAX_STREAMS)) }
    }

    /// Starts a stream on some replica of the model.
    pub(super) async fn generate(
        &self,
        target: &Target,
        request: ShardGenerateRequest,
        context: &CallContext,
    ) -> Result<Relay, Status> {
        let permit = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            status(Reason::QueueFull, format!("this coordinator carries {MAX_STREAMS} streams already; try another, or try again shortly"))
        })?;
        let call = |mut client: Client, fence: Fence| {
            let mut request =
                Request::new(ShardGenerateRequest { fence: Some(fence.into()), ..request.clone() });
            attach(context, request.metadata_mut());
            async move { client.generate(request).await }
        };
        let taken: Taken<Streaming<GenerateResponse>> = self.on_some_replica(target, context, call).await?;
        Ok(Relay::new(taken, target.model.clone(), context, permit))
    }

    /// Tokenizes on some replica of the model.
    pub(super) async fn tokenize(
        &self,
        target: &Target,
        request: ShardTokenizeRequest,
        context: &CallContext,
    ) -> Result<TokenizeResponse, Status> {
        let call = |mut client: Client, fence: Fence| {
            let mut request =
                Request::new(ShardTokenizeRequest { fence: Some(fence.into()), ..request.clone() });
            attach(context, request.metadata_mut());
            async move { client.tokenize(request).await }
        };
        let taken = self.on_some_replica(target, context, call).await?;
        Ok(TokenizeResponse { model: target.model.to_string(), model_version: taken.version, ..taken.answer })
    }

    /// Calls one replica after the other until one takes the request.
    async fn on_some_replica<T, F, A>(
        &self,
        target: &Target,
        context: &CallContext,
        call: F,
    ) -> Result<Taken<T>, Status>
    where
        F: Fn(Client, Fence) -> A,
        A: Future<Output = Result<Response<T>, Status>>,
    {
        let mut tried: Vec<ReplicaId> = Vec::new();
        let mut refusal = None;
        while tried.len() < MAX_ATTEMPTS {
            let table = self.table.load_full();
            let wish = PickContext {
                region: &self.region,
                exclude: &tried,
                numerics: None,
                random: self.random.next_u64(),
            };
            let picked = match pick(&table, &target.model, target.version.as_deref(), &wish) {
                Ok(picked) => picked,
                // What the last replica said tells more than that none is left.
                Err(why) => return Err(refusal.unwrap_or_else(|| no_replica(&why))),
            };
            let candidate = picked.candidate;
            let answered = self.ask(candidate, context, &call).await;
            let answer = match answered {
                Ok(answer) => {
                    return Ok(Taken {
                        answer: answer.into_inner(),
                        version: picked.version.to_owned(),
                        node: candidate.node,
                    });
                }
                Err(answer) => answer,
            };
            tracing::info!(node = %candidate.node, replica = %candidate.fence.replica, status = %answer, "a replica did not take the request");
            if judge(&answer) == Verdict::Tell {
                return Err(answer);
            }
            tried.push(candidate.fence.replica);
            refusal = Some(explain(answer, candidate.node));
        }
        Err(refusal
            .unwrap_or_else(|| status(Reason::NoReplica, "no replica took the request; try again shortly")))
    }

    async fn ask<T, F, A>(
        &self,
        candidate: &Candidate,
        context: &CallContext,
        call: &F,
    ) -> Result<Response<T>, Status>
    where
        F: Fn(Client, Fence) -> A,
        A: Future<Output = Result<Response<T>, Status>>,
    {
        let channel = self.channels.to(&candidate.advertise);
        let channel = channel
            .map_err(|error| status(Reason::NoReplica, format!("{}: {error}", candidate.advertise)))?;
        let client = ShardServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let remaining = context.remaining();
        let patience = remaining.unwrap_or(ACCEPT_TIMEOUT).min(ACCEPT_TIMEOUT);
        match tokio::time::timeout(patience, call(client, candidate.fence)).await {
            Ok(answer) => answer,
            Err(_) if remaining.is_some_and(|left| left <= patience) => {
                Err(status(Reason::DeadlineExceeded, "the deadline passed before a replica took the request"))
            }
            Err(_) => Err(status(Reason::NoReplica, format!("{} does not answer", candidate.node))),
        }
    }
}

type Client = ShardServiceClient<NodeChannel>;

/// A refusal that bears a reason is passed on; the transport's own words become one.
fn explain(answer: Status, node: NodeId) -> Status {
    if Reason::of(&answer).is_some() {
        answer
    } else {
        status(Reason::NoReplica, format!("{node} does not answer; try again shortly"))
    }
}
