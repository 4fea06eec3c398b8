//! A backup on its way to whoever asked: the file's bytes in chunks.

use std::sync::Arc;

use bytes::Bytes;
use helixflow_policy::state::ClusterState;
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::BackupChunk;
use tonic::Status;

use crate::raft::{Backup, BackupError};

/// Bytes in one chunk: well below what a message may have.
const CHUNK_BYTES: usize = 256 << 10;

impl From<BackupError> for Status {
    fn from(error: BackupError) -> Self {
        let reason = match &error {
            BackupError::NoCluster => Reason::Refused,
            BackupError::NoBackup | BackupError::Damaged | BackupError::Record(_) => Reason::Internal,
        };
        status(reason, error.to_string())
    }
}

/// The backup of a state as it was at this time.
pub(super) fn chunks(
    state: Arc<ClusterState>,
    taken_unix_ms: i64,
) -> Result<impl Iterator<Item = BackupChunk> + Send, Status> {
    let backup = Backup { taken_unix_ms, state: Arc::unwrap_or_clone(state) };
    let mut rest = Bytes::from(backup.to_bytes()?);
    let total_bytes = rest.len() as u64;
    Ok(std::iter::from_fn(move || {
        let length = rest.len().min(CHUNK_BYTES);
        (length > 0).then(|| BackupChunk { data: rest.split_to(length).to_vec(), total_bytes })
    }))
}
