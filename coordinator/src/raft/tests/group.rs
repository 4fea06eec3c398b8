//! Groups of three over the network in memory: what needs openraft's own levers to be seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use helixflow_env::Env;
use helixflow_env::net::Listener;
use helixflow_model::{
    ClusterId, CoordinatorId, FeatureLevel, Incarnation, Region, RequestId, Sequence, SessionId, TenantId,
};
use helixflow_policy::state::{
    Capacity, Command, Coordinator, FEATURE_LEVEL, NodeUuid, Outcome, Refusal, WriteId,
};
use helixflow_proto::context::CallContext;
use helixflow_proto::hello::{Hello, HelloLayer};
use helixflow_proto::v1::raft_service_server::RaftServiceServer;
use openraft_rt_tokio::TokioRuntime;
use tokio::runtime::Handle as Runtime;
use tokio::time::Instant;
use tonic::transport::Server as Port;

use crate::config::Timings;
use crate::raft::group::Group;
use crate::raft::server::Server;
use crate::raft::{Consistency, Handle, ProposeError, ReadError, Reading, Role, Setup, Sizes, start_group};
use helixflow_env::runtime::Dedicated;

/// Nothing here takes so long, even on a machine whose cores are all busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A member on threads of its own: they end with it, as a process's would, connections and all.
struct Running {
    group: Arc<Group<TokioRuntime>>,
    handle: Handle,
    _runtime: Dedicated,
}

/// Three members on one network in memory, their logs in folders.
struct Three {
    env: Env,
    folder: tempfile::TempDir,
    addresses: BTreeMap<CoordinatorId, String>,
    running: BTreeMap<u64, Running>,
}

fn timings() -> Timings {
    Timings {
        heartbeat: Duration::from_millis(100),
        election_min: Duration::from_millis(500),
        election_max: Duration::from_millis(900),
        ..Timings::default()
    }
}

