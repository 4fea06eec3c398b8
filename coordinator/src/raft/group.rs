//! This coordinator's part in the Raft group: writes, reads, the standing of the group, its first membership.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_model::{CoordinatorId, FeatureLevel, UnixMillis};
use helixflow_policy::state::{ClusterState, Coordinator, Proposal};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, LinearizableReadError, RaftError};
use openraft::raft::{ReadPolicy, WriteResponse};
use openraft::{Instant as _, RaftMetrics, ServerState};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Local;
use super::forward::Forwarding;
use super::group_commit::GroupCommit;
use super::handle::WRITE_DEADLINE;
use super::network::{FrameError, Peers, Receiver};
use super::platform::Platform;
use super::record::{ReadIndexReply, UnreadableEntry, WriteAnswer, WriteRecord};
use super::standing::{Role, Standing};
use super::types::{Member, TypeConfig};

/// openraft, instantiated.
pub(super) type Raft<R> = openraft::Raft<TypeConfig<R>, <R as Platform>::Machine>;

/// What the service and the handle share.
pub(super) struct Group<R: Platform> {
    local: Local,
    raft: Raft<R>,
    state: watch::Receiver<Arc<ClusterState>>,
    heard: Mutex<Heard>,
    halted: watch::Sender<Option<Arc<UnreadableEntry>>>,
    misdirected: Mutex<Option<String>>,
    commit: GroupCommit<R>,
    forwarding: Forwarding,
    stream_ended: watch::Sender<()>,
}

/// When a leader was heard last, and how long one was silent.
#[derive(Default)]
struct Heard {
    /// In which term, and when.
    last: Option<(u64, Instant)>,
    /// The longest time between two of its appends in one term.
    longest_silence: Duration,
}

impl<R: Platform> Group<R> {
    /// Tells by `stream_ended` when a stream of appends to us has ended.
    pub(super) fn new(
        local: Local,
        raft: Raft<R>,
        state: watch::Receiver<Arc<ClusterState>>,
        stream_ended: watch::Sender<()>,
    ) -> Self {
        let commit = GroupCommit::over(raft.clone());
        let forwarding = Forwarding::by(Arc::clone(&local.peers));
        let (heard, halted, misdirected) = (Mutex::default(), watch::Sender::new(None), Mutex::default());
        Self { local, raft, state, heard, halted, misdirected, commit, forwarding, stream_ended }
    }

