//! A host whose parts do as the test tells them, and keep a log of what was done to them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use helixflow_actors::{Board, Fault, Host, NodeActors, NodeIdentity, NodePlan, Notes, Replica};
use helixflow_control::Assignment;
use helixflow_env::Env;
use helixflow_model::{BoardTraits, Bytes, DeviceKind, LoadReport, NumericsClass, Region};
use tokio::sync::{mpsc, watch};

use crate::board::FakeBoard;
use crate::coordinator::{ADDRESS, cluster};

/// How the parts behave; the test changes it while they live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Fetching never ends.
    FetchesForEver,
    /// Loading fails in a way that trying again may mend.
    CannotLoad,
    /// Loading fails in a way that trying again cannot mend.
    WillNeverLoad,
    /// The check panics.
    PanicsWhenChecked,
    /// Draining waits for another mood.
    Busy,
    /// Nothing is computed.
    Hangs,
}

pub(crate) struct FakeHost {
    pub(crate) mood: watch::Sender<Mood>,
    /// Told of a request to each part.
    pub(crate) asked: watch::Sender<()>,
    log: mpsc::UnboundedSender<String>,
}

pub(crate) struct FakeReplica {
    name: String,
    computed: AtomicU64,
    mood: watch::Receiver<Mood>,
    asked: watch::Sender<()>,
    log: mpsc::UnboundedSender<String>,
}

impl FakeHost {
    pub(crate) fn new(mood: Mood) -> (Arc<Self>, mpsc::UnboundedReceiver<String>) {
        let (log, read) = mpsc::unbounded_channel();
        (Arc::new(Self { mood: watch::Sender::new(mood), asked: watch::Sender::default(), log }), read)
    }

    fn note(&self, what: &str, assignment: &Assignment) {
        let _ = self.log.send(format!("{what} {}", name(assignment)));
    }
}

fn name(assignment: &Assignment) -> String {
    let fence = assignment.fence();
    format!("{} {}", fence.replica, fence.generation)
}

impl Host for FakeHost {
    type Weights = ();
    type Replica = FakeReplica;

    async fn fetch(&self, assignment: &Assignment, notes: &Notes) -> Result<(), Fault> {
        self.note("fetch", assignment);
        if *self.mood.borrow() == Mood::FetchesForEver {
            notes.say("7 of 9 bytes");
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn load(&self, assignment: &Assignment, (): (), _: &Notes) -> Result<FakeReplica, Fault> {
        self.note("load", assignment);
        match *self.mood.borrow() {
            Mood::CannotLoad => return Err(Fault::passing("no memory today")),
            Mood::WillNeverLoad => return Err(Fault::lasting("half a model is not served")),
            _ => {}
        }
        let (mood, asked, log) = (self.mood.subscribe(), self.asked.clone(), self.log.clone());
        Ok(FakeReplica { name: name(assignment), computed: AtomicU64::new(0), mood, asked, log })
    }
}

impl Replica for FakeReplica {
    fn numerics(&self) -> NumericsClass {
        NumericsClass("fake-1".to_owned())
    }

    fn load(&self) -> LoadReport {
        LoadReport { queued: 3, ..LoadReport::default() }
    }

    fn asked(&self) -> watch::Receiver<()> {
        self.asked.subscribe()
    }

    fn progress(&self) -> u64 {
        let computes = u64::from(*self.mood.borrow() != Mood::Hangs);
        self.computed.fetch_add(computes, Ordering::Relaxed)
    }

    async fn check(&self) -> Result<(), Fault> {
        assert_ne!(*self.mood.borrow(), Mood::PanicsWhenChecked, "the engine is on fire");
        Ok(())
    }

    async fn drained(&self) {
        let _ = self.log.send(format!("drain {}", self.name));
        let mut mood = self.mood.clone();
        let _ = mood.wait_for(|mood| *mood != Mood::Busy).await;
        let _ = self.log.send(format!("drained {}", self.name));
    }
}

impl Drop for FakeReplica {
    fn drop(&mut self) {
        let _ = self.log.send(format!("drop {}", self.name));
    }
}

/// Starts a node's actors on the host; its folder is always the same, as after a restart.
pub(crate) async fn start(env: &Env, host: &Arc<FakeHost>) -> NodeActors<FakeHost> {
    start_with(env, host, [&FakeBoard::new("fake-0")]).await
}

/// The same with these boards.
pub(crate) async fn start_with<'b>(
    env: &Env,
    host: &Arc<FakeHost>,
    boards: impl IntoIterator<Item = &'b Arc<FakeBoard>>,
) -> NodeActors<FakeHost> {
    let identity = NodeIdentity {
        cluster: cluster(),
        uuid: "u".to_owned(),
        region: Region::new("eu-1").expect("a valid name"),
        advertise: "127.0.0.1:7100".to_owned(),
        memory: Bytes(2),
        boards: [BoardTraits { kind: DeviceKind::Simulated, features: [].into() }].into(),
    };
    let plan = NodePlan {
        identity,
        coordinators: vec![ADDRESS.to_owned()],
        folder: PathBuf::from("/node"),
        boards: boards.into_iter().map(|board| Arc::clone(board) as Arc<dyn Board>).collect(),
        host: Arc::clone(host),
        env: env.clone(),
    };
    NodeActors::start(plan).await.expect("actors that start")
}

/// Everything that was done so far.
pub(crate) fn read(log: &mut mpsc::UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| log.try_recv().ok()).collect()
}

/// Time stands still while anybody works: this bound only turns a wait for ever into a failure.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(3600), work).await.expect("what was waited for")
}
