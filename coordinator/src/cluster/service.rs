//! The calls themselves: check, write through the log, answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use helixflow_env::WallClock;
use helixflow_model::{
    BoardTraits, Bytes, ClusterId, CoordinatorId, Incarnation, ModelSpec, NodeId, Region, Sequence, SessionId,
};
use helixflow_policy::failover::Advice;
use helixflow_policy::state::{
    Capacity, ClusterState, Command, MAX_COORDINATORS, NodeUuid, Outcome, Refusal, SESSION_LIFE, Voting,
    WriteId,
};
use helixflow_proto::context::CallContext;
use helixflow_proto::error::{Reason, invalid, status};
use helixflow_proto::v1::cluster_service_server::ClusterService;
use helixflow_proto::v1::{
    self, AddCoordinatorProgress, AddCoordinatorRequest, AddModelRequest, AddModelResponse, BackupChunk,
    BackupRequest, BootstrapRequest, BootstrapResponse, GetTenantRequest, GetTenantResponse, JoinNodeRequest,
    JoinNodeResponse, ListCoordinatorsRequest, ListCoordinatorsResponse, NodePart, OpenSessionRequest,
    OpenSessionResponse, PutKeyRequest, PutKeyResponse, PutTenantRequest, PutTenantResponse,
    RemoveCoordinatorRequest, RemoveCoordinatorResponse, RemoveKeyRequest, RemoveKeyResponse,
    RemoveTenantRequest, RemoveTenantResponse, SetLeaderRegionsRequest, SetLeaderRegionsResponse,
    StatusRequest, StatusResponse, TransferLeaderRequest, TransferLeaderResponse, WatchNodeRequest,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use super::backup;
use super::freshness::{asked, freshness, millis};
use super::members;
use super::status::{View, describe, member};
use super::tenants;
use super::warnings::warnings;
use super::watch::parts;
use crate::raft::{Applied, Consistency, Described, Handle, ProposeError, WRITE_DEADLINE};
use crate::telemetry::Reports;

/// How long a node that joined elsewhere may take to become known here.
const KNOWN_WITHIN: Duration = Duration::from_secs(2);
/// What an answer may take to its caller: a round trip between far regions.
const TIME_TO_ANSWER: Duration = Duration::from_millis(200);
/// Steps of an addition that wait to be read.
const STEPS_AHEAD: usize = 4;
/// The life of a new cluster.
const FIRST_INCARNATION: Incarnation = Incarnation(1);

/// Serves operators and nodes.
pub(crate) struct Service {
    cluster: ClusterId,
    raft: Handle,
    state: watch::Receiver<Arc<ClusterState>>,
    reports: watch::Receiver<Arc<Reports>>,
    advice: watch::Receiver<Option<Advice>>,
    clock: Arc<dyn WallClock>,
    stop: CancellationToken,
}

impl Service {
    /// Over the replicated state, the latest reports and the latest advice on timings; streams end with `stop`.
    /// `clock` dates backups.
    pub(crate) fn new(
        cluster: ClusterId,
        raft: Handle,
        reports: watch::Receiver<Arc<Reports>>,
        advice: watch::Receiver<Option<Advice>>,
        clock: Arc<dyn WallClock>,
        stop: CancellationToken,
    ) -> Self {
        Self { cluster, state: raft.state(), raft, reports, advice, clock, stop }
    }

    /// What an operator should change, by what this coordinator knows.
    fn warnings(&self) -> Vec<String> {
        warnings(&self.state.borrow(), &self.raft.standing(), *self.advice.borrow())
    }

    /// Writes a command; a refusal of the state machine is an error of the call.
    async fn write(&self, command: Command, context: CallContext) -> Result<Applied, Status> {
        accepted(self.raft.propose(command, context).await?)
    }

    /// Records of which kinds a node's boards are, where that is news. A member that cannot read it is no reason to
    /// refuse the node: models that ask for something wait until it can.
    async fn describe_boards(
        &self,
        node: NodeId,
        boards: BTreeSet<BoardTraits>,
        context: CallContext,
    ) -> Result<(), Status> {
        let is_known = |state: &ClusterState| state.nodes().get(&node).is_some_and(|n| n.boards == boards);
        if boards.is_empty() || is_known(&self.state.borrow()) {
            return Ok(());
        }
        match self.raft.propose(Command::DescribeBoards { node, boards }, context).await {
            Ok(applied) => accepted(applied).map(drop),
            Err(error @ ProposeError::HeldBack { .. }) => {
                tracing::info!(%node, %error, "what a node has of boards is not recorded yet");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The same, once, where the request bears a number.
    async fn write_once(
        &self,
        write: Option<v1::WriteId>,
        command: Command,
        context: CallContext,
    ) -> Result<Applied, Status> {
        match write {
            Some(write) => accepted(self.raft.propose_once(numbered(write)?, command, context).await?),
            None => self.write(command, context).await,
        }
    }
}

fn accepted(applied: Applied) -> Result<Applied, Status> {
    match &applied.outcome {
        Outcome::Refused { reason } => Err(refused(reason)),
        Outcome::Applied
        | Outcome::Unchanged
        | Outcome::Joined { .. }
        | Outcome::Put { .. }
        | Outcome::Opened { .. } => Ok(applied),
    }
}

/// The number of a write.
fn numbered(v1::WriteId { session, sequence }: v1::WriteId) -> Result<WriteId, Status> {
    if session == 0 || sequence == 0 {
        let text = "write: give the session that OpenSession gave, and a sequence from 1";
        return Err(invalid("write", text));
    }
    Ok(WriteId { session: SessionId(session), sequence: Sequence(sequence) })
}

/// An answer that no command of this kind can have.
fn strange(outcome: &Outcome) -> Status {
    status(Reason::Internal, format!("the write was answered with {outcome:?}; report this"))
}

/// A refusal of the state machine, as the error of a call.
pub(super) fn refused(reason: &Refusal) -> Status {
    match reason {
        Refusal::InvalidField { field } => invalid(&field.to_string(), reason.to_string()),
        Refusal::UnknownModel { .. } => status(Reason::UnknownModel, reason.to_string()),
        Refusal::SessionExpired { .. } => status(Reason::SessionExpired, reason.to_string()),
        Refusal::RevisionDiffers { .. } => status(Reason::RevisionDiffers, reason.to_string()),
        _ => status(Reason::Refused, reason.to_string()),
    }
}

/// On whose behalf a call reads or writes, and when it has to be done.
fn context<T>(request: &Request<T>) -> Result<CallContext, Status> {
    Ok(write_context(CallContext::of(request)?))
}

/// The same for one write of a call that may take longer. It ends a little before its caller gives up, so that the caller
/// hears why.
pub(super) fn write_context(context: &CallContext) -> CallContext {
    let now = Instant::now();
    let latest = now + WRITE_DEADLINE;
    let early = |asked: Instant| asked - TIME_TO_ANSWER.min(asked.saturating_duration_since(now) / 4);
    let deadline = Some(context.deadline.map_or(latest, |asked| early(asked).min(latest)));
    CallContext { deadline, ..context.clone() }
}

#[tonic::async_trait]
impl ClusterService for Service {
    async fn bootstrap(
        &self,
        request: Request<BootstrapRequest>,
    ) -> Result<Response<BootstrapResponse>, Status> {
        let context = context(&request)?;
        let BootstrapRequest { raft } = request.into_inner();
        if raft.is_empty() || raft.len() > MAX_COORDINATORS {
            let found = raft.len();
            return Err(invalid("raft", format!("raft: {found} addresses; give 1 to {MAX_COORDINATORS}")));
        }
        let members = self.raft.bootstrap(raft).await?;
        let cluster = self.cluster.clone();
        self.write(Command::Bootstrap { cluster, incarnation: FIRST_INCARNATION }, context.clone()).await?;
        for Described { id, about, .. } in &members {
            let register = Command::RegisterCoordinator { id: *id, coordinator: about.clone() };
            self.write(register, context.clone()).await?;
        }
        let members = members.iter().map(|Described { id, about, .. }| member(*id, about)).collect();
        Ok(Response::new(BootstrapResponse { members }))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let consistency = asked(request.get_ref().consistency, Consistency::Stale)?;
        let reading = self.raft.read(consistency, context(&request)?).await?;
        let reports = Arc::clone(&self.reports.borrow());
        Ok(Response::new(describe(&View {
            cluster: &self.cluster,
            standing: &self.raft.standing(),
            reading: &reading,
            reports: &reports,
            warnings: self.warnings(),
            now: Instant::now(),
        })))
    }

    async fn join_node(
        &self,
        request: Request<JoinNodeRequest>,
    ) -> Result<Response<JoinNodeResponse>, Status> {
        let context = context(&request)?;
        let Joining { join, boards } = joining(request.into_inner())?;
        let applied = self.write(join, context.clone()).await?;
        match applied.outcome {
            Outcome::Joined { node } => {
                self.describe_boards(node, boards, context).await?;
                Ok(Response::new(JoinNodeResponse { node: node.0, epoch: applied.index }))
            }
            other => Err(strange(&other)),
        }
    }

    type WatchNodeStream = BoxStream<'static, Result<NodePart, Status>>;

    async fn watch_node(
        &self,
        request: Request<WatchNodeRequest>,
    ) -> Result<Response<Self::WatchNodeStream>, Status> {
        let node = NodeId(request.into_inner().node);
        let mut state = self.state.clone();
        let known = state.wait_for(|state| state.nodes().contains_key(&node));
        if timeout(KNOWN_WITHIN, known).await.is_err() {
            return Err(status(Reason::Refused, Refusal::UnknownNode { node }.to_string()));
        }
        let parts = parts(self.state.clone(), node).take_until(self.stop.clone().cancelled_owned());
        Ok(Response::new(parts.map(Ok).boxed()))
    }

    async fn add_model(
        &self,
        request: Request<AddModelRequest>,
    ) -> Result<Response<AddModelResponse>, Status> {
        let context = context(&request)?;
        let AddModelRequest { model, write } = request.into_inner();
        let model = model.ok_or_else(|| invalid("model", "model: is missing"))?;
        let spec = ModelSpec::try_from(model)?;
        let applied = self.write_once(write, Command::add(spec), context).await?;
        Ok(Response::new(AddModelResponse { epoch: applied.index }))
    }

    async fn open_session(
        &self,
        request: Request<OpenSessionRequest>,
    ) -> Result<Response<OpenSessionResponse>, Status> {
        let applied = self.write(Command::OpenSession, context(&request)?).await?;
        match applied.outcome {
            Outcome::Opened { session } => {
                let life_ms = millis(SESSION_LIFE);
                Ok(Response::new(OpenSessionResponse { session: session.0, life_ms }))
            }
            other => Err(strange(&other)),
        }
    }

    async fn put_tenant(
        &self,
        request: Request<PutTenantRequest>,
    ) -> Result<Response<PutTenantResponse>, Status> {
        let context = context(&request)?;
        let request = request.into_inner();
        let write = request.write;
        let applied = self.write_once(write, tenants::put_tenant(request)?, context).await?;
        match applied.outcome {
            Outcome::Put { revision } => Ok(Response::new(PutTenantResponse { revision: revision.0 })),
            other => Err(strange(&other)),
        }
    }

    async fn remove_tenant(
        &self,
        request: Request<RemoveTenantRequest>,
    ) -> Result<Response<RemoveTenantResponse>, Status> {
        let context = context(&request)?;
        let RemoveTenantRequest { tenant, write } = request.into_inner();
        let tenant = tenants::tenant(tenant)?;
        let applied = self.write_once(write, Command::RemoveTenant { tenant }, context).await?;
        Ok(Response::new(RemoveTenantResponse { epoch: applied.index }))
    }

    async fn get_tenant(
        &self,
        request: Request<GetTenantRequest>,
    ) -> Result<Response<GetTenantResponse>, Status> {
        let context = context(&request)?;
        let GetTenantRequest { tenant, consistency } = request.into_inner();
        let tenant = tenants::tenant(tenant)?;
        let reading = self.raft.read(asked(consistency, Consistency::Confirmed)?, context).await?;
        let tenant = reading.state.tenants().get(&tenant).map(tenants::described);
        Ok(Response::new(GetTenantResponse { tenant, freshness: Some(freshness(&reading)) }))
    }

    async fn put_key(&self, request: Request<PutKeyRequest>) -> Result<Response<PutKeyResponse>, Status> {
        let context = context(&request)?;
        let request = request.into_inner();
        let write = request.write;
        let applied = self.write_once(write, tenants::put_key(request)?, context).await?;
        Ok(Response::new(PutKeyResponse { epoch: applied.index }))
    }

    async fn remove_key(
        &self,
        request: Request<RemoveKeyRequest>,
    ) -> Result<Response<RemoveKeyResponse>, Status> {
        let context = context(&request)?;
        let RemoveKeyRequest { id, write } = request.into_inner();
        let id = tenants::key(id)?;
        let applied = self.write_once(write, Command::RemoveKey { id }, context).await?;
        Ok(Response::new(RemoveKeyResponse { epoch: applied.index }))
    }

    async fn list_coordinators(
        &self,
        request: Request<ListCoordinatorsRequest>,
    ) -> Result<Response<ListCoordinatorsResponse>, Status> {
        let context = CallContext::of(&request)?;
        Ok(Response::new(members::list(&self.raft, context, self.warnings()).await))
    }

    type AddCoordinatorStream = BoxStream<'static, Result<AddCoordinatorProgress, Status>>;

    async fn add_coordinator(
        &self,
        request: Request<AddCoordinatorRequest>,
    ) -> Result<Response<Self::AddCoordinatorStream>, Status> {
        let context = CallContext::of(&request)?.clone();
        let AddCoordinatorRequest { raft: address, observer } = request.into_inner();
        let voting = if observer { Voting::Observer } else { Voting::Voter };
        let (progress, steps) = mpsc::channel(STEPS_AHEAD);
        let add = members::Add { raft: self.raft.clone(), context, address, voting };
        let work = self.stop.clone().run_until_cancelled_owned(add.run(progress));
        tokio::spawn(work.in_current_span());
        Ok(Response::new(ReceiverStream::new(steps).boxed()))
    }

    async fn remove_coordinator(
        &self,
        request: Request<RemoveCoordinatorRequest>,
    ) -> Result<Response<RemoveCoordinatorResponse>, Status> {
        let context = CallContext::of(&request)?;
        let id = CoordinatorId(request.get_ref().id);
        let was_member = members::remove(&self.raft, id, context).await?;
        Ok(Response::new(RemoveCoordinatorResponse { was_member }))
    }

    async fn transfer_leader(
        &self,
        request: Request<TransferLeaderRequest>,
    ) -> Result<Response<TransferLeaderResponse>, Status> {
        let context = CallContext::of(&request)?;
        let to = Some(CoordinatorId(request.get_ref().to)).filter(|id| id.0 > 0);
        let leader = members::transfer(&self.raft, to, context).await?;
        Ok(Response::new(TransferLeaderResponse { leader: leader.0 }))
    }

    async fn set_leader_regions(
        &self,
        request: Request<SetLeaderRegionsRequest>,
    ) -> Result<Response<SetLeaderRegionsResponse>, Status> {
        let context = context(&request)?;
        let regions = request.into_inner().regions.into_iter().map(Region::new);
        let regions = regions.collect::<Result<_, _>>().map_err(|e| invalid("regions", e.to_string()))?;
        let applied = self.write(Command::SetLeaderRegions { regions }, context).await?;
        Ok(Response::new(SetLeaderRegionsResponse { epoch: applied.index }))
    }

    type BackupStream = BoxStream<'static, Result<BackupChunk, Status>>;

    async fn backup(&self, request: Request<BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let reading = self.raft.read(Consistency::Confirmed, context(&request)?).await?;
        let chunks = backup::chunks(reading.state, self.clock.now_unix_ms())?;
        Ok(Response::new(futures::stream::iter(chunks.map(Ok)).boxed()))
    }
}

/// What a join asks for.
struct Joining {
    join: Command,
    boards: BTreeSet<BoardTraits>,
}

fn joining(request: JoinNodeRequest) -> Result<Joining, Status> {
    let JoinNodeRequest { uuid, region, advertise, memory_bytes, boards } = request;
    let uuid: NodeUuid = uuid.parse().map_err(|error| invalid("uuid", format!("uuid: {error}")))?;
    let region = Region::new(region).map_err(|error| invalid("region", error.to_string()))?;
    // A join names the memory of all boards together; placement asks for no more yet.
    let capacity = Capacity { boards: 1, memory: Bytes(memory_bytes) };
    let boards = boards.into_iter().map(BoardTraits::try_from).collect::<Result<_, _>>()?;
    Ok(Joining { join: Command::JoinNode { uuid, region, advertise, capacity }, boards })
}
