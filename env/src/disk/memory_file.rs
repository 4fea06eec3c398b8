//! The bytes of a file in memory, as processes see them and as they are on the medium.
//!
//! The medium takes sectors, in any order until a sync, and the one that it was writing when the power went may be torn.

use std::collections::BTreeSet;
use std::io;

use crate::Randomness;

/// What a disk writes at once.
const SECTOR: usize = 512;

/// A file's bytes.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors written since the last sync.
    dirty: BTreeSet<usize>,
}

impl Bytes {
    /// Bytes that a crash cannot take.
    pub(super) fn durable(bytes: &[u8]) -> Self {
        Self { current: bytes.to_vec(), durable: bytes.to_vec(), dirty: BTreeSet::new() }
    }

    pub(super) fn current(&self) -> &[u8] {
        &self.current
    }

    pub(super) fn grows(&self, offset: u64, written: &[u8]) -> bool {
        offset.saturating_add(written.len() as u64) > self.current.len() as u64
    }

    pub(super) fn write(&mut self, offset: u64, written: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(written.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        if end > self.current.len() {
            self.current.resize(end, 0);
        }
        self.current[start..end].copy_from_slice(written);
        self.dirty.extend(start / SECTOR..end.div_ceil(SECTOR));
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.durable.resize(self.current.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(self.current.len());
            self.durable[range.clone()].copy_from_slice(&self.current[range]);
        }
        Ok(())
    }

    /// What was written stays readable, but counts as written out: no later sync brings it to the medium.
    pub(super) fn fail_to_sync(&mut self) -> io::Result<()> {
        self.dirty.clear();
        Err(io::Error::other("the simulated disk failed to sync"))
    }

    pub(super) fn crash(&mut self, random: &dyn Randomness) {
        for sector in std::mem::take(&mut self.dirty) {
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(self.current.len());
            let kept = match random.next_u64() % 3 {
                0 => start,
                1 => end,
                _ => start + (random.next_u64() as usize) % (end - start + 1),
            };
            if kept > start {
                let length = self.durable.len().max(kept);
                self.durable.resize(length, 0);
                self.durable[start..kept].copy_from_slice(&self.current[start..kept]);
            }
        }
        self.current.clone_from(&self.durable);
    }

    pub(super) fn rot(&mut self, offset: u64, mask: u8) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        for bytes in [&mut self.current, &mut self.durable] {
            *bytes.get_mut(at).ok_or(io::ErrorKind::UnexpectedEof)? ^= mask;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededRandom;

    fn written() -> Bytes {
        let mut bytes = Bytes::durable(&[1; 4 * SECTOR]);
        bytes.write(0, &[2; 4 * SECTOR]).expect("a write");
        bytes
    }

    #[test]
    fn a_crash_takes_nothing_that_was_synced() {
        let mut bytes = written();
        bytes.sync().expect("a sync");
        bytes.crash(&SeededRandom::new(1));
        assert_eq!(bytes.current(), [2; 4 * SECTOR]);
    }

    #[test]
    fn a_crash_loses_keeps_and_tears_what_was_not() {
        let after = |seed| {
            let mut bytes = written();
            bytes.crash(&SeededRandom::new(seed));
            bytes.current().chunks(SECTOR).map(|s| s.iter().filter(|b| **b == 2).count()).collect::<Vec<_>>()
        };
        let seen: Vec<usize> = (0..20).flat_map(after).collect();
        assert!(seen.contains(&0) && seen.contains(&SECTOR));
        assert!(seen.iter().any(|kept| (1..SECTOR).contains(kept)));
    }

    #[test]
    fn what_a_failed_sync_lost_no_later_one_brings_back() {
        let mut bytes = written();
        assert!(bytes.fail_to_sync().is_err());
        bytes.sync().expect("a sync");
        assert_eq!(bytes.current(), [2; 4 * SECTOR]);
        bytes.crash(&SeededRandom::new(1));
        assert_eq!(bytes.current(), [1; 4 * SECTOR]);
    }
}
