//! Reads little-endian fields from bytes, never past their end.

use super::GgufError;

/// A place in the bytes of a file.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], GgufError> {
        let end = self.offset.checked_add(count).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            return Err(GgufError::Truncated { what, offset: self.bytes.len() as u64 });
        };
        let taken = &self.bytes[self.offset..end];
        self.offset = end;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A count, refused when it is over `limit`.
    pub(super) fn count(&mut self, what: &'static str, limit: u64) -> Result<usize, GgufError> {
        let count = self.u64(what)?;
        match usize::try_from(count) {
            Ok(small) if count <= limit => Ok(small),
            _ => Err(GgufError::TooMany { what, count, limit }),
        }
    }

    /// A string: its length in eight bytes, then its bytes, which need not be UTF-8.
    pub(super) fn string(&mut self, what: &'static str) -> Result<&'a [u8], GgufError> {
        let length = self.u64(what)?;
        let length = usize::try_from(length)
            .map_err(|_| GgufError::Truncated { what, offset: self.bytes.len() as u64 })?;
        self.take(length, what)
    }

    /// A string that names something: UTF-8 and not longer than `limit`.
    pub(super) fn name(&mut self, what: &'static str, limit: usize) -> Result<&'a str, GgufError> {
        let bytes = self.string(what)?;
        if bytes.len() > limit {
            return Err(GgufError::Corrupt { what });
        }
        std::str::from_utf8(bytes).map_err(|_| GgufError::Corrupt { what })
    }
}
