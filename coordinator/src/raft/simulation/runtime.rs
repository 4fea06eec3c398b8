//! openraft's runtime in a simulation: seeded random numbers, and a clock of its own for each host.
//!
//! All hosts of a simulation run on one thread, in an order that the seed decides; so one sequence of random numbers
//! serves them all. A host is told from another by its tokio runtime.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use helixflow_env::{Randomness, SeededRandom};
use openraft::{AsyncRuntime, OptionalSend};
use openraft_rt_tokio::TokioRuntime;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::runtime::Handle;

use super::planted::PlantedMachine;
use crate::raft::platform::Platform;

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

#[derive(Default)]
struct World {
    random: Option<SeededRandom>,
    /// By the number of the host's runtime.
    clocks: BTreeMap<String, Clock>,
}

/// A clock that runs faster or slower than the others.
#[derive(Clone, Copy)]
struct Clock {
    began: tokio::time::Instant,
    rate: f64,
}

/// Begins a simulation's random numbers.
pub(super) fn seed(seed: u64) {
    WORLD.set(World { random: Some(SeededRandom::new(seed)), clocks: BTreeMap::new() });
}

/// Sets the rate of the clock of the host that calls: 1 is right, 1.1 a tenth too fast.
pub(super) fn set_clock(rate: f64) {
    let clock = Clock { began: tokio::time::Instant::now(), rate };
    WORLD.with_borrow_mut(|world| world.clocks.insert(Handle::current().id().to_string(), clock));
}

fn clock() -> Clock {
    let id = Handle::current().id().to_string();
    WORLD.with_borrow(|world| world.clocks.get(&id).copied()).expect("a host that has set its clock")
}

/// tokio, seeded, on a clock that may be wrong.
#[derive(Debug)]
pub(super) struct SimulatedRuntime;

impl Platform for SimulatedRuntime {
    type Machine = PlantedMachine;
}

/// A moment by the host's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl Moment {
    /// How long until then, by a right clock.
    fn remaining(self) -> Duration {
        let now = <Self as openraft::Instant>::now();
        self.0.saturating_sub(now.0).div_f64(clock().rate)
    }
}

impl openraft::Instant for Moment {
    fn now() -> Self {
        let Clock { began, rate } = clock();
        Self(began.elapsed().mul_f64(rate))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl Sub for Moment {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl SubAssign<Duration> for Moment {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl AsyncRuntime for SimulatedRuntime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = Moment;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = SmallRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = <TokioRuntime as AsyncRuntime>::Watch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration.div_f64(clock().rate))
    }

    fn sleep_until(deadline: Moment) -> Self::Sleep {
        TokioRuntime::sleep(deadline.remaining())
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(limit: Duration, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(limit.div_f64(clock().rate), future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(at: Moment, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(at.remaining(), future)
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(error)
    }

    fn thread_rng() -> SmallRng {
        let drawn = WORLD.with_borrow(|world| world.random.as_ref().map(Randomness::next_u64));
        SmallRng::seed_from_u64(drawn.expect("a simulation that was seeded"))
    }

    fn new(_: usize) -> Self {
        Self
    }

    fn block_on<F: Future<Output = T>, T>(&mut self, future: F) -> T {
        Handle::current().block_on(future)
    }
}
