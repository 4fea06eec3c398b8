//! A leader whose process is gone is replaced at once: nobody waits for its lease to end.
//!
//! When a process ends, its machine says so: connections break, and new ones are refused. A follower whose stream from the
//! leader has ended looks whether it would be refused; if so it forgets the lease and stands for election, the lowest id
//! first. Nobody has to believe it: it asks for pre-votes, which whoever still hears the leader denies. A leader behind a
//! cut, or on a machine that is down, refuses nothing, and its lease has to end as ever.

use std::sync::Arc;
use std::time::Duration;

use helixflow_model::CoordinatorId;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use openraft::raft::TransferLeaderRequest;
use tokio::sync::watch;
use tokio::time::sleep;

use super::group::Raft;
use super::network::Peers;
use super::platform::Platform;
use super::types::{TypeConfig, Vote};

/// A follower waits so long before it stands, until the others have seen what it saw,
const NOTICE: Duration = Duration::from_millis(15);
/// and so much longer for each whose turn is before its own.
const TURN: Duration = Duration::from_millis(50);

/// Stands for election whenever the leader is found to be gone, for as long as this coordinator serves its Raft port.
pub(super) async fn fill_vacancies<R: Platform>(
    us: CoordinatorId,
    raft: Raft<R>,
    peers: Arc<Peers>,
    mut stream_ended: watch::Receiver<()>,
) {
    while stream_ended.changed().await.is_ok() {
        let Some(vacancy) = Vacancy::after_the_leader(us, &raft) else { continue };
        if peers.is_refused_by(vacancy.leader).await && vacancy.fill(&raft).await.is_err() {
            return;
        }
    }
}

/// The place of a leader, should it be gone.
struct Vacancy {
    /// What it leads by.
    vote: Vote,
    leader: CoordinatorId,
    /// When it is our turn to stand.
    wait: Duration,
}

impl Vacancy {
    /// None where nobody else leads, or we have no vote.
    fn after_the_leader<R: Platform>(us: CoordinatorId, raft: &Raft<R>) -> Option<Self> {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let leader = metrics.current_leader.filter(|leader| *leader != us)?;
        let wait = wait(metrics.membership_config.voter_ids(), leader, us)?;
        Some(Self { vote: metrics.vote, leader, wait })
    }

    async fn fill<R: Platform>(&self, raft: &Raft<R>) -> Result<(), Fatal<TypeConfig<R>>> {
        // The same as the leader's own request to make way for another. It names the leader as that other, so it takes the
        // lease away and starts no election: one that passes over the others' leases is not ours to start.
        let forgotten = raft.handle_transfer_leader(TransferLeaderRequest::new(self.vote, self.leader, None));
        // It is refused only where the other is us.
        let _ = forgotten.await?;
        sleep(self.wait).await;
        if raft.metrics().borrow_watched().vote == self.vote {
            metrics::counter!("helixflow_raft_vacancies").increment(1);
            raft.trigger().elect(true).await?;
        }
        Ok(())
    }
}

/// How long we wait before we stand; none where we have no vote.
fn wait(
    voters: impl Iterator<Item = CoordinatorId>,
    leader: CoordinatorId,
    us: CoordinatorId,
) -> Option<Duration> {
    let mut earlier = 0;
    let mut votes = false;
    for voter in voters.filter(|voter| *voter != leader) {
        earlier += u32::from(voter < us);
        votes |= voter == us;
    }
    votes.then(|| NOTICE + TURN * earlier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn followers_stand_one_after_the_other_and_observers_never() {
        let wait =
            |us| wait([1, 2, 3, 5].map(CoordinatorId).into_iter(), CoordinatorId(2), CoordinatorId(us));
        assert_eq!([wait(1), wait(3), wait(5)], [0, 1, 2].map(|turn| Some(NOTICE + TURN * turn)));
        assert_eq!(wait(4), None);
    }
}
