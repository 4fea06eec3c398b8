//! Frames: a record, who sends it, and whom and which disk it is meant for.
//!
//! An address can be given to another process, and a disk can be wiped: a frame that reaches the wrong one is refused,
//! for a vote or an acknowledgement given by mistake can lose data.

use helixflow_model::CoordinatorId;
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::RaftFrame;
use tonic::Status;

use crate::raft::codec::{CodecError, Record, decode, encode};
use crate::raft::types::DiskId;

/// The largest message on the Raft port: an append is cut at 1 MiB, but a single entry may be larger.
pub(crate) const MAX_FRAME_BYTES: usize = 16 << 20;

/// From whom, to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    pub(super) from: CoordinatorId,
    pub(super) to: CoordinatorId,
    pub(super) disk: DiskId,
}

/// A frame that is not for this process, or that it cannot read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// Another coordinator is meant.
    #[error("the message is for {meant}, this is {here}: two coordinators have been given one address")]
    WrongTarget {
        /// Whom it names.
        meant: CoordinatorId,
        /// Who read it.
        here: CoordinatorId,
    },
    /// Another disk is meant.
    #[error(
        "the message is for {id} with the disk {meant}, its disk here is {here}: its data was replaced; remove it and add it anew under another id"
    )]
    WrongDisk {
        /// Whom it names.
        id: CoordinatorId,
        /// The disk that the members know.
        meant: String,
        /// The disk that is here.
        here: DiskId,
    },
    /// The record does not decode, or does not encode.
    #[error(transparent)]
    Record(#[from] CodecError),
    /// Entries do not follow each other, or not what they should follow.
    #[error("the entry {missing} is missing among those to append: the leader sends them anew")]
    Gap {
        /// Its index.
        missing: u64,
    },
    /// A membership inside it cannot be.
    #[error("the message holds an entry that cannot be")]
    Entry(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<FrameError> for Status {
    fn from(error: FrameError) -> Self {
        let reason = match &error {
            FrameError::WrongTarget { .. } | FrameError::WrongDisk { .. } => Reason::Refused,
            FrameError::Record(CodecError::Version { .. }) => Reason::ProtocolMismatch,
            FrameError::Record(_) | FrameError::Gap { .. } | FrameError::Entry(_) => Reason::InvalidParameter,
        };
        status(reason, error.to_string())
    }
}

impl Envelope {
    /// A record on its way.
    pub(super) fn seal(&self, record: &impl Record) -> Result<RaftFrame, FrameError> {
        Ok(RaftFrame {
            from: self.from.0,
            to: self.to.0,
            body: encode(record)?.into(),
            to_disk: bytes::Bytes::copy_from_slice(&self.disk.0.to_be_bytes()),
        })
    }

    /// The record in a reply, which has to come from the one that was asked.
    pub(super) fn open_reply<T: Record>(&self, frame: &RaftFrame) -> Result<T, FrameError> {
        if frame.from != self.to.0 || frame.to != self.from.0 {
            return Err(FrameError::WrongTarget { meant: CoordinatorId(frame.to), here: self.from });
        }
        Ok(decode(&frame.body)?)
    }
}

/// The disk that 16 bytes name.
pub(crate) fn disk_of(bytes: &[u8]) -> Option<DiskId> {
    bytes.try_into().ok().map(|bytes| DiskId(u128::from_be_bytes(bytes)))
}

/// A frame that was meant for us.
pub(crate) struct OpenFrame<T> {
    /// Who sent it.
    pub(crate) from: CoordinatorId,
    /// What it said.
    pub(crate) record: T,
}

/// Who we are, as frames name us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiver {
    /// Our id.
    pub(crate) id: CoordinatorId,
    /// Our disk.
    pub(crate) disk: DiskId,
}

impl Receiver {
    /// The record in a frame, which has to be meant for this coordinator and this disk.
    pub(crate) fn open<T: Record>(&self, frame: &RaftFrame) -> Result<OpenFrame<T>, FrameError> {
        if frame.to != self.id.0 {
            return Err(FrameError::WrongTarget { meant: CoordinatorId(frame.to), here: self.id });
        }
        if disk_of(&frame.to_disk) != Some(self.disk) {
            let meant = disk_of(&frame.to_disk).map_or_else(|| "none".to_owned(), |disk| disk.to_string());
            return Err(FrameError::WrongDisk { id: self.id, meant, here: self.disk });
        }
        Ok(OpenFrame { from: CoordinatorId(frame.from), record: decode(&frame.body)? })
    }

    /// A reply to `to`. Replies name no disk: they go back on the stream that asked.
    pub(crate) fn reply(&self, to: CoordinatorId, record: &impl Record) -> Result<RaftFrame, FrameError> {
        let body = encode(record)?.into();
        Ok(RaftFrame { from: self.id.0, to: to.0, body, to_disk: bytes::Bytes::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::record::LogIdRecord;
    use crate::raft::types::LogId;
    use openraft::vote::RaftLeaderId;

    fn record() -> LogIdRecord {
        LogId::new(crate::raft::types::LeaderId::new(1, CoordinatorId(1)), 7).into()
    }

    #[test]
    fn a_frame_for_another_coordinator_or_disk_is_refused() {
        let (us, them) = (CoordinatorId(1), CoordinatorId(2));
        let frame = Envelope { from: us, to: them, disk: DiskId(5) }.seal(&record()).expect("a small record");
        let open = |id, disk| Receiver { id, disk }.open::<LogIdRecord>(&frame).map(|open| open.record);
        assert_eq!(open(them, DiskId(5)).ok(), Some(record()));
        assert!(matches!(open(CoordinatorId(3), DiskId(5)), Err(FrameError::WrongTarget { .. })));
        assert!(matches!(open(them, DiskId(6)), Err(FrameError::WrongDisk { .. })));
    }

    #[test]
    fn a_reply_of_another_coordinator_is_refused() {
        let envelope = Envelope { from: CoordinatorId(1), to: CoordinatorId(2), disk: DiskId(5) };
        let reply = |id| Receiver { id, disk: DiskId(5) }.reply(CoordinatorId(1), &record());
        let open = |id| envelope.open_reply::<LogIdRecord>(&reply(id).expect("a small record"));
        assert!(open(CoordinatorId(2)).is_ok());
        assert!(open(CoordinatorId(3)).is_err());
    }
}
