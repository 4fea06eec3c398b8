//! Faults: what the driver's fault events, memory errors, replaced rows and the link say of one board.
//!
//! Each leads straight to the rung of the ladder where it must: heat has its own way there. Counters are compared with
//! those of the reading before, so errors from before this process began count for nothing; a counter that falls was
//! begun anew.

use std::time::Duration;

use helixflow_model::{BoardReading, Duty, EccErrors, PcieLink, RowRemapping};

mod storm;
mod xid;

use storm::Storm;
pub use xid::{Consequence, Xid, xid};

/// How long a board is drained after a fault that asks for it, without a further one.
const DRAINS_FOR: Duration = Duration::from_secs(1800);

/// How long the demand for quarantine lasts; the ladder adds its own stay and probation.
const QUARANTINES_FOR: Duration = Duration::from_secs(600);

/// Memory errors that the hardware mended: a storm of them announces ones that it cannot. NVIDIA's XID 92 tells of a
/// high rate without giving the figure; one every six seconds over ten minutes is far beyond stray particles.
const CORRECTED: Storm = Storm::new(100, Duration::from_secs(600));

/// Events that are only watched, and those of unknown codes: this many in an hour are no accident.
const WATCHED: Storm = Storm::new(5, Duration::from_secs(3600));

/// Packets sent again: NVIDIA's DCGM warns from more than eight a minute.
const REPLAYS: Storm = Storm::new(80, Duration::from_secs(600));

/// The faults of one board.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    ecc: Option<EccErrors>,
    pcie: Option<PcieLink>,
    corrected: Storm,
    watched: Storm,
    replays: Storm,
    /// Until when each rung is demanded.
    no_shards: Duration,
    drain: Duration,
    quarantine: Duration,
    /// Whether only a reset or another board helps.
    for_good: bool,
    remapping: RowRemapping,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            ecc: None,
            pcie: None,
            corrected: CORRECTED,
            watched: WATCHED,
            replays: REPLAYS,
            no_shards: Duration::ZERO,
            drain: Duration::ZERO,
            quarantine: Duration::ZERO,
            for_good: false,
            remapping: RowRemapping::default(),
        }
    }
}

impl Faults {
    /// Takes in a reading.
    pub(crate) fn take(&mut self, reading: &BoardReading, now: Duration) {
        for event in &reading.faults {
            self.event(xid(event.code).consequence, event.count, now);
        }
        if let Some(ecc) = reading.ecc.live() {
            self.memory(ecc, now);
        }
        if let Some(pcie) = reading.pcie.live() {
            self.link(pcie, now);
        }
        if let Some(remapping) = reading.remapping.live() {
            self.remapping = remapping;
        }
    }

    /// The rung that the faults so far demand.
    pub(crate) fn demand(&self, now: Duration) -> Duty {
        if self.for_good || self.remapping.failed || now < self.quarantine {
            Duty::Quarantine
        } else if self.remapping.pending || now < self.drain {
            Duty::Drain
        } else if now < self.no_shards {
            Duty::NoNewShards
        } else {
            Duty::Full
        }
    }

    fn event(&mut self, consequence: Consequence, count: u32, now: Duration) {
        match consequence {
            Consequence::Nothing => {}
            Consequence::Watch => {
                if self.watched.take(u64::from(count), now) {
                    self.drain = now.saturating_add(DRAINS_FOR);
                }
            }
            Consequence::Drain => self.drain = now.saturating_add(DRAINS_FOR),
            Consequence::Quarantine => self.quarantine = now.saturating_add(QUARANTINES_FOR),
            Consequence::Reset | Consequence::Exchange => self.for_good = true,
        }
    }

    fn memory(&mut self, ecc: EccErrors, now: Duration) {
        let before = self.ecc.replace(ecc).unwrap_or(ecc);
        if ecc.uncorrected > before.uncorrected {
            self.quarantine = now.saturating_add(QUARANTINES_FOR);
        }
        if self.corrected.take(ecc.corrected.saturating_sub(before.corrected), now) {
            self.drain = now.saturating_add(DRAINS_FOR);
        }
    }

    fn link(&mut self, pcie: PcieLink, now: Duration) {
        let before = self.pcie.replace(pcie).unwrap_or(pcie);
        if self.replays.take(u64::from(pcie.replays.saturating_sub(before.replays)), now) {
            self.no_shards = now.saturating_add(DRAINS_FOR);
        }
    }
}

#[cfg(test)]
mod tests;
