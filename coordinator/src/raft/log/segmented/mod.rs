//! The log in append-only segments: a batch is one write and one sync, into blocks that were allocated before.
//!
//! Each segment begins with a checkpoint of vote, purge and commit marks, so that the segments before it can go once
//! their entries are purged. The one that is in use is always the last; the next lies ready beside it.

mod batch;
mod frame;
mod header;
mod segments;
mod spare;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use helixflow_env::disk::DiskFile;
use helixflow_env::{Disk, Randomness};
use tokio::runtime::Handle;

use self::header::{BLOCK, Header, NoHeader};
use self::segments::{Replay, Unreadable};
use self::spare::Spare;
use super::contents::{Contents, Marks};
use super::{LogStore, StoreError, Write};
use crate::raft::codec::CodecError;
use crate::raft::types::DiskId;

/// The size of a segment. Two lie on the disk at least; at full load one lasts some seconds.
pub(crate) const SEGMENT_BYTES: usize = 8 << 20;

/// Where a log lies and whose it is.
pub(crate) struct Place {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) random: Arc<dyn Randomness>,
    /// The folder of its segments, made when missing.
    pub(crate) folder: PathBuf,
    /// Coordinator and cluster, in words: another's log is refused.
    pub(crate) owner: String,
    /// The size of a segment, [`SEGMENT_BYTES`] in production.
    pub(crate) segment_bytes: usize,
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenLogError {
    /// It is another coordinator's.
    #[error(
        "the Raft log in {folder} belongs to {found}, this is {wanted}: correct id and cluster, or data_dir"
    )]
    Owner {
        /// Its folder.
        folder: PathBuf,
        /// Whose it is.
        found: String,
        /// Who opened it.
        wanted: String,
    },
    /// It was written by another format.
    #[error("the Raft log at {path} has format {found}, this build reads {known}: run the build that wrote it", known = header::FORMAT)]
    Format {
        /// The segment.
        path: PathBuf,
        /// What it says of itself.
        found: u32,
    },
    /// What was durable is not as it was written.
    #[error(
        "the Raft log at {path} is damaged: remove this coordinator and add it anew under another id, or restore data_dir from a backup"
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk failed.
    #[error(
        "the Raft log at {path} cannot be opened: check that data_dir exists, can be written and has room"
    )]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
}

impl OpenLogError {
    fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }

    fn unreadable(path: &Path, why: Unreadable) -> Self {
        match why {
            Unreadable::Header(NoHeader::Format(found)) => Self::Format { path: path.to_owned(), found },
            why => Self::Damaged { path: path.to_owned(), source: Box::new(why) },
        }
    }
}

/// A segment that takes no more.
struct Closed {
    path: PathBuf,
    highest: Option<u64>,
}

/// The segment in use.
struct Active {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    header: Header,
    /// Where the next frame goes.
    end: usize,
    highest: Option<u64>,
}

/// The log, open.
pub(crate) struct SegmentedLog {
    place: Place,
    /// What was read at the start, until it is taken.
    read: Contents,
    marks: Marks,
    closed: VecDeque<Closed>,
    active: Active,
    spare: Spare,
    next_sequence: u64,
}

impl SegmentedLog {
    /// Opens a log, or makes it with a disk id drawn anew. The next segment is made on a thread of `runtime`.
    pub(crate) async fn open(place: Place, runtime: Handle) -> Result<Self, OpenLogError> {
        let listed = place.disk.create_dir_all(&place.folder).and_then(|()| place.disk.list(&place.folder));
        let segments = numbered(listed.map_err(OpenLogError::io(&place.folder))?);
        let path = place.folder.join("spare");
        let spare = Spare::new(Arc::clone(&place.disk), path, place.segment_bytes, runtime);
        if segments.is_empty() {
            Self::make(place, spare).await
        } else {
            Self::read(place, spare, segments).await
        }
    }

    /// This disk's own number.
    pub(crate) fn disk(&self) -> DiskId {
        self.active.header.disk
    }

    async fn make(place: Place, mut spare: Spare) -> Result<Self, OpenLogError> {
        let draw = || u128::from(place.random.next_u64());
        let disk = DiskId(draw() << 64 | draw());
        let marks = Marks::default();
        let active = begin(&place, &mut spare, 1, disk, 0, &marks).await;
        let active = active.map_err(OpenLogError::io(&place.folder))?;
        spare.begin();
        let read = Contents::default();
        Ok(Self { place, read, marks, closed: VecDeque::new(), active, spare, next_sequence: 1 })
    }

    async fn read(place: Place, spare: Spare, segments: Vec<(u64, PathBuf)>) -> Result<Self, OpenLogError> {
        let mut replay = Replay::default();
        let mut closed = VecDeque::new();
        let mut active = None;
        let mut last_frame = Vec::new();
        let count = segments.len();
        for (position, (number, path)) in segments.into_iter().enumerate() {
            let file = place.disk.open(&path).map_err(OpenLogError::io(&path))?;
            let bytes = file.read().map_err(OpenLogError::io(&path))?;
            let read = replay.read(number, &bytes, position + 1 == count);
            let read = read.map_err(|why| OpenLogError::unreadable(&path, why))?;
            check_owner(&place, &read.header)?;
            last_frame = bytes.get(read.last..read.end).unwrap_or_default().to_vec();
            if let Some(Active { path, highest, .. }) = active.replace(Active {
                path,
                file,
                header: read.header,
                end: read.end,
                highest: read.highest,
            }) {
                closed.push_back(Closed { path, highest });
            }
        }
        let missing = || OpenLogError::io(&place.folder)(io::ErrorKind::NotFound.into());
        let mut active = active.ok_or_else(missing)?;
        replay.contents.check().map_err(|gap| OpenLogError::unreadable(&active.path, gap.into()))?;
        secure(&place, &mut active, &last_frame).await.map_err(OpenLogError::io(&active.path))?;
        let next_sequence = replay.next.unwrap_or_default();
        let (marks, read) = (replay.contents.marks, replay.contents);
        Ok(Self { place, read, marks, closed, active, spare, next_sequence })
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::Store { path: self.active.path.display().to_string(), source }
    }

