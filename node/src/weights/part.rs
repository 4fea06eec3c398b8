//! A file that is not complete yet: hashed while it is written, checked, then put in place.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::error::FetchError;
use super::files::{self, Lock, Places};
use super::progress::{Caller, Stage};

/// What every step of one fetch needs to know.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) places: Places,
    pub(super) sha256: String,
    pub(super) size: u64,
    /// Bytes of disk that the fetch takes at its height, told when they are not there.
    pub(super) room: u64,
    pub(super) caller: Caller,
    /// Given back when nothing writes any more, even a thread that outlives the fetch's future.
    #[expect(dead_code, reason = "held, not read")]
    pub(super) lock: Arc<Lock>,
}

/// A model's file in the making.
pub(super) struct Part {
    job: Job,
    file: File,
    digest: Sha256,
    written: u64,
    pieced: bool,
}

impl Part {
    /// An empty part, whatever was there.
    pub(super) fn create(job: Job) -> Result<Self, FetchError> {
        let file = files::open_part(&job.places.part(), false, job.room)?;
        Ok(Self { job, file, digest: Sha256::new(), written: 0, pieced: false })
    }

    /// Goes on with what an earlier fetch left, if it can be a beginning of the file.
    pub(super) fn resume(job: Job) -> Result<Self, FetchError> {
        let path = job.places.part();
        if files::size(&path).is_none_or(|left| left > job.size) {
            return Self::create(job);
        }
        let file = files::open_part(&path, true, job.room)?;
        let (digest, written) = files::hash(&file, &path, &job.caller)?;
        Ok(Self { job, file, digest, written, pieced: written > 0 })
    }

    /// Bytes that are there.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether all bytes are there.
    pub(super) fn is_complete(&self) -> bool {
        self.written == self.job.size
    }

    /// Whether it is made of several answers, which may be pieces of several files.
    pub(super) fn is_pieced(&self) -> bool {
        self.pieced
    }

    /// Throws away what is there.
    pub(super) fn start_over(self) -> Result<Self, FetchError> {
        Self::create(self.job)
    }

    /// Takes what comes through the queue until its sender is gone, and returns itself for the next answer.
    pub(super) fn append_all(mut self, mut queue: mpsc::Receiver<Bytes>) -> Result<Self, FetchError> {
        self.pieced = self.written > 0;
        while let Some(bytes) = queue.blocking_recv() {
            self.append(&bytes, Stage::Downloading)?;
        }
        Ok(self)
    }

    /// Fills the part from a reader and puts it in place; removes it when that fails.
    pub(super) fn fill_from(
        mut self,
        reader: &mut impl Read,
        stage: Stage,
        unreadable: impl FnOnce(io::Error) -> FetchError,
    ) -> Result<PathBuf, FetchError> {
        let path = self.job.places.part();
        let filled = self.copy(reader, stage, unreadable).and_then(|()| self.finish());
        if filled.is_err() {
            files::remove(&path)?;
        }
        filled
    }

    /// Checks size and hash, writes everything through to the disk, and puts the file in place.
    pub(super) fn finish(self) -> Result<PathBuf, FetchError> {
        let Job { places, sha256, size, room, .. } = &self.job;
        let part = places.part();
        if !self.is_complete() {
            return Err(FetchError::WrongSize { expected: *size, actual: self.written });
        }
        let actual = hex::encode(self.digest.finalize());
        if actual != *sha256 {
            files::remove(&part)?;
            return Err(FetchError::WrongHash { expected: sha256.clone(), actual });
        }
        self.file.sync_all().map_err(|error| FetchError::write(&part, *room, error))?;
        files::put_in_place(&part, &places.finished(), places.dir())?;
        Ok(places.finished())
    }

    fn copy(
        &mut self,
        reader: &mut impl Read,
        stage: Stage,
        unreadable: impl FnOnce(io::Error) -> FetchError,
    ) -> Result<(), FetchError> {
        let mut block = vec![0; files::BLOCK];
        loop {
            let count = match reader.read(&mut block) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(error)),
            };
            match block.get(..count) {
                None | Some([]) => return Ok(()),
                Some(bytes) => self.append(bytes, stage)?,
            }
        }
    }

    fn append(&mut self, bytes: &[u8], stage: Stage) -> Result<(), FetchError> {
        self.job.caller.still_there()?;
        let (size, written) = (self.job.size, self.written + bytes.len() as u64);
        if written > size {
            return Err(FetchError::WrongSize { expected: size, actual: written });
        }
        let stored = self.file.write_all(bytes);
        stored.map_err(|error| FetchError::write(&self.job.places.part(), self.job.room, error))?;
        self.digest.update(bytes);
        self.written = written;
        self.job.caller.report(stage, written);
        Ok(())
    }
}
