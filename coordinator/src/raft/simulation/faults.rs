//! What goes wrong and when: a plan drawn from the seed, all of which ends before the liveness phase.

use std::time::Duration;

use helixflow_env::{Randomness, SeededRandom};

/// The earliest fault: the group has been made by then.
const FIRST_MS: u64 = 1_500;
/// Between two faults, at most.
const GAP_MS: u64 = 900;
/// The shortest and the longest fault.
const SHORTEST_MS: u64 = 100;
const LONGEST_MS: u64 = 2_500;

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process is killed; what it wrote stays readable.
    Kill(u64),
    /// The machine loses its power: what was not synced is lost or torn.
    PowerCut(u64),
    /// The machine loses its power, and bits of its log have flipped when it is back.
    BitRot(u64),
    /// Nothing gets through between one and the others.
    Isolate(u64),
    /// Nothing gets through between two.
    Cut(u64, u64),
    /// What the first sends to the second is lost.
    OneWay(u64, u64),
    /// What one sends to all others is lost.
    Muted(u64),
    /// What all others send to one is lost.
    Deaf(u64),
    /// Messages between two take so long.
    Delay(u64, u64, Duration),
    /// Syncs take so long.
    SlowDisk(u64, Duration),
    /// Nothing can grow.
    FullDisk(u64),
    /// A sync fails, which ends the process.
    FailingDisk(u64),
}

impl Fault {
    /// The process that is down while it lasts.
    pub(super) fn takes_down(&self) -> Option<u64> {
        match self {
            Self::Kill(id) | Self::PowerCut(id) | Self::BitRot(id) => Some(*id),
            _ => None,
        }
    }

    /// Whether it sets this one apart from the others.
    pub(super) fn is_at(&self, id: u64) -> bool {
        matches!(self, Self::Isolate(at) | Self::Muted(at) | Self::Deaf(at) if *at == id)
    }
}

/// A fault and its time.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
    pub(super) fault: Fault,
}

/// When a process of an older build is replaced, and for how long it is down.
const UPDATE_MS: u64 = 2_200;
const UPDATE_TAKES_MS: u64 = 150;

/// The coordinator that is of an older build at first, in one run of four.
pub(super) fn old(seed: u64) -> Option<u64> {
    seed.is_multiple_of(4).then_some(1 + seed / 4 % 3)
}

/// The faults of one run with so many coordinators, until the safety phase ends.
pub(super) fn plan(seed: u64, coordinators: u64, end_ms: u64) -> Vec<Planned> {
    let random = SeededRandom::new(seed ^ 0xfa17);
    let mut draw = Draw { random, coordinators, old: old(seed), rotten: None };
    let update =
        |id| Planned { from_ms: UPDATE_MS, until_ms: UPDATE_MS + UPDATE_TAKES_MS, fault: Fault::Kill(id) };
    let mut planned: Vec<Planned> = old(seed).map(update).into_iter().collect();
    let mut at = FIRST_MS;
    loop {
        at += draw.below(GAP_MS);
        if at + SHORTEST_MS >= end_ms {
            planned.sort_by_key(|planned| planned.from_ms);
            return planned;
        }
        let until_ms = end_ms.min(at + SHORTEST_MS + draw.below(LONGEST_MS - SHORTEST_MS));
        planned.push(Planned { from_ms: at, until_ms, fault: draw.fault() });
    }
}

struct Draw {
    random: SeededRandom,
    coordinators: u64,
    /// The one of an older build. Lost for good, it would hold the others back until it is removed.
    old: Option<u64>,
    /// The one whose disk rots: a minority at most may be lost for good.
    rotten: Option<u64>,
}

impl Draw {
    fn below(&self, bound: u64) -> u64 {
        self.random.next_u64() % bound.max(1)
    }

    fn one(&self) -> u64 {
        1 + self.below(self.coordinators)
    }

    fn two(&self) -> (u64, u64) {
        let first = self.one();
        (first, 1 + (first + self.below(self.coordinators - 1)) % self.coordinators)
    }

    fn fault(&mut self) -> Fault {
        let (one, (a, b)) = (self.one(), self.two());
        match self.below(20) {
            0..=2 => Fault::Kill(one),
            3..=6 => Fault::PowerCut(one),
            7 if self.old != Some(one) => Fault::BitRot(*self.rotten.get_or_insert(one)),
            8..=9 => Fault::Isolate(one),
            10 => Fault::Cut(a, b),
            11 => Fault::OneWay(a, b),
            12 => Fault::Muted(one),
            13 => Fault::Deaf(one),
            14..=15 => Fault::Delay(a, b, Duration::from_millis(20 + self.below(300))),
            16..=17 => Fault::SlowDisk(one, Duration::from_millis(5 + self.below(150))),
            18 => Fault::FullDisk(one),
            _ => Fault::FailingDisk(one),
        }
    }
}
