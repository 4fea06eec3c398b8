//! The first block of a segment: whose log it belongs to, on which disk, and its number.

use crate::raft::types::DiskId;

/// The format of segments. Another one is refused, never guessed at.
pub(super) const FORMAT: u32 = 1;
/// Frames begin here: the header has a block of its own.
pub(super) const BLOCK: usize = 4096;

const MAGIC: [u8; 8] = *b"HELIXLOG";

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Rises by one from segment to segment.
    pub(super) number: u64,
    /// Drawn for each segment: nobody can guess a frame that is whole in it.
    pub(super) salt: u64,
    pub(super) disk: DiskId,
    /// Coordinator and cluster, in words.
    pub(super) owner: String,
}

/// Why a block is no header.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoHeader {
    /// It was written by another build.
    #[error("it has format {0}")]
    Format(u32),
    /// Its bytes are not as they were written.
    #[error("its header is damaged")]
    Damaged,
}

impl Header {
    /// What checksums in this segment begin with.
    pub(super) fn seed(&self) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.number.to_le_bytes()), &self.salt.to_le_bytes())
    }

    /// The block.
    pub(super) fn print(&self) -> Vec<u8> {
        let owner = self.owner.as_bytes();
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.salt.to_le_bytes());
        bytes.extend(self.disk.0.to_le_bytes());
        bytes.extend(u16::try_from(owner.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend(owner);
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes.resize(BLOCK, 0);
        bytes
    }

    /// What a segment's first block says.
    pub(super) fn parse(segment: &[u8]) -> Result<Self, NoHeader> {
        let mut reader = Reader { bytes: segment, at: 0 };
        if reader.take()? != MAGIC {
            return Err(NoHeader::Damaged);
        }
        let format = u32::from_le_bytes(reader.take()?);
        let number = u64::from_le_bytes(reader.take()?);
        let salt = u64::from_le_bytes(reader.take()?);
        let disk = DiskId(u128::from_le_bytes(reader.take()?));
        let owner = usize::from(u16::from_le_bytes(reader.take()?));
        let owner = reader.bytes.get(reader.at..reader.at + owner).ok_or(NoHeader::Damaged)?;
        reader.at += owner.len();
        let sum = crc32c::crc32c(&segment[..reader.at]);
        if format != FORMAT {
            return Err(NoHeader::Format(format));
        }
        if u32::from_le_bytes(reader.take()?) != sum {
            return Err(NoHeader::Damaged);
        }
        Ok(Self { number, salt, disk, owner: String::from_utf8_lossy(owner).into_owned() })
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], NoHeader> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        self.at += N;
        taken.copied().ok_or(NoHeader::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header { number: 3, salt: 9, disk: DiskId(7), owner: "coordinator-1 of cluster alpha".to_owned() }
    }

    #[test]
    fn a_header_says_what_was_written() {
        assert_eq!(header().print().len(), BLOCK);
        assert_eq!(Header::parse(&header().print()), Ok(header()));
        assert_ne!(Header { number: 4, ..header() }.seed(), header().seed());
        assert_ne!(Header { salt: 8, ..header() }.seed(), header().seed());
    }

    #[test]
    fn another_format_is_named() {
        let mut bytes = header().print();
        bytes[8] = 2;
        assert_eq!(Header::parse(&bytes), Err(NoHeader::Format(2)));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_noticed(at in 0..78usize, bit in 0..8u8) {
            let mut bytes = header().print();
            bytes[at] ^= 1 << bit;
            prop_assert!(Header::parse(&bytes).is_err());
        }

        #[test]
        fn arbitrary_bytes_break_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Header::parse(&bytes).is_err());
        }
    }
}