impl Three {
    async fn bootstrapped() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut three =
            Self { env: Env::simulated(1), folder, addresses: BTreeMap::new(), running: BTreeMap::new() };
        for id in 1..=3 {
            three.start(id).await;
        }
        three.handle(1).bootstrap(three.addresses.values().cloned().collect()).await.expect("a bootstrap");
        let begin = Command::Bootstrap { cluster: cluster(), incarnation: Incarnation(1) };
        three.write(1, begin).await;
        three
    }

    async fn start(&mut self, id: u64) {
        let data_dir = self.folder.path().join(id.to_string());
        Env::real().disk.create_dir_all(&data_dir).expect("a folder");
        let known = self.addresses.get(&CoordinatorId(id)).map(|a| a.parse().expect("an address"));
        let any = ([127, 0, 0, 1], 0).into();
        let listener = self.bind(known.unwrap_or(any)).await;
        self.addresses.insert(CoordinatorId(id), listener.local_addr().to_string());
        let env = Env { disk: Env::real().disk, ..self.env.clone() };
        let runtime = Dedicated::single("member").expect("a thread");
        let hello = Hello::new(cluster());
        let address = listener.local_addr().to_string();
        let region = Region::new("eu-1").expect("a valid name");
        let setup = Setup {
            id: CoordinatorId(id),
            about: Coordinator { region, grpc: address.clone(), raft: address, level: FEATURE_LEVEL },
            hello: hello.clone(),
            timings: timings(),
            sizes: Sizes::default(),
            data_dir,
            env,
            log: Runtime::current(),
            disk: Runtime::current(),
        };
        let started = runtime.handle().spawn(start_group(setup)).await.expect("no panic");
        let (group, handle) = started.expect("a start");
        let service = RaftServiceServer::new(Server::new(Arc::clone(&group)));
        let port = Port::builder().layer(HelloLayer::new(hello)).add_service(service);
        runtime.handle().spawn(port.serve_with_incoming(listener));
        self.running.insert(id, Running { group, handle, _runtime: runtime });
    }

    /// Opens a port; the member that had it before may still be on its way out.
    async fn bind(&self, address: SocketAddr) -> Listener {
        let begun = Instant::now();
        loop {
            match self.env.network.bind(address).await {
                Ok(listener) => return listener,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{address}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn stop(&mut self, id: u64) {
        self.running.remove(&id).expect("a running member").handle.stop().await;
    }

    fn handle(&self, id: u64) -> Handle {
        self.running[&id].handle.clone()
    }

    async fn write(&self, id: u64, command: Command) -> u64 {
        let context = CallContext::new(RequestId::drawn(id));
        let context = CallContext { deadline: Some(Instant::now() + PATIENCE), ..context };
        self.handle(id).propose(command, context).await.expect("a write").index
    }

    /// Registers everybody as of that level.
    async fn register(&self, level: FeatureLevel) {
        for id in 1..=3 {
            self.write(1, register(id, level)).await;
        }
    }

    async fn propose(&self, id: u64, write: Option<WriteId>, command: Command) -> Outcome {
        let context = CallContext::new(RequestId::drawn(id));
        let context = CallContext { deadline: Some(Instant::now() + PATIENCE), ..context };
        let handle = self.handle(id);
        let applied = match write {
            Some(write) => handle.propose_once(write, command, context).await,
            None => handle.propose(command, context).await,
        };
        applied.expect("a write").outcome
    }

    async fn read(&self, id: u64, consistency: Consistency) -> Result<Reading, ReadError> {
        let context = CallContext::new(RequestId::drawn(id));
        let context = CallContext { deadline: Some(Instant::now() + PATIENCE), ..context };
        self.handle(id).read(consistency, context).await
    }

    fn has_nodes(&self, count: usize) -> bool {
        self.running.values().all(|r| r.handle.state().borrow().nodes().len() == count)
    }

    fn all_know(&self, id: u64, level: FeatureLevel) -> bool {
        self.running.values().all(|r| r.handle.state().borrow().level_of(CoordinatorId(id)) == level)
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "{what} did not come");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn leader(&self) -> Option<u64> {
        let leads = |(id, r): (&u64, &Running)| {
            let standing = r.handle.standing();
            (standing.role == Role::Leader).then_some((standing.term, *id))
        };
        self.running.iter().filter_map(leads).max().map(|(_, id)| id)
    }
}

fn cluster() -> ClusterId {
    ClusterId::new("alpha").expect("a valid name")
}

fn put(tenant: &str) -> Command {
    let tenant = TenantId::new(tenant).expect("a valid name");
    Command::PutTenant { tenant, display_name: String::new(), expected: None }
}

fn register(id: u64, level: FeatureLevel) -> Command {
    let region = Region::new("eu-1").expect("a valid name");
    let address = || "127.0.0.1:9".to_owned();
    let coordinator = Coordinator { region, grpc: address(), raft: address(), level };
    Command::RegisterCoordinator { id: CoordinatorId(id), coordinator }
}

fn join(uuid: u128) -> Command {
    Command::JoinNode {
        uuid: NodeUuid(uuid),
        region: Region::new("eu-1").expect("a valid name"),
        advertise: "127.0.0.1:9".to_owned(),
        capacity: Capacity::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_away_while_the_log_was_purged_gets_a_snapshot() {
    let mut three = Three::bootstrapped().await;
    three.until("a leader", |three| three.leader().is_some()).await;
    let leader = three.leader().expect("a leader");
    let away = leader % 3 + 1;
    three.stop(away).await;
    let mut last = 0;
    for uuid in 1..=20 {
        last = three.write(leader, join(uuid)).await;
    }
    let raft = three.running[&leader].group.raft();
    raft.trigger().snapshot().await.expect("a running core");
    raft.wait(Some(PATIENCE))
        .metrics(|m| m.snapshot.is_some_and(|at| at.index >= last), "a snapshot")
        .await
        .expect("it");
    raft.trigger().purge_log(last).await.expect("a running core");
    raft.wait(Some(PATIENCE))
        .metrics(|m| m.purged.is_some_and(|at| at.index >= last), "a purge")
        .await
        .expect("it");
    three.start(away).await;
    three
        .until("the state from the snapshot", |three| three.handle(away).state().borrow().nodes().len() == 20)
        .await;
    assert_eq!(*three.handle(away).state().borrow(), *three.handle(leader).state().borrow());
    three.stop(away).await;
    three.start(away).await;
    assert_eq!(three.handle(away).state().borrow().nodes().len(), 20, "the snapshot is on its disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_hands_its_place_to_another() {
    let three = Three::bootstrapped().await;
    three.until("a leader", |three| three.leader().is_some()).await;
    let old = three.leader().expect("a leader");
    let new = old % 3 + 1;
    // The others answer to a transfer only once they hold everything: asked until it is done.
    let begun = Instant::now();
    while three.leader() != Some(new) {
        assert!(begun.elapsed() < PATIENCE, "the place was not handed over");
        let raft = three.running[&three.leader().unwrap_or(old)].group.raft();
        raft.trigger().transfer_leader(CoordinatorId(new)).await.expect("a running core");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    three.write(old, join(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_follow_each_other_without_waiting_for_each_reply() {
    let three = Three::bootstrapped().await;
    let writes = (1..=200).map(|uuid| three.write(2, join(uuid)));
    let indexes = futures::future::join_all(writes).await;
    assert_eq!(indexes.iter().collect::<std::collections::BTreeSet<_>>().len(), 200);
    three.until("every write everywhere", |three| three.has_nodes(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_read_at_any_member_sees_every_write_acknowledged_before_it() {
    let three = Three::bootstrapped().await;
    for uuid in 1..=30_u32 {
        three.write(u64::from(uuid % 3) + 1, join(u128::from(uuid))).await;
        let reading =
            three.read(u64::from((uuid + 1) % 3) + 1, Consistency::Confirmed).await.expect("a read");
        assert_eq!(reading.state.nodes().len(), uuid as usize);
        assert_eq!((reading.consistency, reading.age), (Consistency::Confirmed, Some(Duration::ZERO)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_a_stale_read_tells_its_age_and_a_confirmed_one_says_so() {
    let mut three = Three::bootstrapped().await;
    three.write(1, join(1)).await;
    three.until("the write everywhere", |three| three.has_nodes(1)).await;
    three.stop(1).await;
    three.stop(2).await;
    let lone = three.handle(3);
    let soon = CallContext {
        deadline: Some(Instant::now() + Duration::from_secs(2)),
        ..CallContext::new(RequestId::drawn(1))
    };
    assert_eq!(lone.read(Consistency::Confirmed, soon.clone()).await.err(), Some(ReadError::NoQuorum));
    let reading = lone.read(Consistency::Stale, soon).await.expect("a stale read");
    assert_eq!(reading.state.nodes().len(), 1);
    assert!(reading.age.is_some_and(|age| age > timings().election_max), "{:?}", reading.age);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numbered_write_proposed_at_every_member_is_applied_once() {
    let three = Three::bootstrapped().await;
    three.register(FEATURE_LEVEL).await;
    let Outcome::Opened { session } = three.propose(1, None, Command::OpenSession).await else {
        panic!("no session")
    };
    let write = Some(WriteId { session, sequence: Sequence(1) });
    let first = three.propose(1, write, put("acme")).await;
    assert!(matches!(first, Outcome::Put { .. }), "{first:?}");
    for id in [2, 3, 1] {
        assert_eq!(three.propose(id, write, put("acme")).await, first);
    }
    let unknown = Some(WriteId { session: SessionId(1), sequence: Sequence(1) });
    let refused = three.propose(2, unknown, put("acme")).await;
    assert!(matches!(refused, Outcome::Refused { reason: Refusal::SessionExpired { .. } }), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_a_member_could_not_apply_is_refused_before_it_is_appended() {
    let three = Three::bootstrapped().await;
    let refused =
        |by, level| ProposeError::HeldBack { needed: FeatureLevel(2), by: CoordinatorId(by), level };
    let propose = async |id| {
        let context = CallContext::new(RequestId::drawn(id));
        three.handle(id).propose(put("acme"), context).await.map(|applied| applied.outcome)
    };
    assert_eq!(propose(2).await, Err(refused(1, FeatureLevel(1))), "nobody is registered yet");
    three.register(FEATURE_LEVEL).await;
    three.write(1, register(3, FeatureLevel(1))).await;
    let epoch = three.handle(1).read(Consistency::Confirmed, CallContext::new(RequestId::drawn(9))).await;
    let epoch = epoch.expect("a read").applied;
    for id in 1..=3 {
        assert_eq!(propose(id).await, Err(refused(3, FeatureLevel(1))));
    }
    assert_eq!(three.write(1, register(3, FEATURE_LEVEL)).await, epoch + 1, "nothing was appended");
    assert!(propose(2).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_judged_by_every_registration_acknowledged_before() {
    let three = Three::bootstrapped().await;
    three.register(FEATURE_LEVEL).await;
    for round in 0..30 {
        three.write(1, register(3, FeatureLevel(1))).await;
        three.until("the lower level everywhere", |three| three.all_know(3, FeatureLevel(1))).await;
        three.write(1, register(3, FEATURE_LEVEL)).await;
        // Nobody waits until the others have applied it, and still nobody may say that it is not so.
        let puts = (1..=3).map(|id| three.propose(id, None, put("acme")));
        let puts = futures::future::join_all(puts).await;
        assert!(puts.iter().all(|put| matches!(put, Outcome::Put { .. })), "round {round}: {puts:?}");
    }
}
