//! When the other coordinators of the region showed a sign of life: soft state of whoever may have to take their place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_model::CoordinatorId;
use helixflow_policy::failover::{REPORTER_LEASE, Signs};
use parking_lot::Mutex;
use tokio::time::Instant;

/// One whose own rounds come later than this was stalled, and may not have heard what was said meanwhile.
const LONGEST_PAUSE: Duration = REPORTER_LEASE;

/// Signs of life. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Presence(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    since: Option<Instant>,
    last_round: Option<Instant>,
    /// The last sign of each within the lease. Only coordinators that the state knows are noted.
    at: BTreeMap<CoordinatorId, Instant>,
}

impl Presence {
    /// Begins to listen: no silence from before counts.
    pub(super) fn listen(&self, now: Instant) {
        let mut heard = self.0.lock();
        (heard.since, heard.last_round) = (Some(now), Some(now));
    }

    /// Notes a sign of life.
    pub(super) fn note(&self, id: CoordinatorId, now: Instant) {
        self.0.lock().at.insert(id, now);
    }

    /// What was heard, for the round that begins now.
    pub(super) fn signs(&self, now: Instant) -> Signs {
        let mut heard = self.0.lock();
        let before = heard.last_round.replace(now).unwrap_or(now);
        if now.saturating_duration_since(before) > LONGEST_PAUSE {
            heard.since = Some(now);
        }
        // Who was silent for longer counts like one that was never heard, and may be none of the cluster any more.
        heard.at.retain(|_, at| now.saturating_duration_since(*at) < REPORTER_LEASE);
        let silent = heard.at.iter().map(|(id, at)| (*id, now.saturating_duration_since(*at)));
        let since = heard.since.unwrap_or(now);
        Signs { listening: now.saturating_duration_since(since), silent: silent.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(begun: Instant, seconds: u64) -> Instant {
        begun + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn a_round_that_comes_late_begins_to_listen_anew() {
        let (presence, begun) = (Presence::default(), Instant::now());
        presence.listen(begun);
        presence.note(CoordinatorId(1), begun);
        let signs = presence.signs(after(begun, 2));
        assert_eq!(signs.listening, Duration::from_secs(2));
        assert_eq!(signs.silent[&CoordinatorId(1)], Duration::from_secs(2));
        assert_eq!(presence.signs(after(begun, 4)).listening, Duration::from_secs(4));
        assert_eq!(presence.signs(after(begun, 8)).listening, Duration::ZERO);
    }

    #[tokio::test]
    async fn one_that_has_been_silent_for_a_lease_is_forgotten() {
        let (presence, begun) = (Presence::default(), Instant::now());
        presence.note(CoordinatorId(1), begun);
        presence.note(CoordinatorId(2), begun + REPORTER_LEASE / 2);
        let signs = presence.signs(begun + REPORTER_LEASE);
        assert_eq!(signs.silent.into_keys().collect::<Vec<_>>(), [CoordinatorId(2)]);
        assert_eq!(presence.0.lock().at.len(), 1);
    }
}