    fn unreadable(&self, source: CodecError) -> StoreError {
        StoreError::Record { path: self.active.path.display().to_string(), source }
    }

    /// Writes a batch as one frame, in the next segment when it does not fit this one.
    async fn append(&mut self, payload: &[u8], highest: Option<u64>) -> io::Result<()> {
        if self.active.end + frame::size(payload.len()) > self.place.segment_bytes {
            self.roll().await?;
        }
        let frame = frame::seal(self.active.header.seed(), self.next_sequence, payload);
        self.active.file.write_at(self.active.end as u64, &frame)?;
        self.active.file.sync().await?;
        self.active.end += frame.len();
        self.active.highest = self.active.highest.max(highest);
        self.next_sequence += 1;
        Ok(())
    }

    /// Closes the segment in use and begins the next one.
    async fn roll(&mut self) -> io::Result<()> {
        let Header { number, disk, .. } = self.active.header;
        let (sequence, marks) = (self.next_sequence, &self.marks);
        let next = begin(&self.place, &mut self.spare, number + 1, disk, sequence, marks).await?;
        self.next_sequence += 1;
        let Active { path, highest, .. } = std::mem::replace(&mut self.active, next);
        self.closed.push_back(Closed { path, highest });
        // Its blocks are allocated already: used again, it need not be filled.
        if let Some(purged) = self.pop_purged() {
            self.place.disk.rename_durably(&purged.path, self.spare.path())?;
        }
        self.spare.begin();
        Ok(())
    }

    /// The oldest segment, if all its entries are purged.
    fn pop_purged(&mut self) -> Option<Closed> {
        let purged = self.marks.purged.map(|purged| purged.index);
        self.closed.pop_front_if(|segment| segment.highest <= purged)
    }

    /// Removes segments whose entries are all purged, but the newest: the next spare is made of it.
    fn release(&mut self) -> io::Result<()> {
        while self.closed.len() > 1
            && let Some(purged) = self.pop_purged()
        {
            self.place.disk.remove_file(&purged.path)?;
        }
        Ok(())
    }
}

impl LogStore for SegmentedLog {
    fn load(&mut self) -> Result<Contents, StoreError> {
        Ok(std::mem::take(&mut self.read))
    }

    async fn commit(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        let mut payload = Vec::new();
        let mut highest = None;
        for write in batch {
            batch::put(&mut payload, write).map_err(|source| self.unreadable(source))?;
            highest = highest.max(write.highest());
        }
        if payload.is_empty() {
            return Ok(());
        }
        self.append(&payload, highest).await.map_err(|source| self.failed(source))?;
        batch.iter().for_each(|write| self.marks.replay(write));
        self.release().map_err(|source| self.failed(source))
    }
}

/// The segments in a folder by their numbers: the last ones that follow each other. One before a gap was removed, and is
/// there again after a crash.
fn numbered(files: Vec<PathBuf>) -> Vec<(u64, PathBuf)> {
    let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_suffix(".segment")?.parse::<u64>().ok();
    let mut segments: Vec<(u64, PathBuf)> =
        files.into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
    segments.sort();
    let follows = |pair: &[(u64, PathBuf)]| matches!(pair, [a, b] if a.0 + 1 == b.0);
    let gap = segments.windows(2).rposition(|pair| !follows(pair));
    segments.split_off(gap.map_or(0, |gap| gap + 1))
}

/// Makes what was read durable. The last batch and the last name can be read, and yet be lost when the power goes: the
/// process was killed before the sync, or the sync failed, and then no later one covers the batch unless it is written
/// anew.
async fn secure(place: &Place, active: &mut Active, last_frame: &[u8]) -> io::Result<()> {
    place.disk.sync_names(&place.folder)?;
    active.file.write_at((active.end - last_frame.len()) as u64, last_frame)?;
    active.file.sync().await
}

fn check_owner(place: &Place, header: &Header) -> Result<(), OpenLogError> {
    if header.owner == place.owner {
        return Ok(());
    }
    let (found, wanted) = (header.owner.clone(), place.owner.clone());
    Err(OpenLogError::Owner { folder: place.folder.clone(), found, wanted })
}

/// Makes the spare the segment of this number: header and checkpoint are durable before it has its name.
async fn begin(
    place: &Place,
    spare: &mut Spare,
    number: u64,
    disk: DiskId,
    sequence: u64,
    marks: &Marks,
) -> io::Result<Active> {
    let mut file = spare.take().await?;
    let header = Header { number, salt: place.random.next_u64(), disk, owner: place.owner.clone() };
    let mut bytes = header.print();
    let checkpoint = frame::seal(header.seed(), sequence, &batch::checkpoint(marks)?);
    bytes.extend(&checkpoint);
    file.write_at(0, &bytes)?;
    file.sync().await?;
    let path = place.folder.join(format!("{number:020}.segment"));
    place.disk.rename_durably(spare.path(), &path)?;
    Ok(Active { path, file, header, end: BLOCK + checkpoint.len(), highest: None })
}
