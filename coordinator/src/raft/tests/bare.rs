//! openraft alone over the product's log: what the gRPC ports, forwarding, the state machine and its snapshots cost shows
//! from the difference. Three members in one process, joined by calls of functions; `make bench-raft` runs it.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, try_join_all};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use helixflow_env::Env;
use helixflow_model::{CoordinatorId, TenantId};
use helixflow_policy::state::{Command, Outcome, Proposal};
use openraft::errors::{Fatal, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, VoteRequest,
    VoteResponse,
};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot as RaftSnapshot};
use openraft::{EntryPayload, OptionalSend, SnapshotPolicy};
use openraft_rt_tokio::TokioRuntime;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::config::Timings;
use crate::raft::log::{LogStorage, Place, SegmentedLog};
use crate::raft::settings::{Sizes, settings};
use crate::raft::types::{LeaderId, LogId, Member, SnapshotMeta, StoredMembership, TypeConfig, Vote};

/// Names how many writers write, separated by commas, for how many milliseconds, and where the figures go.
const WRITERS: &str = "HELIXFLOW_BARE_WRITERS";
const MILLISECONDS: &str = "HELIXFLOW_BARE_MILLISECONDS";
const FOLDER: &str = "HELIXFLOW_BARE_FOLDER";
const OUTPUT: &str = "HELIXFLOW_BARE_OUTPUT";
/// Writers write for so long before anything counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// No election takes so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// As in the benchmark of the product.
const VALUE_BYTES: usize = 256;

type Types = TypeConfig<TokioRuntime>;
type Raft = openraft::Raft<Types, Nothing>;
type Current = RaftSnapshot<LeaderId, CoordinatorId, Member, Bytes>;

