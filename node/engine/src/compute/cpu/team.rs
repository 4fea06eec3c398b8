//! Threads that run one program together, each on its part, meeting at a barrier between phases.
//!
//! The caller of [`Team::step`] is thread 0. A panic in any thread ends the team and never hangs the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use super::barrier::{Barrier, Lost};

/// How much nicer than other threads the engine's are: Raft shares the machine, and comes first.
const NICENESS: i32 = 10;

/// A program that all threads run, each on its part.
pub(super) trait Program: Send + Sync + 'static {
    /// What a thread keeps to itself from step to step.
    type Local: Default + Send;

    /// One step of thread `member.thread`.
    fn run(&self, member: Member<'_>, local: &mut Self::Local) -> Result<(), Lost>;
}

/// One thread of a team, during a step.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) thread: usize,
    pub(super) threads: usize,
    barrier: &'a Barrier,
}

impl Member<'_> {
    /// Waits for all threads; alone there is nobody to wait for.
    pub(super) fn meet(&self) -> Result<(), Lost> {
        if self.threads == 1 { Ok(()) } else { self.barrier.wait() }
    }

    /// This thread's contiguous share of `count` things.
    pub(super) fn share(&self, count: usize) -> std::ops::Range<usize> {
        share(count, self.thread, self.threads)
    }
}

/// The contiguous share of `count` things that thread `thread` of `threads` takes.
pub(super) fn share(count: usize, thread: usize, threads: usize) -> std::ops::Range<usize> {
    count * thread / threads..count * (thread + 1) / threads
}

struct Shared<P> {
    program: P,
    threads: usize,
    barrier: Barrier,
}

impl<P: Program> Shared<P> {
    /// One step of one thread. When it fails or panics, nobody waits for it any more.
    fn run(&self, thread: usize, local: &mut P::Local) -> Result<(), Lost> {
        let member = Member { thread, threads: self.threads, barrier: &self.barrier };
        // Whatever a panic leaves half done is never read again: the team is lost.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.program.run(member, local)));
        let outcome = outcome.unwrap_or(Err(Lost));
        if outcome.is_err() {
            self.barrier.lose();
        }
        outcome
    }

    fn work(&self, thread: usize) {
        lower_priority();
        let mut local = P::Local::default();
        while self.barrier.wait().is_ok() {
            if self.run(thread, &mut local).is_err() || self.barrier.wait().is_err() {
                return;
            }
        }
    }
}

/// Makes the calling thread nicer. Without the right to do so it runs on as it is.
fn lower_priority() {
    // On Linux `None` means the calling thread, not its process.
    let _unchanged_on_error = rustix::process::setpriority_process(None, NICENESS);
}

/// A program and its threads.
pub(super) struct Team<P: Program> {
    shared: Arc<Shared<P>>,
    local: P::Local,
    workers: Vec<JoinHandle<()>>,
}

impl<P: Program> Team<P> {
    /// Starts `threads - 1` threads; the caller is the first.
    pub(super) fn start(program: P, threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { program, threads, barrier: Barrier::new(threads) });
        let mut team = Self { shared, local: P::Local::default(), workers: Vec::new() };
        for thread in 1..threads {
            let shared = Arc::clone(&team.shared);
            let name = format!("engine-{thread}");
            // On an error the team is dropped, which ends the threads that were started.
            team.workers.push(Builder::new().name(name).spawn(move || shared.work(thread))?);
        }
        Ok(team)
    }

    pub(super) fn program(&self) -> &P {
        &self.shared.program
    }

    /// Runs one step on all threads.
    pub(super) fn step(&mut self) -> Result<(), Lost> {
        let shared = &self.shared;
        if shared.threads == 1 {
            return shared.run(0, &mut self.local);
        }
        shared.barrier.wait()?;
        shared.run(0, &mut self.local)?;
        shared.barrier.wait()
    }
}

impl<P: Program> Drop for Team<P> {
    fn drop(&mut self) {
        self.shared.barrier.lose();
        for worker in self.workers.drain(..) {
            // A worker's panic was caught inside it; there is nothing left to learn from joining.
            drop(worker.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Each thread adds one, meets the others, and checks that all have; thread `fails` panics in step 2.
    struct Count {
        sum: AtomicUsize,
        steps: AtomicUsize,
        fails: Option<usize>,
    }

    impl Program for Count {
        type Local = usize;

        fn run(&self, member: Member<'_>, local: &mut usize) -> Result<(), Lost> {
            *local += 1;
            if *local == 2 && self.fails == Some(member.thread) {
                panic!("a thread fails");
            }
            self.sum.fetch_add(1, Ordering::SeqCst);
            member.meet()?;
            assert_eq!(self.sum.load(Ordering::SeqCst), *local * member.threads);
            member.meet()?;
            self.steps.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    fn team(threads: usize, fails: Option<usize>) -> Team<Count> {
        let count = Count { sum: AtomicUsize::new(0), steps: AtomicUsize::new(0), fails };
        Team::start(count, threads).unwrap()
    }

    #[test]
    fn every_thread_runs_every_step() {
        for threads in [1, 2, 3, 5] {
            let mut team = team(threads, None);
            for _ in 0..100 {
                team.step().unwrap();
            }
            assert_eq!(team.program().steps.load(Ordering::SeqCst), 100 * threads);
        }
    }

    #[test]
    fn a_panic_in_any_thread_loses_the_team_and_hangs_nobody() {
        for threads in [1, 2, 3] {
            for fails in 0..threads {
                let mut team = team(threads, Some(fails));
                assert_eq!(team.step(), Ok(()));
                assert_eq!(team.step(), Err(Lost));
                if threads > 1 {
                    assert_eq!(team.step(), Err(Lost));
                }
            }
        }
    }

    #[test]
    fn shares_cover_everything_once() {
        for (count, threads) in [(0, 3), (1, 2), (7, 3), (60, 2)] {
            let all: Vec<usize> = (0..threads).flat_map(|thread| share(count, thread, threads)).collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }
}
