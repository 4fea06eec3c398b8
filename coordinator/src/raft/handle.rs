//! What the rest of the coordinator sees of Raft: a handle without openraft's types.
//!
//! Its work runs on Raft's own runtime, whoever calls: connections to the other coordinators live there, and a busy
//! gateway does not delay them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use helixflow_model::CoordinatorId;
use helixflow_policy::state::{ClusterState, Command, WriteId};
use helixflow_proto::context::CallContext;
use openraft::async_runtime::watch::WatchReceiver;
use parking_lot::Mutex;
use tokio::runtime::Handle as Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::Status;
use tracing::Instrument;

use super::ask_leader::{ChangeError, ask_leader};
use super::bootstrap::{BootstrapError, bootstrap};
use super::change::{Change, Survey};
use super::codec::size;
use super::describe::{Described, describe, identify};
use super::group::Group;
use super::platform::Platform;
use super::propose::{Applied, ProposeError, propose};
use super::read::{Consistency, ReadError, Reading, confirm};
use super::record::{UnreadableEntry, WriteRecord};
use super::standing::Standing;
use super::types::DiskId;

/// Writes under way at one coordinator, at most: a few batches of the log.
const MAX_PROPOSALS: usize = 1024;
/// Reads that wait to be confirmed at one coordinator, at most: each holds a call to the leader.
const MAX_READS: usize = 4096;
/// The largest command: a plan of the most moves, with room to spare.
const MAX_COMMAND_BYTES: usize = 4 << 20;
/// How long a write may take when its caller names no deadline: several elections.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// How long the last writes may take when the process ends.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// Why Raft has ended by itself.
#[derive(Clone, Debug)]
pub enum Ended {
    /// It was given an entry that this build cannot read.
    Unreadable(Arc<UnreadableEntry>),
    /// Its core gave up, for this reason.
    Core(String),
}

/// Raft, as the handle uses it.
#[async_trait]
trait Consensus: Send + Sync {
    async fn propose(&self, write: WriteRecord, context: &CallContext) -> Result<Applied, ProposeError>;
    async fn confirm(&self, context: &CallContext) -> Result<(), ReadError>;
    async fn bootstrap(&self, members: &[String]) -> Result<Vec<Described>, BootstrapError>;
    async fn change(&self, step: Change, context: &CallContext) -> Result<Survey, ChangeError>;
    async fn describe(&self, address: &str) -> Result<Described, Status>;
    async fn identify(&self, address: &str) -> Result<Described, Status>;
    fn us(&self) -> (CoordinatorId, DiskId);
    fn standing(&self) -> Standing;
    async fn ended(&self) -> Ended;
    async fn stop(&self);
}

#[async_trait]
impl<R: Platform> Consensus for Group<R> {
    async fn propose(&self, write: WriteRecord, context: &CallContext) -> Result<Applied, ProposeError> {
        propose(self, write, context).await
    }

    async fn confirm(&self, context: &CallContext) -> Result<(), ReadError> {
        confirm(self, context).await
    }

    async fn bootstrap(&self, members: &[String]) -> Result<Vec<Described>, BootstrapError> {
        bootstrap(self, members).await
    }

    async fn change(&self, step: Change, context: &CallContext) -> Result<Survey, ChangeError> {
        ask_leader(self, step, context).await
    }

    async fn describe(&self, address: &str) -> Result<Described, Status> {
        describe(self, address).await
    }

    async fn identify(&self, address: &str) -> Result<Described, Status> {
        identify(self, address).await
    }

    fn us(&self) -> (CoordinatorId, DiskId) {
        (Self::us(self).id, Self::us(self).disk)
    }

    fn standing(&self) -> Standing {
        Self::standing(self)
    }

    async fn ended(&self) -> Ended {
        // The metrics as a whole are sent with every tick, and would wake the waiting thread as often. This part of
        // them changes with the group only, and ends with the core likewise.
        let mut standing = self.raft().server_metrics();
        let core = async { while standing.changed().await.is_ok() {} };
        tokio::select! {
            entry = self.halted() => return Ended::Unreadable(entry),
            () = core => {}
        }
        Ended::Core(match &self.raft().metrics().borrow_watched().running_state {
            Err(fatal) => fatal.to_string(),
            Ok(()) => "its core has ended".to_owned(),
        })
    }

    async fn stop(&self) {
        if let Err(error) = self.raft().shutdown().await {
            tracing::warn!(%error, "Raft did not end cleanly");
        }
    }
}

