//! Frames: one batch each, with its place in the order of batches and a checksum.
//!
//! A batch is written, then synced, before the next one is. So a frame that is not whole is the torn end of the log
//! exactly if no whole frame with a higher sequence follows it; otherwise something that was durable is damaged.

/// Checksum, length of the payload, sequence.
const HEADER: usize = 4 + 4 + 8;
/// How far above the expected one a sequence may be to be looked at: more batches than a segment holds.
const SEQUENCES_AHEAD: u64 = 1 << 24;

/// A whole frame found in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) sequence: u64,
    pub(super) payload: &'a [u8],
    /// Where the next one begins.
    pub(super) end: usize,
}

/// The size of a frame with a payload of so many bytes.
pub(super) fn size(payload: usize) -> usize {
    HEADER + payload
}

/// A frame's bytes. `seed` is the segment's, so that what its blocks held before never looks whole.
pub(super) fn seal(seed: u32, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size(payload.len()));
    bytes.extend([0; 4]);
    bytes.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(payload);
    let sum = crc32c::crc32c_append(seed, &bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The whole frame that begins at `offset`, if there is one.
pub(super) fn parse(segment: &[u8], offset: usize, seed: u32) -> Option<Frame<'_>> {
    let rest = segment.get(offset..)?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (sequence, after) = after.split_first_chunk::<8>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length > 0)?;
    let payload = after.get(..length)?;
    let summed = rest.get(..HEADER - 4 + length)?;
    let whole = crc32c::crc32c_append(seed, summed) == u32::from_le_bytes(*sum);
    let sequence = u64::from_le_bytes(*sequence);
    whole.then_some(Frame { sequence, payload, end: offset + HEADER + length })
}

/// Where a whole frame of a later batch than `expected` begins, at or after `offset`.
pub(super) fn later(segment: &[u8], offset: usize, seed: u32, expected: u64) -> Option<usize> {
    let ahead = 1..SEQUENCES_AHEAD;
    (offset..segment.len().saturating_sub(HEADER)).find(|at| {
        let sequence = segment.get(at + 8..at + HEADER).and_then(|bytes| bytes.try_into().ok());
        let sequence = sequence.map(u64::from_le_bytes).and_then(|sequence| sequence.checked_sub(expected));
        sequence.is_some_and(|distance| ahead.contains(&distance)) && parse(segment, *at, seed).is_some()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_of_another_segment_is_not_whole() {
        let bytes = seal(1, 7, b"batch");
        assert_eq!(parse(&bytes, 0, 1), Some(Frame { sequence: 7, payload: b"batch", end: bytes.len() }));
        assert_eq!(parse(&bytes, 0, 2), None);
    }

    proptest! {
        #[test]
        fn a_flipped_bit_makes_a_frame_not_whole(
            payload in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0..8u8,
        ) {
            let mut bytes = seal(5, 9, &payload);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(parse(&bytes, 0, 5), None);
        }

        #[test]
        fn arbitrary_bytes_hold_no_frame_and_break_nothing(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(parse(&bytes, 0, 5), None);
            prop_assert_eq!(later(&bytes, 0, 5, 3), None);
        }

        #[test]
        fn a_later_frame_is_found_behind_damage(
            damage in prop::collection::vec(any::<u8>(), 0..100), distance in 1..1000u64,
        ) {
            let mut bytes = damage.clone();
            bytes.extend(seal(5, 40 + distance, b"batch"));
            prop_assert_eq!(later(&bytes, 0, 5, 40), Some(damage.len()));
            prop_assert_eq!(later(&bytes, 0, 5, 40 + distance), None);
        }
    }
}
