//! The segments of a folder, read in order: what they hold, and where the next batch goes.
//!
//! Pure: bytes in, contents out. Only the last segment may end in a torn frame; damage anywhere else is told apart from
//! it and refused, for what was durable was acknowledged.

use super::super::contents::{Contents, Gap};
use super::batch::{self, BadBatch};
use super::frame;
use super::header::{BLOCK, Header, NoHeader};
use crate::raft::codec::CodecError;

/// Why segments cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// A header that is none.
    #[error(transparent)]
    Header(#[from] NoHeader),
    /// The file was renamed, or another file was put in its place.
    #[error("its header says that it is segment {0}")]
    Renumbered(u64),
    /// A frame is damaged, although a later one is whole.
    #[error("the batch {sequence} at byte {at} is damaged, and later ones follow: this is no torn end")]
    Damaged {
        /// Which batch.
        sequence: u64,
        /// Where it begins.
        at: usize,
    },
    /// The batches of one segment do not follow those of the one before.
    #[error("it begins with batch {found}, where {expected} should follow")]
    OutOfOrder {
        /// The batch that should be there.
        expected: u64,
        /// The one that is.
        found: u64,
    },
    /// A whole frame with something in it that cannot be read.
    #[error("the batch {sequence} cannot be read")]
    Batch {
        /// Which batch.
        sequence: u64,
        /// What is wrong with it.
        source: BadBatch,
    },
    /// An entry that this build cannot read.
    #[error("an entry in the batch {sequence} cannot be read")]
    Entry {
        /// Which batch.
        sequence: u64,
        /// What is wrong with it.
        source: CodecError,
    },
    /// The segments were read, but they do not hold every entry.
    #[error(transparent)]
    Gap(#[from] Gap),
}

/// What the segments read so far hold.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) contents: Contents,
    /// The sequence that the next batch bears; none before the first.
    pub(super) next: Option<u64>,
}

/// What one segment holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) header: Header,
    /// Where its last whole frame begins.
    pub(super) last: usize,
    /// Where that ends.
    pub(super) end: usize,
    /// The highest index of an entry in it.
    pub(super) highest: Option<u64>,
}

impl Replay {
    /// Reads the next segment, which has to follow the ones before.
    pub(super) fn read(&mut self, number: u64, segment: &[u8], is_last: bool) -> Result<Read, Unreadable> {
        let header = Header::parse(segment)?;
        if header.number != number {
            return Err(Unreadable::Renumbered(header.number));
        }
        let seed = header.seed();
        let mut read = Read { header, last: BLOCK, end: BLOCK, highest: None };
        while let Some(frame) = frame::parse(segment, read.end, seed) {
            if let Some(expected) = self.next.filter(|expected| *expected != frame.sequence) {
                return Err(Unreadable::OutOfOrder { expected, found: frame.sequence });
            }
            self.apply(&frame, &mut read)?;
            self.next = Some(frame.sequence.saturating_add(1));
            (read.last, read.end) = (read.end, frame.end);
        }
        let sequence = self.next.unwrap_or_default();
        // A segment is only begun once the one before it is durable as a whole, with a first batch that is durable too.
        let damaged =
            read.end == BLOCK || is_last && frame::later(segment, read.end, seed, sequence).is_some();
        if damaged { Err(Unreadable::Damaged { sequence, at: read.end }) } else { Ok(read) }
    }

    fn apply(&mut self, frame: &frame::Frame<'_>, read: &mut Read) -> Result<(), Unreadable> {
        let sequence = frame.sequence;
        let writes = batch::read(frame.payload).map_err(|source| Unreadable::Batch { sequence, source })?;
        for write in writes {
            read.highest = read.highest.max(write.highest());
            self.contents.replay(&write).map_err(|source| Unreadable::Entry { sequence, source })?;
        }
        Ok(())
    }
}