/// The way to the replicated state. Clones share it.
#[derive(Clone)]
pub struct Handle {
    consensus: Arc<dyn Consensus>,
    state: watch::Receiver<Arc<ClusterState>>,
    proposals: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    runtime: Runtime,
    written: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Handle {
    /// Over a group whose state is `state` and whose log is all on disk when `written` ends. The current runtime is
    /// Raft's own.
    pub(super) fn new<R: Platform>(
        group: Arc<Group<R>>,
        state: watch::Receiver<Arc<ClusterState>>,
        written: JoinHandle<()>,
    ) -> Self {
        Self {
            consensus: group,
            state,
            proposals: Arc::new(Semaphore::new(MAX_PROPOSALS)),
            reads: Arc::new(Semaphore::new(MAX_READS)),
            runtime: Runtime::current(),
            written: Arc::new(Mutex::new(Some(written))),
        }
    }

    /// The state as this coordinator has applied it, now and after every change.
    pub fn state(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.state.clone()
    }

    /// Where the group stands, as far as this coordinator can tell.
    pub fn standing(&self) -> Standing {
        self.consensus.standing()
    }

    /// Writes a command on behalf of a call, here or at the leader, and waits until it is applied there: until the call's
    /// deadline, or for [`WRITE_DEADLINE`] where it has none. What may have been written is not tried again.
    pub async fn propose(&self, command: Command, context: CallContext) -> Result<Applied, ProposeError> {
        self.write(WriteRecord { write: None, command }, context).await
    }

    /// The same with a number in a session: applied once, and tried again until the deadline whatever happens.
    pub async fn propose_once(
        &self,
        write: WriteId,
        command: Command,
        context: CallContext,
    ) -> Result<Applied, ProposeError> {
        self.write(WriteRecord { write: Some(write), command }, context).await
    }

    async fn write(&self, write: WriteRecord, context: CallContext) -> Result<Applied, ProposeError> {
        let permit = Arc::clone(&self.proposals).try_acquire_owned().map_err(|_| ProposeError::QueueFull)?;
        let bytes = size(&write);
        if bytes > MAX_COMMAND_BYTES {
            return Err(ProposeError::TooLarge { bytes, limit: MAX_COMMAND_BYTES });
        }
        let consensus = Arc::clone(&self.consensus);
        let work = async move {
            let _permit = permit;
            consensus.propose(write, &context).await
        };
        self.runtime.spawn(work.in_current_span()).await.unwrap_or(Err(ProposeError::Stopped))
    }

    /// Reads the state on behalf of a call. A confirmed read waits until the call's deadline, or for
    /// [`READ_DEADLINE`](super::READ_DEADLINE) where it has none; a stale one never waits.
    pub async fn read(&self, consistency: Consistency, context: CallContext) -> Result<Reading, ReadError> {
        if consistency == Consistency::Confirmed {
            let permit = Arc::clone(&self.reads).try_acquire_owned().map_err(|_| ReadError::QueueFull)?;
            let consensus = Arc::clone(&self.consensus);
            let work = async move {
                let _permit = permit;
                consensus.confirm(&context).await
            };
            self.runtime.spawn(work.in_current_span()).await.unwrap_or(Err(ReadError::Stopped))?;
        }
        let Standing { applied, quorum_age, .. } = self.standing();
        let age = if consistency == Consistency::Confirmed { Some(Duration::ZERO) } else { quorum_age };
        Ok(Reading { state: Arc::clone(&self.state.borrow()), consistency, age, applied })
    }

    /// Makes the group of those who answer at these Raft addresses, and tells who they are. The same members once more
    /// change nothing.
    pub async fn bootstrap(&self, members: Vec<String>) -> Result<Vec<Described>, BootstrapError> {
        let consensus = Arc::clone(&self.consensus);
        let work = async move { consensus.bootstrap(&members).await };
        self.runtime.spawn(work).await.unwrap_or(Err(BootstrapError::Stopped))
    }

    /// Has the leader make one step of a membership change, wherever it is, and tells how the group stands then: until
    /// the call's deadline, or for [`CHANGE_DEADLINE`](super::CHANGE_DEADLINE) where it has none.
    pub async fn change(&self, step: Change, context: CallContext) -> Result<Survey, ChangeError> {
        let consensus = Arc::clone(&self.consensus);
        let work = async move { consensus.change(step, &context).await };
        self.runtime.spawn(work.in_current_span()).await.unwrap_or(Err(ChangeError::Stopped))
    }

    /// Asks who answers at the Raft port `host:port`.
    pub async fn describe(&self, address: String) -> Result<Described, Status> {
        let consensus = Arc::clone(&self.consensus);
        let work = async move { consensus.describe(&address).await };
        let stopped = |_| Status::from(ChangeError::Stopped);
        self.runtime.spawn(work).await.map_err(stopped)?
    }

    /// The same for one that is to become a member: the others have to reach it at the address that it names.
    pub async fn identify(&self, address: String) -> Result<Described, Status> {
        let consensus = Arc::clone(&self.consensus);
        let work = async move { consensus.identify(&address).await };
        let stopped = |_| Status::from(ChangeError::Stopped);
        self.runtime.spawn(work).await.map_err(stopped)?
    }

    /// This coordinator's id and disk.
    pub fn us(&self) -> (CoordinatorId, DiskId) {
        self.consensus.us()
    }

    /// Waits until Raft has ended by itself, and says why: the process cannot go on then.
    pub async fn ended(&self) -> Ended {
        self.consensus.ended().await
    }

    /// Ends Raft, with everything written and the log's file closed.
    pub(crate) async fn stop(&self) {
        self.consensus.stop().await;
        let written = self.written.lock().take();
        if let Some(written) = written
            && timeout(WRITTEN_WITHIN, written).await.is_err()
        {
            tracing::warn!("the log's file is still open; what was acknowledged is on the disk all the same");
        }
    }
}
