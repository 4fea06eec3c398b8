//! tokio, as openraft runs on it: with a tick as rare as heartbeats are.
//!
//! openraft looks at its clock about five times a heartbeat, and each look wakes a sleeping thread, which is most of
//! what an idle coordinator would cost. Only its tick sleeps until a moment that is more than [`BRIEF`] away, so a rest
//! added there spaces the looks: each is worth a heartbeat. The rest is drawn anew each time, so that two followers that
//! lost their leader do not look, and stand for election, in step. Heartbeats and elections come later by up to one rest.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use helixflow_env::Randomness;
use openraft::{AsyncRuntime, Instant, OptionalSend};
use openraft_rt_tokio::TokioRuntime;

/// A rest is at least a heartbeat, or every second look would find none due, and at most this much longer.
const LONGER_BY: f64 = 0.25;
/// openraft gathers the disk's completions for a microsecond: such a sleep gets no rest.
const BRIEF: Duration = Duration::from_micros(100);

thread_local! {
    /// What openraft's thread rests by: its runtime is a type, and has no place for settings.
    static REST: RefCell<Option<Rest>> = const { RefCell::new(None) };
}

struct Rest {
    heartbeat: Duration,
    random: Arc<dyn Randomness>,
}

impl Rest {
    fn draw(rest: &Option<Self>) -> Duration {
        let Some(Self { heartbeat, random }) = rest else { return Duration::ZERO };
        let share = random.next_u64() as f64 / u64::MAX as f64;
        heartbeat.mul_f64(1.0 + LONGER_BY * share)
    }
}

/// [`TokioRuntime`] with rests.
#[derive(Debug)]
pub(crate) struct RestingRuntime(TokioRuntime);

impl RestingRuntime {
    /// Lets openraft rest between heartbeats where it runs on this thread, and on this thread alone.
    pub(crate) fn rest(heartbeat: Duration, random: Arc<dyn Randomness>) {
        REST.set(Some(Rest { heartbeat, random }));
    }
}

impl AsyncRuntime for RestingRuntime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <TokioRuntime as AsyncRuntime>::ThreadLocalRng;
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
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        let is_brief = deadline < Self::Instant::now() + BRIEF;
        let rest = if is_brief { Duration::ZERO } else { REST.with_borrow(Rest::draw) };
        TokioRuntime::sleep_until(deadline + rest)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(limit: Duration, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(limit, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        at: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(at, future)
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        TokioRuntime::thread_rng()
    }

    fn new(threads: usize) -> Self {
        Self(TokioRuntime::new(threads))
    }

    fn block_on<F: Future<Output = T>, T>(&mut self, future: F) -> T {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use helixflow_env::SeededRandom;

    use super::*;

    #[test]
    fn rests_are_drawn_between_one_heartbeat_and_a_quarter_more() {
        let heartbeat = Duration::from_millis(100);
        RestingRuntime::rest(heartbeat, Arc::new(SeededRandom::new(1)));
        let rests: Vec<Duration> = (0..100).map(|_| REST.with_borrow(Rest::draw)).collect();
        assert!(rests.iter().all(|rest| (heartbeat..=heartbeat.mul_f64(1.25)).contains(rest)), "{rests:?}");
        assert!(rests.iter().any(|rest| *rest < heartbeat.mul_f64(1.05)), "{rests:?}");
        assert!(rests.iter().any(|rest| *rest > heartbeat.mul_f64(1.2)), "{rests:?}");
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| REST.with_borrow(Rest::draw)).join());
        assert_eq!(elsewhere.expect("no panic"), Duration::ZERO);
    }
    #[tokio::test(start_paused = true)]
    async fn the_tick_rests_and_what_waits_for_the_disk_does_not() {
        let heartbeat = Duration::from_millis(100);
        RestingRuntime::rest(heartbeat, Arc::new(SeededRandom::new(1)));
        let sleep = async |duration| {
            let begun = tokio::time::Instant::now();
            RestingRuntime::sleep_until(<RestingRuntime as AsyncRuntime>::Instant::now() + duration).await;
            begun.elapsed()
        };
        assert!(sleep(Duration::from_micros(1)).await < Duration::from_millis(5));
        assert!(sleep(Duration::from_millis(20)).await >= heartbeat + Duration::from_millis(20));
    }
}
