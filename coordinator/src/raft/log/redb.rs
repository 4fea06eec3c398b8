//! The log in redb, an embedded store: the oracle that the segments are held to, and what they are measured against.
//!
//! One table by index, one of marks; one transaction a batch. Only built for tests, in memory.

use std::io;
use std::ops::RangeInclusive;

use ::redb::backends::InMemoryBackend;
use ::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::{Contents, LogStore, StoreError, Write};
use crate::raft::codec::{Record, decode, encode};

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const MARKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("marks");

const VOTE: &str = "vote";
const PURGED: &str = "purged";
const COMMITTED: &str = "committed";

/// The log in memory.
pub(crate) struct RedbStore(Database);

fn failed(source: impl Into<::redb::Error>) -> StoreError {
    StoreError::Store { path: "redb".to_owned(), source: io::Error::other(source.into()) }
}

fn unreadable(source: crate::raft::codec::CodecError) -> StoreError {
    StoreError::Record { path: "redb".to_owned(), source }
}

impl RedbStore {
    /// An empty log.
    pub(crate) fn new() -> Result<Self, StoreError> {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).map_err(failed)?;
        let transaction = database.begin_write().map_err(failed)?;
        transaction.open_table(ENTRIES).map_err(failed)?;
        transaction.open_table(MARKS).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(Self(database))
    }

    fn mark<T: Record>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let read = self.0.begin_read().map_err(failed)?;
        let table = read.open_table(MARKS).map_err(failed)?;
        let value = table.get(name).map_err(failed)?;
        value.map(|bytes| decode(bytes.value()).map_err(unreadable)).transpose()
    }
}

impl LogStore for RedbStore {
    fn load(&mut self) -> Result<Contents, StoreError> {
        let mut contents = Contents::default();
        contents.marks.vote = self.mark(VOTE)?;
        contents.marks.purged = self.mark(PURGED)?;
        contents.marks.committed = self.mark(COMMITTED)?;
        let read = self.0.begin_read().map_err(failed)?;
        for entry in read.open_table(ENTRIES).map_err(failed)?.iter().map_err(failed)? {
            let (index, bytes) = entry.map_err(failed)?;
            let record = decode(bytes.value()).map_err(unreadable)?;
            contents.entries.insert(index.value(), (record, bytes.value().len()));
        }
        Ok(contents)
    }

    async fn commit(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        let transaction = self.0.begin_write().map_err(failed)?;
        for write in batch {
            make(&transaction, write)?;
        }
        transaction.commit().map_err(failed)
    }
}

fn make(transaction: &WriteTransaction, write: &Write) -> Result<(), StoreError> {
    match write {
        Write::Vote(vote) => put_mark(transaction, VOTE, vote),
        Write::Committed(Some(at)) => put_mark(transaction, COMMITTED, at),
        Write::Committed(None) => Ok(()),
        Write::Entries(entries) => put_entries(transaction, entries),
        Write::TruncateAfter(last) => {
            remove(transaction, last.map_or(0, |index| index.saturating_add(1))..=u64::MAX)
        }
        Write::Purge(upto) => {
            put_mark(transaction, PURGED, upto)?;
            remove(transaction, 0..=upto.index)
        }
    }
}

fn put_mark<T: Record>(transaction: &WriteTransaction, name: &str, record: &T) -> Result<(), StoreError> {
    let bytes = encode(record).map_err(unreadable)?;
    let mut table = transaction.open_table(MARKS).map_err(failed)?;
    table.insert(name, bytes.as_slice()).map_err(failed)?;
    Ok(())
}

fn put_entries(transaction: &WriteTransaction, entries: &[(u64, Vec<u8>)]) -> Result<(), StoreError> {
    let mut table = transaction.open_table(ENTRIES).map_err(failed)?;
    for (index, bytes) in entries {
        table.insert(index, bytes.as_slice()).map_err(failed)?;
    }
    Ok(())
}

fn remove(transaction: &WriteTransaction, range: RangeInclusive<u64>) -> Result<(), StoreError> {
    let mut table = transaction.open_table(ENTRIES).map_err(failed)?;
    table.retain_in(range, |_, _| false).map_err(failed)
}
