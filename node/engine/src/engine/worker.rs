//! The engine's thread: takes orders, makes steps, hands out the news.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use helixflow_model::LoadReport;

use super::inbox::{Inbox, Orders, Sleep, Submission};
use super::pace::{Pace, paced};
use super::rate::Rate;
use super::{Progress, Sink};
use crate::compute::Compute;
use crate::schedule::{Event, Failure, RequestNumber, Scheduler, StepError, Verdict};

/// Nice value of the engine's thread, of 19 that would be lowest: consensus, its network and telemetry go first on a
/// busy machine.
const NICE: i32 = 10;

/// Everything that the thread owns.
pub(super) struct Worker {
    inbox: Arc<Inbox>,
    compute: Box<dyn Compute>,
    scheduler: Scheduler,
    sinks: BTreeMap<RequestNumber, Box<dyn Sink>>,
    rate: Rate,
    pace: Box<dyn Pace>,
    /// When the next step may begin; none for at once.
    next: Option<Instant>,
}

/// Starts the thread. Engine threads stand outside the simulation, which has a model of the engine instead.
pub(super) fn spawn(worker: Worker) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("engine".to_owned()).spawn(|| {
        // On Linux "this process" means the calling thread. Lowering is always permitted; where it fails all the
        // same, the engine still works.
        let _ = rustix::process::setpriority_process(None, NICE);
        worker.run();
    })
}

impl Worker {
    pub(super) fn new(
        inbox: Arc<Inbox>,
        compute: Box<dyn Compute>,
        scheduler: Scheduler,
        pace: Box<dyn Pace>,
    ) -> Self {
        let (sinks, rate) = (BTreeMap::new(), Rate::default());
        Self { inbox, compute, scheduler, sinks, rate, pace, next: None }
    }

    /// Serves until it is shut down or lost, then ends every stream.
    fn run(mut self) {
        let failure = match catch_unwind(AssertUnwindSafe(|| self.serve())) {
            Ok(Ok(())) => Failure::ShutDown,
            Ok(Err(error)) => error.into(),
            Err(_) => Failure::Panicked,
        };
        let late = self.inbox.end(failure.clone());
        let sinks = self.sinks.into_values().chain(late.submitted.into_iter().map(|late| late.sink));
        for mut sink in sinks {
            // One sink's panic must not keep the others from hearing the news.
            drop(catch_unwind(AssertUnwindSafe(|| sink.emit(Event::Failed(failure.clone())))));
        }
    }

    fn serve(&mut self) -> Result<(), StepError> {
        loop {
            let orders = self.inbox.take(self.sleep());
            let shut_down = orders.shut_down;
            self.obey(orders);
            if shut_down {
                return Ok(());
            }
            if self.has_rested() {
                self.step()?;
            }
        }
    }

    fn sleep(&self) -> Sleep {
        if !self.scheduler.has_work() {
            return Sleep::Long;
        }
        self.next.map_or(Sleep::None, Sleep::Until)
    }

    /// Whether the next step may begin: orders cut a sleep short, not a rest.
    fn has_rested(&mut self) -> bool {
        if self.next.is_some_and(|next| now() < next) {
            return false;
        }
        self.next = None;
        true
    }

    fn obey(&mut self, orders: Orders) {
        // Every sink first: whatever happens to one request, all others are told how they end.
        let mut requests = Vec::with_capacity(orders.submitted.len());
        for Submission { number, request, sink } in orders.submitted {
            self.sinks.insert(number, sink);
            requests.push((number, request));
        }
        for (number, request) in requests {
            // Checked at the door already; were it refused here, its stream would have to end all the same.
            if self.scheduler.submit(number, request).is_err() {
                self.fail(number, Failure::Accounts);
            }
        }
        for number in orders.cancelled {
            if self.scheduler.cancel(number) {
                self.fail(number, Failure::Cancelled);
            }
        }
    }

    fn fail(&mut self, number: RequestNumber, failure: Failure) {
        if let Some(mut sink) = self.sinks.remove(&number) {
            sink.emit(Event::Failed(failure));
        }
    }

    fn step(&mut self) -> Result<(), StepError> {
        let sinks = &mut self.sinks;
        let mut deliver = |number, event| {
            let over = matches!(event, Event::End { .. } | Event::Failed(_));
            let verdict =
                sinks.get_mut(&number).map_or(Verdict::Gone, |sink: &mut Box<dyn Sink>| sink.emit(event));
            if over || verdict == Verdict::Gone {
                sinks.remove(&number);
            }
            verdict
        };
        let began = now();
        self.scheduler.admit(&mut deliver);
        // The queue has room again: told before the step, which may take long.
        self.inbox.publish(load(&self.scheduler, &self.rate), Progress::default());
        let stepped = self.scheduler.step(&mut *self.compute, &mut deliver)?;
        let tokens = stepped.tokens as u64;
        let took;
        (took, self.next) = paced(&mut *self.pace, stepped, began, now());
        self.rate.observe(tokens, took);
        let progress = Progress { steps: u64::from(stepped.rows > 0), tokens };
        self.inbox.publish(load(&self.scheduler, &self.rate), progress);
        Ok(())
    }
}

fn load(scheduler: &Scheduler, rate: &Rate) -> LoadReport {
    LoadReport { millitokens_per_second: rate.millitokens_per_second(), ..scheduler.load() }
}

#[expect(clippy::disallowed_methods, reason = "engine threads stand outside the simulation")]
fn now() -> Instant {
    Instant::now()
}
