//! A backup: the whole state in one file, with a checksum over all of it.
//!
//! It begins with words that tell a reader what it is; then a version byte and a record; then the CRC-32C of everything
//! before it. The state inside bears a version of its own, so that a newer build reads what an older one wrote.

use helixflow_model::{ClusterId, Incarnation};
use helixflow_policy::state::ClusterState;
use serde::{Deserialize, Serialize};

use super::codec::{CodecError, Record, decode, encode};
use super::record::StateRecord;

/// The first bytes of the file.
const MAGIC: &[u8] = b"helixflow backup\n";
/// The checksum's size.
const SUM_BYTES: usize = 4;

#[derive(Debug, Serialize, Deserialize)]
struct BackupRecord {
    taken_unix_ms: i64,
    state: Vec<u8>,
}

impl Record for BackupRecord {
    const NAME: &'static str = "backup";
    const VERSION: u8 = 1;
}

/// A cluster's state at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// When it was taken, in milliseconds since 1970.
    pub taken_unix_ms: i64,
    /// Everything that the log had decided.
    pub state: ClusterState,
}

/// A file that cannot be restored, or a state that cannot be backed up.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It begins with something else.
    #[error("this is no backup of HelixFlow: give a file that `helixflow cluster backup` wrote")]
    NoBackup,
    /// Bytes are missing or changed.
    #[error("the backup is damaged or cut short, its checksum does not fit: take another copy of it")]
    Damaged,
    /// It does not decode.
    #[error("the backup cannot be read")]
    Record(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is nothing to keep yet.
    #[error(
        "the coordinator belongs to no cluster yet, so there is nothing to keep: helixflow cluster bootstrap makes one"
    )]
    NoCluster,
}

impl From<CodecError> for BackupError {
    fn from(error: CodecError) -> Self {
        Self::Record(Box::new(error))
    }
}

impl Backup {
    /// The bytes of the file.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, BackupError> {
        if self.state.identity().is_none() {
            return Err(BackupError::NoCluster);
        }
        let state = encode(&StateRecord(self.state.clone()))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(encode(&BackupRecord { taken_unix_ms: self.taken_unix_ms, state })?);
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        Ok(bytes)
    }

    /// Reads a file's bytes, all of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BackupError> {
        if !bytes.starts_with(MAGIC) {
            return Err(BackupError::NoBackup);
        }
        let (rest, sum) = bytes.split_last_chunk::<SUM_BYTES>().ok_or(BackupError::Damaged)?;
        if crc32c::crc32c(rest) != u32::from_le_bytes(*sum) {
            return Err(BackupError::Damaged);
        }
        let record = rest.strip_prefix(MAGIC).ok_or(BackupError::Damaged)?;
        let BackupRecord { taken_unix_ms, state } = decode(record)?;
        let StateRecord(state) = decode(&state)?;
        match state.identity() {
            Some(_) => Ok(Self { taken_unix_ms, state }),
            None => Err(BackupError::NoCluster),
        }
    }

    /// The cluster, and the life of it that the backup was taken in.
    pub fn identity(&self) -> Option<(&ClusterId, Incarnation)> {
        self.state.identity().map(|identity| (&identity.cluster, identity.incarnation))
    }
}

#[cfg(test)]
mod tests {
    use helixflow_policy::state::Command;
    use proptest::prelude::*;

    use super::*;

    fn backup() -> Backup {
        let mut state = ClusterState::default();
        let cluster = ClusterId::new("alpha").expect("a valid name");
        state.apply(1, Command::Bootstrap { cluster, incarnation: Incarnation(1) });
        Backup { taken_unix_ms: 7, state }
    }

    #[test]
    fn a_backup_is_read_back_and_nothing_else_is() {
        let bytes = backup().to_bytes().expect("a small backup");
        assert_eq!(Backup::from_bytes(&bytes).ok(), Some(backup()));
        assert!(matches!(Backup::from_bytes(b"GGUF and more"), Err(BackupError::NoBackup)));
        let empty = Backup { taken_unix_ms: 0, state: ClusterState::default() };
        assert!(matches!(empty.to_bytes(), Err(BackupError::NoCluster)));
    }

    proptest! {
        #[test]
        fn a_cut_or_a_flipped_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let bytes = backup().to_bytes().expect("a small backup");
            let at = at.index(bytes.len());
            prop_assert!(Backup::from_bytes(&bytes[..at]).is_err());
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            prop_assert!(Backup::from_bytes(&flipped).is_err());
        }
    }
}
