//! openraft's view of the log: reads from memory, writes through the one writer.
//!
//! All unpurged entries are held in memory. Snapshots keep them few (see `settings`), and readers, replication and
//! apply then never wait for the disk, nor see less than what was appended.

use std::fmt::Debug;
use std::io;
use std::marker::PhantomData;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{AsyncRuntime, OptionalSend};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::writer::Writer;
use super::{Contents, LogStore, StoreError, Write};
use crate::raft::codec::encode;
use crate::raft::record::EntryRecord;
use crate::raft::types::{Entry, LogId, TypeConfig, Vote};

/// Most bytes of entries in one append to a follower; a single larger entry still goes alone.
const MAX_APPEND_BYTES: usize = 1 << 20;

/// The index of the first entry that the log still has. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FirstKept(Arc<AtomicU64>);

impl FirstKept {
    /// Whether the entry of this index is gone.
    pub(crate) fn is_gone(&self, index: u64) -> bool {
        index < self.0.load(Ordering::Acquire)
    }

    fn purged(&self, upto: u64) {
        self.0.fetch_max(upto.saturating_add(1), Ordering::AcqRel);
    }
}

/// The log as openraft reads and writes it. Clones share one log.
pub(crate) struct LogStorage<R> {
    contents: Arc<Mutex<Contents>>,
    first_kept: FirstKept,
    writer: Writer,
    runtime: PhantomData<fn() -> R>,
}

impl<R> LogStorage<R> {
    /// Loads the store and starts its writer on `runtime`. The task ends once every clone is gone and all is written.
    pub(crate) fn start(
        mut store: impl LogStore,
        runtime: &Handle,
    ) -> Result<(Self, JoinHandle<()>), StoreError> {
        let contents = store.load()?;
        let first_kept = FirstKept::default();
        contents.marks.purged.iter().for_each(|purged| first_kept.purged(purged.index));
        let (writer, end) = Writer::start(store, runtime);
        let contents = Arc::new(Mutex::new(contents));
        Ok((Self { contents, first_kept, writer, runtime: PhantomData }, end))
    }

    /// Where the log begins, now and after every purge.
    pub(crate) fn first_kept(&self) -> FirstKept {
        self.first_kept.clone()
    }
}

impl<R> Clone for LogStorage<R> {
    fn clone(&self) -> Self {
        Self {
            contents: Arc::clone(&self.contents),
            first_kept: self.first_kept.clone(),
            writer: self.writer.clone(),
            runtime: PhantomData,
        }
    }
}

fn read(record: &EntryRecord) -> io::Result<Entry> {
    Ok(record.clone().try_into()?)
}

impl<R: AsyncRuntime> RaftLogReader<TypeConfig<R>> for LogStorage<R> {
    async fn try_get_log_entries<B: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: B,
    ) -> io::Result<Vec<Entry>> {
        let contents = self.contents.lock();
        contents.entries.range(range).map(|(_, (entry, _))| read(entry)).collect()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let contents = self.contents.lock();
        // Never entries with a gap before them: the purge was faster than who asks.
        if !contents.entries.contains_key(&start) {
            return Ok(Vec::new());
        }
        let mut bytes = 0;
        let fits = |(_, (_, size)): &(&u64, &(EntryRecord, usize))| {
            let first = bytes == 0;
            bytes += size;
            first || bytes <= MAX_APPEND_BYTES
        };
        contents.entries.range(start..end).take_while(fits).map(|(_, (entry, _))| read(entry)).collect()
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.contents.lock().marks.vote.map(Into::into))
    }
}

impl<R: AsyncRuntime> RaftLogStorage<TypeConfig<R>> for LogStorage<R> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig<R>>> {
        let contents = self.contents.lock();
        Ok(LogState {
            last_purged_log_id: contents.marks.purged.map(Into::into),
            last_log_id: contents.last().map(Into::into),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = (*vote).into();
        self.writer.write(Write::Vote(vote)).await?;
        self.contents.lock().marks.vote = Some(vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let committed = committed.map(Into::into);
        self.contents.lock().marks.committed = committed;
        self.writer.committed(committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.contents.lock().marks.committed.map(Into::into))
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<TypeConfig<R>>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let records: Vec<EntryRecord> = entries.into_iter().map(Into::into).collect();
        let mut encoded = Vec::with_capacity(records.len());
        for record in &records {
            encoded.push((record.id.index, encode(record)?));
        }
        {
            let mut contents = self.contents.lock();
            for (record, (index, bytes)) in records.into_iter().zip(&encoded) {
                contents.entries.insert(*index, (record, bytes.len()));
            }
        }
        self.writer
            .submit(Write::Entries(encoded), Box::new(move |result| flushed.io_completed(result)))
            .await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let last = last.map(|id| id.index);
        self.contents.lock().truncate_after(last);
        // Not awaited: whatever is appended next is durable only after this, for there is one queue.
        self.writer.submit(Write::TruncateAfter(last), Box::new(|_| {})).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.contents.lock().purge(upto.into());
        self.first_kept.purged(upto.index);
        // Not awaited: a crash before it only means to purge again.
        self.writer.submit(Write::Purge(upto.into()), Box::new(|_| {})).await
    }
}
