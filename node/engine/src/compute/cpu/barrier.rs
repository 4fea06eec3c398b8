//! A barrier for a few threads that meet hundreds of times a token: it spins for a bounded time, then sleeps.
//!
//! Between two phases of a layer lie microseconds, so waking a sleeper each time would cost more than the work. But a
//! thread that spins for long takes the core from whoever it waits for, and an idle engine must use no CPU.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

/// Looks at the barrier before sleeping: 20 to 200 µs, by the CPU's pause instruction. Longer than a phase of a layer
/// and than sampling a token, shorter than anything a person notices.
const SPINS: u32 = 4000;

/// A thread of the team has ended: nothing more can be computed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// A counter on a cache line of its own, so that those who spin on one do not slow those who count on another.
#[repr(align(64))]
struct Line(AtomicUsize);

/// Where all threads of a team meet.
pub(super) struct Barrier {
    parties: usize,
    arrived: Line,
    generation: Line,
    sleepers: Line,
    lost: AtomicBool,
    sleep: Mutex<()>,
    wake: Condvar,
}

impl Barrier {
    pub(super) fn new(parties: usize) -> Self {
        let line = || Line(AtomicUsize::new(0));
        Self {
            parties,
            arrived: line(),
            generation: line(),
            sleepers: line(),
            lost: AtomicBool::new(false),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Returns when all parties have come; what any of them wrote before is seen by all after.
    pub(super) fn wait(&self) -> Result<(), Lost> {
        let generation = self.generation.0.load(Ordering::SeqCst);
        let last = self.arrived.0.fetch_add(1, Ordering::SeqCst) + 1 == self.parties;
        if last {
            self.arrived.0.store(0, Ordering::SeqCst);
            self.generation.0.store(generation.wrapping_add(1), Ordering::SeqCst);
            if self.sleepers.0.load(Ordering::SeqCst) > 0 {
                self.wake_all();
            }
        } else {
            self.wait_for_others(generation);
        }
        if self.lost.load(Ordering::SeqCst) { Err(Lost) } else { Ok(()) }
    }

    /// Ends all waiting, now and later, with [`Lost`].
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::SeqCst);
        self.wake_all();
    }

    fn over(&self, generation: usize) -> bool {
        self.generation.0.load(Ordering::SeqCst) != generation || self.lost.load(Ordering::Relaxed)
    }

    fn wait_for_others(&self, generation: usize) {
        for _ in 0..SPINS {
            if self.over(generation) {
                return;
            }
            spin_loop();
        }
        let mut sleep = self.sleep.lock();
        self.sleepers.0.fetch_add(1, Ordering::SeqCst);
        while !self.over(generation) {
            self.wake.wait(&mut sleep);
        }
        self.sleepers.0.fetch_sub(1, Ordering::SeqCst);
    }

    /// The lock makes sure that a sleeper either sees the change before it sleeps, or is woken.
    fn wake_all(&self) {
        drop(self.sleep.lock());
        self.wake.notify_all();
    }
}
