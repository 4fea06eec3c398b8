//! The phases of a run: faults, then none; or one loss of the leader, and then none.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::faults::Fault;
use super::host::{Process, name, timings};
use super::world::{Scenario, World};

/// How long faults go on.
pub(super) const SAFETY_MS: u64 = 8_000;
/// How long every coordinator may take to serve once they have ended.
const LIVENESS_MS: u64 = 6_000;
/// When the leader is lost.
const LOST_MS: u64 = 2_000;
/// Writes go on without a leader whose process is gone within so many of the longest election timeouts,
const REPLACED_WITHIN_ELECTIONS: u32 = 1;
/// and within so many without one that is silent, or heard by some.
const RESUMED_WITHIN_ELECTIONS: u32 = 8;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Faults come and go.
    Safety,
    /// Nothing has gone wrong yet.
    BeforeLoss,
    /// The leader was cut off, or is down, and stays so.
    Lost { leader: u64, since_ms: u64 },
    /// Every fault has ended.
    Liveness { since_ms: u64 },
    /// Every coordinator served.
    Done,
}

impl World<'_> {
    /// Goes on to the next phase when this one is done; says when it takes too long.
    pub(super) fn go_on(&mut self, now: u64) -> Result<(), String> {
        match self.phase {
            Phase::Safety if now >= SAFETY_MS && self.under_way.is_empty() => self.end_all(now),
            Phase::BeforeLoss if now >= LOST_MS => self.lose_leader(now),
            Phase::Lost { leader, since_ms } => self.judge_loss(leader, since_ms, now)?,
            Phase::Liveness { since_ms } => self.judge_liveness(since_ms, now)?,
            Phase::Safety | Phase::BeforeLoss | Phase::Done => {}
        }
        Ok(())
    }

    fn end_all(&mut self, now: u64) {
        self.heal();
        self.phase = Phase::Liveness { since_ms: now };
        self.note("every fault has ended");
    }

    fn lose_leader(&mut self, now: u64) {
        let Some((_, leader)) = self.seen.last_leader() else { return };
        let bridge = leader % self.run.coordinators + 1;
        match self.run.scenario {
            Scenario::MutedLeader => self.begin(&Fault::Muted(leader)),
            Scenario::DeafLeader => self.begin(&Fault::Deaf(leader)),
            Scenario::KilledLeader => self.begin(&Fault::Kill(leader)),
            Scenario::DarkLeader => self.begin(&Fault::PowerCut(leader)),
            Scenario::BridgedLeader | Scenario::Faults => {
                let others: Vec<u64> =
                    self.seats.keys().copied().filter(|id| ![leader, bridge].contains(id)).collect();
                others.iter().for_each(|other| self.begin(&Fault::Cut(leader, *other)));
            }
        }
        self.note(&format!("{:?}: {} is lost", self.run.scenario, name(leader)));
        self.phase = Phase::Lost { leader, since_ms: now };
    }

    /// Somebody else leads, and one of the others has acknowledged a write since.
    fn judge_loss(&mut self, leader: u64, since_ms: u64, now: u64) -> Result<(), String> {
        let replaced = self.seen.last_leader_since().filter(|(id, _)| *id != leader).map(|(_, at)| at);
        let resumed = replaced.is_some_and(|at| {
            let served = self.shared.served_ms.lock();
            served.iter().any(|(coordinator, served)| *coordinator != leader && *served > at)
        });
        if resumed {
            self.recovered = Duration::from_millis(now - since_ms);
            if self.is_down(leader) {
                self.restarts.insert(leader, now);
            }
            self.end_all(now);
            return Ok(());
        }
        let elections = match self.run.scenario {
            Scenario::KilledLeader => REPLACED_WITHIN_ELECTIONS,
            _ => RESUMED_WITHIN_ELECTIONS,
        };
        let limit = timings().election_max * elections;
        if Duration::from_millis(now - since_ms) <= limit {
            return Ok(());
        }
        Err(format!("no write went on within {limit:?} of the loss of {}", name(leader)))
    }

    /// Every coordinator that is not lost for good has to acknowledge a write.
    fn judge_liveness(&mut self, since_ms: u64, now: u64) -> Result<(), String> {
        let served = self.shared.served_ms.lock().clone();
        let missing: BTreeSet<u64> = self
            .seats
            .keys()
            .copied()
            .filter(|id| served.get(id).is_none_or(|at| *at <= since_ms) && !self.is_lost(*id))
            .collect();
        if missing.is_empty() {
            if self.run.scenario == Scenario::Faults {
                self.recovered = Duration::from_millis(now - since_ms);
            }
            self.note("served everywhere");
            self.shared.stop.store(true, Ordering::Relaxed);
            self.phase = Phase::Done;
            return Ok(());
        }
        if now <= since_ms + LIVENESS_MS {
            return Ok(());
        }
        Err(format!("{missing:?} do not serve {LIVENESS_MS} ms after every fault has ended"))
    }

    /// Its disk has rotted, and it refuses to start.
    fn is_lost(&self, id: u64) -> bool {
        self.rotten.contains(&id) && !matches!(&*self.seats[&id].process.lock(), Process::Up(_))
    }

    fn is_down(&self, id: u64) -> bool {
        matches!(&*self.seats[&id].process.lock(), Process::Down)
    }
}