    /// Keeps the addresses of the members as the membership says, for as long as Raft runs.
    pub(super) async fn follow_addresses(raft: Raft<R>, peers: Arc<Peers>) {
        let mut metrics = raft.server_metrics();
        loop {
            let membership = Arc::clone(&metrics.borrow_watched().membership_config);
            peers.locate(membership.nodes().map(|(id, member)| (*id, member.raft.clone())));
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    /// Where this coordinator stands and how it is reached, by its configuration.
    pub(super) fn about(&self) -> &Coordinator {
        &self.local.about
    }

    /// The state as it is applied here.
    pub(super) fn state(&self) -> Arc<ClusterState> {
        Arc::clone(&self.state.borrow())
    }

    pub(super) fn us(&self) -> Receiver {
        self.local.us
    }

    pub(super) fn raft(&self) -> &Raft<R> {
        &self.raft
    }

    pub(super) fn peers(&self) -> &Arc<Peers> {
        &self.local.peers
    }

    /// Notes that a stream of appends to us has ended, however it did.
    pub(super) fn stream_ended(&self) {
        self.stream_ended.send_replace(());
    }

    /// Ends this coordinator: it was given an entry that it cannot read.
    pub(super) fn halt(&self, entry: UnreadableEntry) {
        self.halted.send_replace(Some(Arc::new(entry)));
    }

    /// Waits for such an entry.
    pub(super) async fn halted(&self) -> Arc<UnreadableEntry> {
        let mut halted = self.halted.subscribe();
        loop {
            if let Some(entry) = halted.borrow_and_update().as_ref() {
                return Arc::clone(entry);
            }
            // The sender lives as long as this group.
            let _ = halted.changed().await;
        }
    }

    /// Notes a message that came here and was meant for another coordinator, or for a disk that was here before.
    pub(super) fn note_misdirected(&self, error: &FrameError) {
        if !matches!(error, FrameError::WrongTarget { .. } | FrameError::WrongDisk { .. }) {
            return;
        }
        let mut noted = self.misdirected.lock();
        if noted.is_none() {
            tracing::warn!(%error, "a message on the Raft port was refused, as others like it will be");
            *noted = Some(error.to_string());
        }
    }

    /// Notes that a leader's append was accepted at `at`.
    pub(super) fn heard_leader(&self, at: Instant) {
        let term = self.raft.metrics().borrow_watched().current_term;
        let mut heard = self.heard.lock();
        // Silence across terms is nobody's: there was an election, or we led ourselves.
        if let Some((_, last)) = heard.last.filter(|(known, _)| *known == term) {
            let silence = at.saturating_duration_since(last);
            if silence > heard.longest_silence {
                heard.longest_silence = silence;
                metrics::gauge!("helixflow_raft_longest_leader_silence_seconds").set(silence.as_secs_f64());
            }
        }
        heard.last = Some((term, at));
    }

    fn leader(&self) -> Option<CoordinatorId> {
        self.raft.metrics().borrow_watched().current_leader
    }

    fn leads(&self) -> bool {
        self.leader() == Some(self.local.us.id)
    }

    /// Who leads, as far as is known here, where it is another: a first guess, which spares asking our own Raft.
    pub(super) fn leader_elsewhere(&self) -> Option<CoordinatorId> {
        self.leader().filter(|leader| *leader != self.local.us.id)
    }

    /// Waits until another than `leader` is known to lead.
    pub(super) async fn another_leads(&self, leader: CoordinatorId) {
        let mut standing = self.raft.server_metrics();
        while standing.borrow_watched().current_leader.is_none_or(|now| now == leader) {
            if standing.changed().await.is_err() {
                // Raft has ended, and with it everything that waits for an answer.
                return;
            }
        }
    }

    /// Appends a write with the time of day, where this coordinator leads, and waits until it is applied.
    pub(super) async fn write(&self, write: WriteRecord) -> Result<WriteAnswer, Fatal<TypeConfig<R>>> {
        let WriteRecord { write, command } = write;
        if self.leads() && self.local.room.is_low() {
            return Ok(WriteAnswer::DiskLow);
        }
        if let Some(reply) = self.refusal(command.level()).await? {
            return Ok(reply);
        }
        let stamp = UnixMillis(u64::try_from(self.local.clock.now_unix_ms()).unwrap_or(0));
        Ok(match self.commit.write(Proposal { stamp, write, command }).await? {
            Ok(WriteResponse { log_id, response: Some(outcome) }) => {
                WriteAnswer::Applied { index: log_id.index, outcome }
            }
            Err(ClientWriteError::ForwardToLeader(to)) => {
                WriteAnswer::NotLeader { leader: to.leader_id.filter(|leader| *leader != self.local.us.id) }
            }
            // Only entries without a command are applied without an outcome.
            Ok(_) | Err(_) => WriteAnswer::Unknown,
        })
    }

    /// The way of writes to a leader elsewhere.
    pub(super) fn forwarding(&self) -> &Forwarding {
        &self.forwarding
    }

    /// Why a command that asks for `needed` is not appended, judged by every registration acknowledged so far: a follower,
    /// and a leader that has just begun, may not have applied the one that counts.
    async fn refusal(&self, needed: FeatureLevel) -> Result<Option<WriteAnswer>, Fatal<TypeConfig<R>>> {
        if self.held_back(needed).is_none() {
            return Ok(None);
        }
        let not_here = |leader| Ok(Some(WriteAnswer::NotLeader { leader }));
        let index = match self.read_index().await? {
            ReadIndexReply::At { index } => index,
            ReadIndexReply::NotLeader { leader } => return not_here(leader),
            ReadIndexReply::NoQuorum => return not_here(None),
        };
        let applied = self.raft.wait(Some(WRITE_DEADLINE));
        if applied.applied_index_at_least(Some(index), "a refusal").await.is_err() {
            return not_here(None);
        }
        Ok(self.held_back(needed).map(|(by, level)| WriteAnswer::HeldBack { needed, by, level }))
    }

    /// The member that cannot do what `needed` asks for, and what it can do. One that is not registered yet counts for
    /// the least.
    fn held_back(&self, needed: FeatureLevel) -> Option<(CoordinatorId, FeatureLevel)> {
        let metrics = self.raft.metrics();
        let membership = Arc::clone(&metrics.borrow_watched().membership_config);
        let state = self.state.borrow();
        let levels = membership.nodes().map(|(id, _)| (*id, state.level_of(*id)));
        levels.min_by_key(|(id, level)| (*level, *id)).filter(|(_, level)| *level < needed)
    }

    /// How far the log has to be applied for a linearizable read, where this coordinator leads: a majority is asked.
    pub(super) async fn read_index(&self) -> Result<ReadIndexReply, Fatal<TypeConfig<R>>> {
        match self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(linearizer) => Ok(ReadIndexReply::At { index: linearizer.read_log_id().log_id().index }),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
                Ok(ReadIndexReply::NotLeader {
                    leader: to.leader_id.filter(|leader| *leader != self.local.us.id),
                })
            }
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
                Ok(ReadIndexReply::NoQuorum)
            }
            Err(RaftError::Fatal(fatal)) => Err(fatal),
        }
    }

    /// The members as this coordinator knows them.
    pub(super) fn members(&self) -> BTreeMap<CoordinatorId, Member> {
        let metrics = self.raft.metrics();
        let membership = Arc::clone(&metrics.borrow_watched().membership_config);
        membership.nodes().map(|(id, member)| (*id, member.clone())).collect()
    }

    /// One member as this coordinator knows it.
    pub(super) fn member(&self, id: CoordinatorId) -> Option<Member> {
        self.raft.metrics().borrow_watched().membership_config.membership().get_node(&id).cloned()
    }

    /// The ids of the other members.
    pub(super) fn others(&self) -> Vec<CoordinatorId> {
        self.members().into_keys().filter(|id| *id != self.local.us.id).collect()
    }

    /// Where the group stands, as far as this coordinator can tell.
    pub(super) fn standing(&self) -> Standing {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let now = Instant::now();
        Standing {
            us: self.local.us.id,
            role: role(metrics.state),
            leader: metrics.current_leader,
            term: metrics.current_term,
            applied: metrics.last_applied.map_or(0, |id| id.index),
            voters: metrics.membership_config.voter_ids().collect(),
            members: metrics.membership_config.nodes().map(|(id, m)| (*id, m.raft.clone())).collect(),
            quorum_age: self.quorum_age(&metrics, now),
            misdirected: self.misdirected.lock().clone(),
        }
    }

    /// The only voter is a quorum itself. A leader knows one by acknowledgements; a follower knows of one by its leader,
    /// which falls silent when it has lost it.
    fn quorum_age(&self, metrics: &RaftMetrics<TypeConfig<R>>, now: Instant) -> Option<Duration> {
        if metrics.membership_config.voter_ids().eq([self.local.us.id]) {
            return Some(Duration::ZERO);
        }
        let acknowledged = metrics.last_quorum_acked.as_ref().map(|at| at.elapsed());
        let heard = self.heard.lock().last.map(|(_, at)| now.saturating_duration_since(at));
        match (acknowledged, heard) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

fn role(state: ServerState) -> Role {
    match state {
        ServerState::Leader => Role::Leader,
        ServerState::Follower => Role::Follower,
        ServerState::Candidate => Role::Candidate,
        ServerState::Learner => Role::Learner,
        ServerState::Shutdown => Role::Stopped,
    }
}
