//! What a coordinator does about its own place in the group: it keeps its record true, measures the way to the others,
//! and notices when it is a member no more.
//!
//! The others are asked who they are once each, and again only while no leader is heard. Whoever hears that it was
//! removed, or that the cluster has begun a new life without it, ends: it could only serve what is old.

mod registration;
mod round_trips;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_env::Randomness;
use helixflow_model::{CoordinatorId, Incarnation, RequestId};
use helixflow_policy::failover::Advice;
use helixflow_policy::state::Coordinator;
use helixflow_proto::context::CallContext;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use self::round_trips::RoundTrips;
use crate::config::Timings;
use crate::error::CoordinatorError;
use crate::raft::{Described, Handle, Role, Standing};

/// How often this coordinator looks at its own place.
const ROUND: Duration = Duration::from_secs(1);
/// Without a leader for so long, the others are asked: several elections have failed by then.
const LONELY: Duration = Duration::from_secs(5);
/// One that did not answer is asked again after this pause.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// This coordinator among the others.
pub(crate) struct Neighbours {
    pub(crate) raft: Handle,
    /// Where it stands and how it is reached, by its configuration.
    pub(crate) about: Coordinator,
    pub(crate) timings: Timings,
    /// Draws an id for each write.
    pub(crate) random: Arc<dyn Randomness>,
    /// Where advice on the timings is told.
    pub(crate) advice: watch::Sender<Option<Advice>>,
}

impl Neighbours {
    /// Goes on for as long as it is polled; ends when this coordinator is a member no more.
    pub(crate) async fn watch(self) -> Result<(), CoordinatorError> {
        let mut round_trips = RoundTrips::default();
        let mut asked: BTreeMap<CoordinatorId, Instant> = BTreeMap::new();
        let mut lonely_since: Option<Instant> = None;
        loop {
            let standing = self.raft.standing();
            lonely_since = match is_led(&standing, self.timings.election_max) {
                true => None,
                false => Some(lonely_since.unwrap_or_else(Instant::now)),
            };
            let is_lonely = lonely_since.is_some_and(|since| since.elapsed() > LONELY);
            self.ask(&standing, is_lonely, &mut round_trips, &mut asked).await?;
            self.keep_registered(&standing).await;
            sleep(ROUND).await;
        }
    }

    /// Asks whoever was not measured yet; when lonely, everybody.
    async fn ask(
        &self,
        standing: &Standing,
        is_lonely: bool,
        round_trips: &mut RoundTrips,
        asked: &mut BTreeMap<CoordinatorId, Instant>,
    ) -> Result<(), CoordinatorError> {
        round_trips.retain(|id| standing.members.contains_key(&id));
        for (id, address) in standing.members.iter().filter(|(id, _)| **id != standing.us) {
            let due = asked.get(id).is_none_or(|at| at.elapsed() > ASK_AGAIN);
            if !due || (round_trips.knows(*id) && !is_lonely) {
                continue;
            }
            asked.insert(*id, Instant::now());
            let Ok(described) = self.raft.describe(address.clone()).await else { continue };
            self.judge(&described)?;
            if !round_trips.knows(*id) && round_trips.measure(&self.raft, *id, address).await {
                self.tell(round_trips);
            }
        }
        Ok(())
    }

    /// Whether what another coordinator says ends our part in the group.
    fn judge(&self, described: &Described) -> Result<(), CoordinatorError> {
        let ours = self.raft.state().borrow().identity().map_or(Incarnation(0), |known| known.incarnation);
        let (by, id) = (described.id, self.raft.us().0);
        if ours.0 > 0 && described.incarnation > ours {
            return Err(CoordinatorError::Overtaken { id, by, ours, theirs: described.incarnation });
        }
        if described.we_were_removed {
            return Err(CoordinatorError::Removed { id, by });
        }
        Ok(())
    }

    /// Judges our timings by the way to the others, and tells what comes of it.
    fn tell(&self, round_trips: &RoundTrips) {
        let advice = round_trips.advise(&self.timings);
        self.advice.send_if_modified(|known| {
            let news = *known != advice;
            if news && let Some(advice) = &advice {
                tracing::error!(%advice, "heartbeats and elections do not fit the network");
            }
            *known = advice;
            news
        });
    }

    fn context(&self) -> CallContext {
        CallContext::new(RequestId::drawn(self.random.next_u64()))
    }
}

/// Whether this coordinator leads, or has heard its leader within `election_max`. That it knows one is not enough: who
/// was removed goes on knowing the leader that talks to it no more.
fn is_led(standing: &Standing, election_max: Duration) -> bool {
    let was_heard = standing.quorum_age.is_some_and(|age| age <= election_max);
    standing.role == Role::Leader || (standing.leader.is_some() && was_heard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_is_known_and_silent_leads_nobody() {
        let election_max = Duration::from_millis(300);
        let standing = |role, leader: Option<u64>, heard: Option<u64>| Standing {
            us: CoordinatorId(1),
            role,
            leader: leader.map(CoordinatorId),
            term: 1,
            applied: 1,
            voters: Default::default(),
            members: BTreeMap::new(),
            quorum_age: heard.map(Duration::from_millis),
            misdirected: None,
        };
        for (role, leader, heard, expected) in [
            (Role::Leader, Some(1), Some(9_000), true),
            (Role::Follower, Some(2), Some(100), true),
            (Role::Learner, Some(2), Some(100), true),
            (Role::Follower, Some(2), Some(9_000), false),
            (Role::Follower, Some(2), None, false),
            (Role::Candidate, None, Some(100), false),
        ] {
            let standing = standing(role, leader, heard);
            assert_eq!(is_led(&standing, election_max), expected, "{standing:?}");
        }
    }
}
