//! What can be wrong with a GGUF file, in words that name the next step.

use std::path::PathBuf;

use super::ValueType;

/// A file that cannot be read as GGUF, or lacks what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The file cannot be opened or mapped.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The first four bytes are not `GGUF`.
    #[error("not a GGUF file: it begins with {0:02x?}; give the path of a .gguf file")]
    NotGguf([u8; 4]),
    /// A version that this reader does not know, or a big-endian file.
    #[error("GGUF version {0:#x} is not supported; convert the model to version 2 or 3, little-endian")]
    UnsupportedVersion(u32),
    /// The file ends early.
    #[error("the file ends inside {what}, at byte {offset}; fetch it again")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where the missing bytes should begin.
        offset: u64,
    },
    /// A count that no real file has.
    #[error("{count} {what} are more than the limit of {limit}; the file is corrupt, fetch it again")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many the file claims.
        count: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A header field with a value that makes no sense.
    #[error("{what} is invalid; the file is corrupt, fetch it again")]
    Corrupt {
        /// Which field.
        what: &'static str,
    },
    /// Two metadata keys or two tensors of one name.
    #[error("{name:?} occurs twice; the file is corrupt, fetch it again")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A tensor whose type the engine does not compute.
    #[error(
        "tensor {tensor:?} is stored as {type_name}, which is not supported; \
         use a file in F32, F16, Q8_0, Q4_0, Q4_1, Q5_0, Q4_K, Q5_K or Q6_K"
    )]
    UnsupportedTensorType {
        /// The tensor.
        tensor: String,
        /// ggml's name of the type, or its number.
        type_name: String,
    },
    /// A tensor whose dimensions or place in the file make no sense.
    #[error("tensor {tensor:?} is invalid: {reason}; the file is corrupt, fetch it again")]
    BadTensor {
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A metadata key that is needed is absent.
    #[error("the metadata lacks {key:?}; convert the model again with a current converter")]
    MissingKey {
        /// The key.
        key: String,
    },
    /// A metadata key holds another type than is needed.
    #[error("the metadata key {key:?} holds {found}, not {wanted}; convert the model again")]
    WrongType {
        /// The key.
        key: String,
        /// What the file holds.
        found: ValueType,
        /// What is needed.
        wanted: &'static str,
    },
    /// A tensor that is needed is absent.
    #[error("the file has no tensor {tensor:?}; it is incomplete or of another architecture")]
    MissingTensor {
        /// The tensor.
        tensor: String,
    },
    /// An infinity or NaN among the weights or their scales.
    #[error(
        "tensor {tensor:?} holds a weight or scale that is not finite; the file is corrupt, fetch it again"
    )]
    NonFinite {
        /// The tensor.
        tensor: String,
    },
}
