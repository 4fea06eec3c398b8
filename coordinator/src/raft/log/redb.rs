//! The log in a redb file: one table by index, one of marks. One transaction, and so one sync, a batch.

use std::path::Path;

use ::redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition, WriteTransaction,
};

use super::{Contents, LogStore, StoreError, Write};
use crate::raft::codec::{Record, decode, encode};
use crate::raft::record::EntryRecord;
use crate::raft::types::DiskId;

/// The format of this file. Another one is refused, never guessed at.
const FORMAT: u32 = 1;

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const MARKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("marks");

const FORMAT_MARK: &str = "format";
const DISK: &str = "disk";
const OWNER: &str = "owner";
const VOTE: &str = "vote";
const PURGED: &str = "purged";
const COMMITTED: &str = "committed";

/// Memory that redb may use to cache pages: the log is read whole at start and then served from memory.
const CACHE_BYTES: usize = 4 << 20;

/// The log's file, open.
#[derive(Debug)]
pub(crate) struct RedbStore {
    database: Database,
    path: String,
    disk: DiskId,
}

/// Why the log's file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenLogError {
    /// Another process has it.
    #[error(
        "the Raft log at {path} is in use by another process: stop that one, or give this one another data_dir"
    )]
    InUse {
        /// Its file.
        path: String,
    },
    /// It is another coordinator's.
    #[error(
        "the Raft log at {path} belongs to {found}, this is {wanted}: correct id and cluster, or data_dir"
    )]
    Owner {
        /// Its file.
        path: String,
        /// Whose it is.
        found: String,
        /// Who opened it.
        wanted: String,
    },
    /// It was written by another format.
    #[error(
        "the Raft log at {path} has format {found}, this build reads {FORMAT}: run the build that wrote it"
    )]
    Format {
        /// Its file.
        path: String,
        /// What it says of itself.
        found: u32,
    },
    /// It is there, but is no log of ours or is damaged.
    #[error(
        "the Raft log at {path} is damaged or is no log: restore data_dir from a backup, or remove this coordinator and add it anew under another id"
    )]
    Damaged {
        /// Its file.
        path: String,
        /// What the store said.
        source: Box<::redb::Error>,
    },
    /// The disk failed.
    #[error(
        "the Raft log at {path} cannot be opened: check that data_dir exists, can be written and has room"
    )]
    Io {
        /// Its file.
        path: String,
        /// What the disk said.
        source: Box<::redb::Error>,
    },
}

impl RedbStore {
    /// Opens the log of `owner`, or makes it with a disk id that `draw` gives.
    pub(crate) fn open(
        path: &Path,
        owner: &str,
        draw: impl FnOnce() -> DiskId,
    ) -> Result<Self, OpenLogError> {
        let name = path.display().to_string();
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(|error| opening(name.clone(), error))?;
        let damaged = |source| OpenLogError::Damaged { path: name.clone(), source: Box::new(source) };
        let disk = match first_marks(&database).map_err(damaged)? {
            None => {
                let disk = draw();
                make(&database, owner, disk).map_err(damaged)?;
                disk
            }
            Some(marks) => marks.check(&name, owner)?,
        };
        Ok(Self { database, path: name, disk })
    }

    /// This disk's own number.
    pub(crate) fn disk(&self) -> DiskId {
        self.disk
    }

    fn failed(&self, source: impl Into<::redb::Error>) -> StoreError {
        StoreError::Store { path: self.path.clone(), source: Box::new(source.into()) }
    }

    fn record<T: Record>(&self, bytes: &[u8]) -> Result<T, StoreError> {
        decode(bytes).map_err(|source| StoreError::Record { path: self.path.clone(), source })
    }

    fn entries(&self, contents: &mut Contents) -> Result<(), StoreError> {
        let read = self.database.begin_read().map_err(|e| self.failed(e))?;
        let table = read.open_table(ENTRIES).map_err(|e| self.failed(e))?;
        for entry in table.iter().map_err(|e| self.failed(e))? {
            let (index, bytes) = entry.map_err(|e| self.failed(e))?;
            let record: EntryRecord = self.record(bytes.value())?;
            contents.entries.insert(index.value(), (record, bytes.value().len()));
        }
        Ok(())
    }

    fn mark<T: Record>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let read = self.database.begin_read().map_err(|e| self.failed(e))?;
        let table = read.open_table(MARKS).map_err(|e| self.failed(e))?;
        let value = table.get(name).map_err(|e| self.failed(e))?;
        value.map(|bytes| self.record(bytes.value())).transpose()
    }
}

impl LogStore for RedbStore {
    fn load(&self) -> Result<Contents, StoreError> {
        let mut contents = Contents {
            vote: self.mark(VOTE)?,
            purged: self.mark(PURGED)?,
            committed: self.mark(COMMITTED)?,
            ..Contents::default()
        };
        self.entries(&mut contents)?;
        Ok(contents)
    }

