//! What is in a frame: the writes of a batch, one after the other, each with its kind and its length.

use super::super::Write;
use super::super::contents::Marks;
use crate::raft::codec::{CodecError, Record, decode, encode};
use crate::raft::record::{LogIdRecord, VoteRecord};

const VOTE: u8 = 1;
const ENTRY: u8 = 2;
const TRUNCATE_AFTER: u8 = 3;
const TRUNCATE_ALL: u8 = 4;
const PURGE: u8 = 5;
const COMMITTED: u8 = 6;
const CHECKPOINT: u8 = 7;

/// A batch that cannot be read, though its checksum is right.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadBatch {
    /// A record of a kind that this build does not know.
    #[error(
        "it holds a record of kind {0}, which this build does not know: run the build that wrote it, or a newer one"
    )]
    Kind(u8),
    /// A length that does not fit.
    #[error("a record in it ends too soon")]
    Short,
    /// A record that does not decode.
    #[error(transparent)]
    Record(#[from] CodecError),
}

/// The first batch of a segment: the marks as they are.
pub(super) fn checkpoint(marks: &Marks) -> Result<Vec<u8>, CodecError> {
    let mut payload = Vec::new();
    put_record(&mut payload, CHECKPOINT, &[]);
    let vote = marks.vote.map(Write::Vote);
    for write in vote.into_iter().chain(marks.purged.map(Write::Purge)) {
        put(&mut payload, &write)?;
    }
    put(&mut payload, &Write::Committed(marks.committed))?;
    Ok(payload)
}

/// One write, or one entry of one.
pub(super) fn put(payload: &mut Vec<u8>, write: &Write) -> Result<(), CodecError> {
    match write {
        Write::Vote(vote) => put_record(payload, VOTE, &encode(vote)?),
        Write::Entries(entries) => {
            for (index, bytes) in entries {
                put_head(payload, ENTRY, 8 + bytes.len());
                payload.extend(index.to_le_bytes());
                payload.extend(bytes);
            }
        }
        Write::TruncateAfter(Some(index)) => put_record(payload, TRUNCATE_AFTER, &index.to_le_bytes()),
        Write::TruncateAfter(None) => put_record(payload, TRUNCATE_ALL, &[]),
        Write::Purge(upto) => put_record(payload, PURGE, &encode(upto)?),
        Write::Committed(Some(at)) => put_record(payload, COMMITTED, &encode(at)?),
        Write::Committed(None) => {}
    }
    Ok(())
}

fn put_record(payload: &mut Vec<u8>, kind: u8, body: &[u8]) {
    put_head(payload, kind, body.len());
    payload.extend(body);
}

fn put_head(payload: &mut Vec<u8>, kind: u8, length: usize) {
    payload.push(kind);
    payload.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

/// The writes in a payload, in order.
pub(super) fn read(mut payload: &[u8]) -> Result<Vec<Write>, BadBatch> {
    let mut writes = Vec::new();
    while let Some((&kind, rest)) = payload.split_first() {
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(BadBatch::Short)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| BadBatch::Short)?;
        let (body, rest) = rest.split_at_checked(length).ok_or(BadBatch::Short)?;
        if kind != CHECKPOINT {
            writes.push(read_one(kind, body)?);
        }
        payload = rest;
    }
    Ok(writes)
}

fn read_one(kind: u8, body: &[u8]) -> Result<Write, BadBatch> {
    Ok(match kind {
        VOTE => Write::Vote(record::<VoteRecord>(body)?),
        ENTRY => {
            let (index, bytes) = body.split_first_chunk::<8>().ok_or(BadBatch::Short)?;
            Write::Entries(vec![(u64::from_le_bytes(*index), bytes.to_vec())])
        }
        TRUNCATE_AFTER => {
            let index = body.try_into().map_err(|_| BadBatch::Short)?;
            Write::TruncateAfter(Some(u64::from_le_bytes(index)))
        }
        TRUNCATE_ALL => Write::TruncateAfter(None),
        PURGE => Write::Purge(record::<LogIdRecord>(body)?),
        COMMITTED => Write::Committed(Some(record::<LogIdRecord>(body)?)),
        kind => return Err(BadBatch::Kind(kind)),
    })
}

fn record<T: Record>(bytes: &[u8]) -> Result<T, BadBatch> {
    Ok(decode(bytes)?)
}
