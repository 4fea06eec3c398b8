//! The ladder: no new shards, drain, quarantine, probation and return. The governor's lower clock is the rung before.
//!
//! Up at once to whatever is demanded; down one rung at a time after a quiet time. Quarantine is left through probation
//! alone, and each stay is longer than the one before, until a day without one has passed. Readings that do not come say
//! nothing: they neither count as quiet nor end it. A board that has lost a sensor for good stays drained, or in quarantine
//! if it ever gets there, until its node is started again, to which it is a board without that sensor.

use std::time::Duration;

use helixflow_model::{Band, Duty};

use crate::dwell::Dwell;

/// Hot for so long: the governor has done what it can, and another shard would add heat.
const HOT_NO_SHARDS: Duration = Duration::from_secs(30);

/// Heat that has not been told for so long will not be told again by itself.
const BLIND_DRAINS: Duration = Duration::from_secs(300);

/// Critical for so long although no new work comes: what is there must go too.
const CRITICAL_DRAINS: Duration = Duration::from_secs(30);

/// Critical for so long although it drains: the cooling has failed.
const CRITICAL_QUARANTINES: Duration = Duration::from_secs(120);

/// A rung is left downwards after so long a time without a reason for it.
const QUIET: Duration = Duration::from_secs(60);

/// The first stay in quarantine without a sign of trouble, doubled with each further stay, up to the longest.
const STAY: Duration = Duration::from_secs(60);
const LONGEST_STAY: Duration = Duration::from_secs(6 * 3600);

/// The next stay is a first one again after so long without one: a day holds whatever load and heat bring regularly.
const FORGIVEN: Duration = Duration::from_secs(24 * 3600);

/// Probation, without trouble. That a board is hot under its load is none: it gets no further shard meanwhile anyway.
const PROBATION: Duration = Duration::from_secs(300);

/// What keeps a board in quarantine, or sends it back there from probation.
const TROUBLE: Duty = Duty::Drain;

/// What the ladder decides on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs {
    /// How hot the board counts.
    pub(super) band: Band,
    /// Whether its heat cannot be told.
    pub(super) blind: bool,
    /// Whether its last reading is of now.
    pub(super) fresh: bool,
    /// What its faults demand.
    pub(super) faults: Duty,
    /// Whether its readings are late too often.
    pub(super) fenced: bool,
    /// The time since the process began.
    pub(super) now: Duration,
}

/// What one board may be asked to do.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    duty: Duty,
    hot: Option<Duration>,
    critical: Option<Duration>,
    blind: Option<Duration>,
    /// How long nothing has spoken for the rung that the board stands on.
    quiet: Dwell,
    /// The next stay in quarantine, and when the last one and its probation were over.
    stay: Duration,
    returned: Duration,
}

impl Default for Ladder {
    fn default() -> Self {
        Self {
            duty: Duty::Full,
            hot: None,
            critical: None,
            blind: None,
            quiet: Dwell::default(),
            stay: STAY,
            returned: Duration::ZERO,
        }
    }
}

impl Ladder {
    /// The duty now.
    pub(super) fn take(&mut self, signs: &Signs) -> Duty {
        let demanded = self.demanded(signs);
        let is_cool = signs.band <= Band::Warm;
        match self.duty {
            Duty::Quarantine => {
                if self.rests(demanded < TROUBLE && is_cool, signs) >= self.stay {
                    self.stay = (self.stay * 2).min(LONGEST_STAY);
                    self.go(Duty::Probation);
                }
            }
            Duty::Probation => {
                self.returned = signs.now;
                if demanded >= TROUBLE || signs.band == Band::Critical {
                    self.go(Duty::Quarantine);
                } else if self.rests(true, signs) >= PROBATION {
                    self.go(demanded);
                }
            }
            Duty::Full | Duty::NoNewShards | Duty::Drain if demanded > self.duty => {
                if signs.now.saturating_sub(self.returned) >= FORGIVEN {
                    self.stay = STAY;
                }
                self.go(demanded);
            }
            Duty::Full => {}
            Duty::NoNewShards | Duty::Drain => {
                if self.rests(demanded < self.duty && is_cool, signs) >= QUIET {
                    let milder = if self.duty == Duty::Drain { Duty::NoNewShards } else { Duty::Full };
                    self.go(milder.max(demanded));
                }
            }
        }
        self.quiet.looked(signs.now);
        self.duty
    }

    fn demanded(&mut self, signs: &Signs) -> Duty {
        let now = signs.now;
        let hot = lasted(&mut self.hot, signs.band >= Band::Hot, now);
        let critical = lasted(&mut self.critical, signs.band == Band::Critical, now);
        let blind = lasted(&mut self.blind, signs.blind, now);
        let by = |lasted: Option<Duration>, least: Duration, duty: Duty| match lasted {
            Some(time) if time >= least => duty,
            _ => Duty::Full,
        };
        [
            signs.faults,
            if signs.fenced { Duty::Quarantine } else { Duty::Full },
            by(critical, CRITICAL_QUARANTINES, Duty::Quarantine),
            by(critical, CRITICAL_DRAINS, Duty::Drain),
            by(critical, Duration::ZERO, Duty::NoNewShards),
            by(blind, BLIND_DRAINS, Duty::Drain),
            by(hot, HOT_NO_SHARDS, Duty::NoNewShards),
        ]
        .into_iter()
        .fold(Duty::Full, Duty::max)
    }

    fn go(&mut self, duty: Duty) {
        self.duty = duty;
        self.quiet.ends();
    }

    /// How long the board has been at rest, where it `is_calm` now.
    fn rests(&mut self, is_calm: bool, signs: &Signs) -> Duration {
        if !is_calm {
            self.quiet.ends();
        } else if signs.fresh {
            return self.quiet.holds(signs.now);
        }
        self.quiet.so_far()
    }
}

/// How long something has lasted, none where it does not hold now; `since` remembers.
fn lasted(since: &mut Option<Duration>, holds: bool, now: Duration) -> Option<Duration> {
    if !holds {
        *since = None;
        return None;
    }
    Some(now.saturating_sub(*since.get_or_insert(now)))
}

#[cfg(test)]
mod tests;