    fn commit(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        // The default durability: the transaction is on the disk when commit returns.
        let transaction = self.database.begin_write().map_err(|e| self.failed(e))?;
        for write in batch {
            self.make(&transaction, write)?;
        }
        transaction.commit().map_err(|e| self.failed(e))
    }
}

impl RedbStore {
    fn make(&self, transaction: &WriteTransaction, write: &Write) -> Result<(), StoreError> {
        match write {
            Write::Vote(vote) => self.put_mark(transaction, VOTE, vote),
            Write::Committed(Some(at)) => self.put_mark(transaction, COMMITTED, at),
            Write::Committed(None) => Ok(()),
            Write::Entries(entries) => self.put_entries(transaction, entries),
            Write::TruncateAfter(last) => {
                let from = last.map_or(0, |index| index.saturating_add(1));
                self.remove(transaction, from..=u64::MAX)
            }
            Write::Purge(upto) => {
                self.put_mark(transaction, PURGED, upto)?;
                self.remove(transaction, 0..=upto.index)
            }
        }
    }

    fn put_mark<T: Record>(
        &self,
        transaction: &WriteTransaction,
        name: &str,
        record: &T,
    ) -> Result<(), StoreError> {
        let bytes =
            encode(record).map_err(|source| StoreError::Record { path: self.path.clone(), source })?;
        let mut table = transaction.open_table(MARKS).map_err(|e| self.failed(e))?;
        table.insert(name, bytes.as_slice()).map_err(|e| self.failed(e))?;
        Ok(())
    }

    fn put_entries(
        &self,
        transaction: &WriteTransaction,
        entries: &[(u64, Vec<u8>)],
    ) -> Result<(), StoreError> {
        let mut table = transaction.open_table(ENTRIES).map_err(|e| self.failed(e))?;
        for (index, bytes) in entries {
            table.insert(index, bytes.as_slice()).map_err(|e| self.failed(e))?;
        }
        Ok(())
    }

    fn remove(
        &self,
        transaction: &WriteTransaction,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<(), StoreError> {
        let mut table = transaction.open_table(ENTRIES).map_err(|e| self.failed(e))?;
        table.retain_in(range, |_, _| false).map_err(|e| self.failed(e))
    }
}

/// What the file says of itself.
struct Marks {
    format: u32,
    disk: DiskId,
    owner: String,
}

impl Marks {
    /// The disk's id, where format and owner are ours.
    fn check(self, path: &str, owner: &str) -> Result<DiskId, OpenLogError> {
        let Self { format, disk, owner: found } = self;
        let path = path.to_owned();
        if format != FORMAT {
            return Err(OpenLogError::Format { path, found: format });
        }
        if found != owner {
            return Err(OpenLogError::Owner { path, found, wanted: owner.to_owned() });
        }
        Ok(disk)
    }
}

/// What the file says of itself; `None` when it is new.
fn first_marks(database: &Database) -> Result<Option<Marks>, ::redb::Error> {
    let read = database.begin_read()?;
    let table = match read.open_table(MARKS) {
        Ok(table) => table,
        Err(::redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let bytes = |name| {
        let damaged =
            || ::redb::Error::Corrupted(format!("the mark {name:?} is missing or has a wrong length"));
        table.get(name)?.map(|value| value.value().to_vec()).ok_or_else(damaged)
    };
    let wrong = |_| ::redb::Error::Corrupted("a mark has a wrong length".to_owned());
    let format = u32::from_le_bytes(bytes(FORMAT_MARK)?.try_into().map_err(wrong)?);
    let disk = DiskId(u128::from_le_bytes(bytes(DISK)?.try_into().map_err(wrong)?));
    let owner = String::from_utf8_lossy(&bytes(OWNER)?).into_owned();
    Ok(Some(Marks { format, disk, owner }))
}

/// Makes the tables of a new log, with its marks in the same transaction.
fn make(database: &Database, owner: &str, disk: DiskId) -> Result<(), ::redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut marks = transaction.open_table(MARKS)?;
        marks.insert(FORMAT_MARK, FORMAT.to_le_bytes().as_slice())?;
        marks.insert(OWNER, owner.as_bytes())?;
        marks.insert(DISK, disk.0.to_le_bytes().as_slice())?;
        transaction.open_table(ENTRIES)?;
    }
    transaction.commit()?;
    Ok(())
}

fn opening(path: String, error: DatabaseError) -> OpenLogError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenLogError::InUse { path },
        DatabaseError::Storage(StorageError::Io(io)) if io.kind() != std::io::ErrorKind::InvalidData => {
            OpenLogError::Io { path, source: Box::new(::redb::Error::Io(io)) }
        }
        other => OpenLogError::Damaged { path, source: Box::new(other.into()) },
    }
}

#[cfg(test)]
mod tests;