/// A state machine that keeps nothing but its place in the log.
#[derive(Default)]
struct Nothing {
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl RaftStateMachine<Types> for Nothing {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Never;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            self.applied = Some(entry.log_id);
            if let EntryPayload::Membership(membership) = entry.payload {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
            }
            if let Some(responder) = responder {
                responder.send(Some(Outcome::Unchanged));
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Never {
        Never
    }

    async fn install_snapshot(&mut self, _: &SnapshotMeta, _: Bytes) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Current>> {
        Ok(None)
    }
}

/// Builds no snapshots: the settings here ask for none.
struct Never;

impl RaftSnapshotBuilder<Types> for Never {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Current> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The members by their ids, for whoever calls them.
#[derive(Clone, Default)]
struct Members(Arc<Mutex<BTreeMap<CoordinatorId, Raft>>>);

impl RaftNetworkFactory<Types> for Members {
    type Network = Direct;

    async fn new_client(&mut self, target: CoordinatorId, _: &Member) -> Direct {
        Direct { members: self.clone(), target }
    }
}

/// A member, called as a function.
struct Direct {
    members: Members,
    target: CoordinatorId,
}

type Answer<T> = Result<T, RPCError<Types>>;

impl Direct {
    fn raft(&self) -> Answer<Raft> {
        let found = self.members.0.lock().get(&self.target).cloned();
        found.ok_or_else(|| unreachable(&io::Error::from(io::ErrorKind::NotFound)))
    }
}

fn unreachable(error: &(impl std::error::Error + 'static)) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(error))
}

impl RaftNetworkV2<Types> for Direct {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Answer<AppendEntriesResponse<Types>> {
        self.raft()?.append_entries(request).await.map_err(|error| unreachable(&error))
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _: RPCOption,
    ) -> BoxFuture<'s, Answer<BoxStream<'s, Answer<StreamAppendResult<Types>>>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        let opened = self.raft().map(|raft| {
            let replies = raft.stream_append(input);
            replies.map(|reply| reply.map_err(|error: Fatal<Types>| unreachable(&error))).boxed()
        });
        Box::pin(std::future::ready(opened))
    }

    async fn vote(&mut self, request: VoteRequest<Types>, _: RPCOption) -> Answer<VoteResponse<Types>> {
        self.raft()?.vote(request).await.map_err(|error| unreachable(&error))
    }

    async fn pre_vote(&mut self, request: VoteRequest<Types>, _: RPCOption) -> Answer<VoteResponse<Types>> {
        self.raft()?.pre_vote(request).await.map_err(|error| unreachable(&error))
    }

    async fn full_snapshot(
        &mut self,
        _: Vote,
        _: Current,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(StreamingError::Unreachable(Unreachable::new(&io::Error::from(io::ErrorKind::Unsupported))))
    }
}

/// Three members with the product's log and settings; gives the one that leads.
async fn leader(folder: &Path) -> Raft {
    let members = Members::default();
    let mut config = settings("bare", &Timings::default(), Sizes::default()).expect("settings");
    config.snapshot_policy = SnapshotPolicy::Never;
    let config = Arc::new(config);
    for id in 1..=3 {
        let id = CoordinatorId(id);
        let Env { disk, random, .. } = Env::real();
        let folder = folder.join(id.0.to_string());
        disk.create_dir_all(&folder).expect("a folder");
        let segment_bytes = Sizes::default().segment_bytes;
        let place = Place { disk, random, folder, owner: id.to_string(), segment_bytes };
        let store = SegmentedLog::open(place, Handle::current()).await.expect("a log");
        let (storage, _) = LogStorage::start(store, &Handle::current()).expect("an empty log");
        let raft = Raft::new(id, Arc::clone(&config), members.clone(), storage, Nothing::default());
        let raft = raft.await.expect("a member");
        members.0.lock().insert(id, raft);
    }
    let all: BTreeMap<_, _> = (1..=3).map(|id| (CoordinatorId(id), Member::default())).collect();
    let first = members.0.lock()[&CoordinatorId(1)].clone();
    first.initialize(all).await.expect("a new group");
    let wait = first.wait(Some(PATIENCE));
    let elected = wait.metrics(|m| m.current_leader.is_some(), "a leader").await.expect("an election");
    let leader = elected.current_leader.expect("a leader");
    members.0.lock()[&leader].clone()
}

/// Writes a second by so many closed-loop writers.
async fn writes_per_second(raft: &Raft, writers: usize, measured: Duration) -> f64 {
    let begin = Instant::now() + WARM_UP;
    let end = begin + measured;
    let writing = (0..writers).map(|writer| {
        let raft = raft.clone();
        tokio::spawn(async move {
            let mut counted = 0_u32;
            while Instant::now() < end {
                let began = Instant::now();
                raft.client_write(put(writer)).await.expect("a write");
                counted += u32::from(began >= begin && Instant::now() <= end);
            }
            counted
        })
    });
    let counted = try_join_all(writing).await.expect("no panic");
    f64::from(counted.iter().sum::<u32>()) / measured.as_secs_f64()
}

fn put(writer: usize) -> Proposal {
    let tenant = TenantId::new(format!("t{writer:07}")).expect("a valid name");
    Proposal::from(Command::PutTenant { tenant, display_name: "v".repeat(VALUE_BYTES), expected: None })
}

fn asked(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run it by `make bench-raft`"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement; `make bench-raft` runs it"]
async fn bare_openraft_writes() {
    let measured = Duration::from_millis(asked(MILLISECONDS).parse().expect("a number"));
    let folder = tempfile::tempdir_in(asked(FOLDER)).expect("a folder");
    let raft = leader(folder.path()).await;
    let mut figures = BTreeMap::new();
    for writers in asked(WRITERS).split(',') {
        let rate = writes_per_second(&raft, writers.parse().expect("a number"), measured).await;
        figures.insert(writers.to_owned(), rate);
    }
    let text = serde_json::to_vec(&figures).expect("figures");
    Env::real().disk.write_durably(&PathBuf::from(asked(OUTPUT)), &text).expect("a place for the figures");
    raft.shutdown().await.expect("an end");
}
