//! The one place that turns records into bytes and back: a version byte, then bincode.
//!
//! Only our own record types go through here, never openraft's: their layout changes between its releases. A successor
//! of bincode would take its place in this file alone.

use bincode::enc::write::SizeWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest record that is written or read: beyond a snapshot of the largest state, so that a corrupt length
/// allocates no more.
const MAX_RECORD_BYTES: usize = 256 << 20;

/// A type that is stored or sent, and the version of its layout.
pub(crate) trait Record: Serialize + DeserializeOwned + 'static {
    /// Its name, for error messages.
    const NAME: &'static str;
    /// Raised when the layout changes.
    const VERSION: u8;
    /// The older layouts that this build still reads; every other version is refused.
    const OLDER: &[Older<Self>] = &[];
}

/// A layout of an earlier version.
pub(crate) struct Older<T> {
    version: u8,
    read: fn(&[u8]) -> Result<T, CodecError>,
}

impl<T: Record> Older<T> {
    /// Version `version` was laid out as an `L`, which `T` is made from.
    pub(crate) const fn layout<L: DeserializeOwned + Into<T>>(version: u8) -> Self {
        Self { version, read: |body| read::<L>(T::NAME, body).map(Into::into) }
    }
}

/// Bytes that are no record of ours, or a record that is too large.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodecError {
    /// Nothing there.
    #[error("an empty {name}: the file or message is damaged")]
    Empty {
        /// Of what.
        name: &'static str,
    },
    /// Written by another version.
    #[error(
        "a {name} of format {found}, this build reads {known}: run the build that wrote it, or a newer one"
    )]
    Version {
        /// Of what.
        name: &'static str,
        /// The version byte found.
        found: u8,
        /// The one this build knows.
        known: u8,
    },
    /// Bytes left over.
    #[error("a {name} with {left} bytes too many: the file or message is damaged")]
    Trailing {
        /// Of what.
        name: &'static str,
        /// How many.
        left: usize,
    },
    /// The bytes do not decode.
    #[error("a {name} that does not decode: the file or message is damaged, or a newer build wrote it")]
    Decode {
        /// Of what.
        name: &'static str,
        /// Where it went wrong.
        source: Box<bincode::error::DecodeError>,
    },
    /// The record does not encode.
    #[error("a {name} that does not encode: it is larger than {MAX_RECORD_BYTES} bytes")]
    Encode {
        /// Of what.
        name: &'static str,
        /// What went wrong.
        source: Box<bincode::error::EncodeError>,
    },
}

impl From<CodecError> for std::io::Error {
    fn from(error: CodecError) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}

fn layout() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_RECORD_BYTES>()
}

/// How many bytes a value takes in a record.
pub(crate) fn size(value: &impl Serialize) -> usize {
    let mut size = SizeWriter::default();
    // Counting never fails; what were to would be refused as too large.
    bincode::serde::encode_into_writer(value, &mut size, layout()).map_or(usize::MAX, |()| size.bytes_written)
}

/// The version byte and the record.
pub(crate) fn encode<T: Record>(record: &T) -> Result<Vec<u8>, CodecError> {
    // Counted first: to grow a vector bit by bit costs more.
    let mut bytes = Vec::with_capacity(size(record).saturating_add(1).min(MAX_RECORD_BYTES));
    bytes.push(T::VERSION);
    bincode::serde::encode_into_std_write(record, &mut bytes, layout())
        .map_err(|source| CodecError::Encode { name: T::NAME, source: Box::new(source) })?;
    Ok(bytes)
}

/// The record that the bytes hold, all of them.
pub(crate) fn decode<T: Record>(bytes: &[u8]) -> Result<T, CodecError> {
    let (&found, body) = bytes.split_first().ok_or(CodecError::Empty { name: T::NAME })?;
    if found == T::VERSION {
        return read(T::NAME, body);
    }
    match T::OLDER.iter().find(|older| older.version == found) {
        Some(older) => (older.read)(body),
        None => Err(CodecError::Version { name: T::NAME, found, known: T::VERSION }),
    }
}

/// What the bytes behind the version hold, all of them.
fn read<L: DeserializeOwned>(name: &'static str, body: &[u8]) -> Result<L, CodecError> {
    let (record, read) = bincode::serde::decode_from_slice(body, layout())
        .map_err(|source| CodecError::Decode { name, source: Box::new(source) })?;
    match body.len() - read {
        0 => Ok(record),
        left => Err(CodecError::Trailing { name, left }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        number: u64,
        text: String,
    }
    impl Record for Sample {
        const NAME: &'static str = "sample";
        const VERSION: u8 = 3;
        const OLDER: &[Older<Self>] = &[Older::layout::<u64>(2)];
    }

    impl From<u64> for Sample {
        fn from(number: u64) -> Self {
            Self { number, text: String::new() }
        }
    }

    #[test]
    fn an_older_version_is_read_by_its_own_layout() {
        assert_eq!(decode::<Sample>(&[2, 7]).ok(), Some(Sample { number: 7, text: String::new() }));
        assert!(matches!(decode::<Sample>(&[2, 7, 0]), Err(CodecError::Trailing { left: 1, .. })));
        assert!(matches!(decode::<Sample>(&[1, 7]), Err(CodecError::Version { found: 1, .. })));
    }

    #[test]
    fn a_record_of_another_version_is_refused_by_name() {
        let sample = Sample { number: 7, text: "seven".to_owned() };
        let mut bytes = encode(&sample).expect("a small record");
        assert_eq!(decode::<Sample>(&bytes).ok(), Some(sample));
        bytes[0] = 4;
        let refused = decode::<Sample>(&bytes).map_err(|e| e.to_string());
        assert_eq!(
            refused,
            Err("a sample of format 4, this build reads 3: run the build that wrote it, or a newer one"
                .to_owned())
        );
    }

    #[test]
    fn left_over_bytes_are_refused() {
        let mut bytes = encode(&Sample { number: 1, text: String::new() }).expect("a small record");
        bytes.push(0);
        assert!(matches!(decode::<Sample>(&bytes), Err(CodecError::Trailing { left: 1, .. })));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode::<Sample>(&bytes);
        }
    }
}
