//! One ordered writer: it drains its queue, makes the batch durable with one sync, and answers in order.
//!
//! A commit mark alone causes no sync: it rides with the next batch, or is written after a pause. A commit that fails
//! is never retried, since nobody knows what the disk holds then: every later write fails too.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{LogStore, StoreError, Write};
use crate::raft::record::LogIdRecord;

/// Writes that wait, at most: beyond it appends wait in openraft, which then takes no more proposals.
const QUEUE: usize = 4096;
/// Most writes in one batch, so that the first of them is not kept waiting by the last.
const MAX_BATCH: usize = 1024;
/// How long after a batch a commit mark waits for the next one to ride with. A restart without a quorum serves from the
/// last mark.
const COMMITTED_DELAY: Duration = Duration::from_secs(1);

/// Called once its write is durable, or failed.
pub(super) type Callback = Box<dyn FnOnce(io::Result<()>) + Send>;
/// What is known to be committed.
type Mark = Option<LogIdRecord>;

struct Job {
    write: Write,
    done: Callback,
    /// What was committed when this was queued: all of it is in the queue before this.
    committed: Mark,
}

/// The way to the writer. It ends, with everything written, once all clones are gone.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Job>,
    committed: Arc<Mutex<Mark>>,
}

impl Writer {
    /// Starts the writer on `runtime`, whose thread it blocks while the disk syncs; the task ends with it.
    pub(super) fn start(store: impl LogStore, runtime: &Handle) -> (Self, JoinHandle<()>) {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let committed = Arc::<Mutex<Mark>>::default();
        let end = runtime.spawn(run(store, jobs, Arc::clone(&committed)));
        (Self { queue, committed }, end)
    }

    /// Queues a write behind those before it.
    pub(super) async fn submit(&self, write: Write, done: Callback) -> io::Result<()> {
        let committed = *self.committed.lock();
        self.queue.send(Job { write, done, committed }).await.map_err(|_| gone())
    }

    /// Queues a write and waits until it is durable.
    pub(super) async fn write(&self, write: Write) -> io::Result<()> {
        let (tell, told) = oneshot::channel();
        let done = Box::new(move |result| {
            // Whoever asked may have gone away; the write stands all the same.
            let _ = tell.send(result);
        });
        self.submit(write, done).await?;
        told.await.map_err(|_| gone())?
    }

    /// Notes what is committed now. It wakes nobody.
    pub(super) fn committed(&self, mark: Mark) {
        *self.committed.lock() = mark;
    }
}

fn gone() -> io::Error {
    io::Error::other("the log's writer has ended: the process is stopping")
}

async fn run(mut store: impl LogStore, mut jobs: mpsc::Receiver<Job>, newest: Arc<Mutex<Mark>>) {
    let mut failed = None;
    let mut written = None;
    let mut is_idle = true;
    loop {
        let mut batch = Vec::new();
        let receive = jobs.recv_many(&mut batch, MAX_BATCH);
        let received = if is_idle { Ok(receive.await) } else { timeout(COMMITTED_DELAY, receive).await };
        // A mark is read before the queue is: what it covers is then written, or in the batch.
        let newest = *newest.lock();
        let mark = batch.last().map_or(newest, |job| job.committed);
        is_idle = batch.is_empty();
        if is_idle && !jobs.is_empty() {
            is_idle = false;
            continue;
        }
        let (mut writes, callbacks): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|Job { write, done, .. }| (write, done)).unzip();
        writes.extend((mark != written).then_some(Write::Committed(mark)));
        let result = commit(&mut store, writes, &mut failed).await;
        written = mark;
        answer(callbacks, result);
        if received == Ok(0) {
            return;
        }
    }
}

async fn commit(
    store: &mut impl LogStore,
    writes: Vec<Write>,
    failed: &mut Option<String>,
) -> Result<(), StoreError> {
    if let Some(first) = failed {
        return Err(StoreError::Failed { first: first.clone() });
    }
    if writes.is_empty() {
        return Ok(());
    }
    let result = store.commit(&writes).await;
    if let Err(error) = &result {
        *failed = Some(in_full(error));
        tracing::error!(error = in_full(error), "the Raft log takes nothing more");
    }
    result
}

/// The error with its cause: openraft passes on a text.
fn in_full(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn answer(callbacks: Vec<Callback>, result: Result<(), StoreError>) {
    let message = result.err().map(|error| in_full(&error));
    for done in callbacks {
        done(message.clone().map_or(Ok(()), |message| Err(io::Error::other(message))));
    }
}

#[cfg(test)]
mod tests {
    use helixflow_model::CoordinatorId;
    use openraft::vote::RaftLeaderId;

    use super::super::Contents;
    use super::*;
    use crate::raft::types::{LeaderId, LogId, Vote};

    #[derive(Default)]
    struct Recorded {
        batches: Vec<Vec<Write>>,
        fail: bool,
    }

    struct Recorder(Arc<Mutex<Recorded>>);

    impl LogStore for Recorder {
        fn load(&mut self) -> Result<Contents, StoreError> {
            Ok(Contents::default())
        }
        async fn commit(&mut self, batch: &[Write]) -> Result<(), StoreError> {
            let mut recorded = self.0.lock();
            recorded.batches.push(batch.to_vec());
            if recorded.fail { Err(StoreError::Failed { first: "a test".to_owned() }) } else { Ok(()) }
        }
    }

    fn writer() -> (Writer, Arc<Mutex<Recorded>>) {
        let recorded = Arc::<Mutex<Recorded>>::default();
        (Writer::start(Recorder(Arc::clone(&recorded)), &Handle::current()).0, recorded)
    }

    fn mark() -> Mark {
        Some(LogId::new(LeaderId::new(1, CoordinatorId(1)), 7).into())
    }

    fn vote() -> Write {
        Write::Vote(Vote::new(1, CoordinatorId(1)).into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_mark_rides_with_the_next_batch_and_causes_no_sync_of_its_own() {
        let (writer, recorded) = writer();
        writer.committed(mark());
        tokio::time::sleep(COMMITTED_DELAY * 2).await;
        assert!(recorded.lock().batches.is_empty());
        writer.write(vote()).await.expect("a vote");
        assert!(matches!(recorded.lock().batches[..], [ref batch] if batch.len() == 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_mark_is_written_some_time_after_the_last_batch() {
        let (writer, recorded) = writer();
        writer.write(vote()).await.expect("a vote");
        writer.committed(mark());
        tokio::time::sleep(COMMITTED_DELAY * 2).await;
        let committed = |batch: &[Write]| matches!(batch, [Write::Committed(at)] if *at == mark());
        assert!(matches!(&recorded.lock().batches[..], [_, batch] if committed(batch)));
    }

    #[tokio::test]
    async fn after_a_failed_commit_nothing_is_written() {
        let (writer, recorded) = writer();
        recorded.lock().fail = true;
        assert!(writer.write(vote()).await.is_err());
        recorded.lock().fail = false;
        assert!(writer.write(vote()).await.is_err());
        assert_eq!(recorded.lock().batches.len(), 1);
    }
}
