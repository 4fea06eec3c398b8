//! GGUF files: metadata, tensors and their plain meaning.
//!
//! The reader takes arbitrary bytes: it never panics, and allocates no more than a small multiple of the header it
//! has really seen. Values stay in the file and are handed out as views, so a vocabulary costs nothing until read.
//! Left out: big-endian files, nested arrays, and tensor types that the engine does not compute.

mod cursor;
mod dequantize;
mod error;
mod file;
mod metadata;
mod tensor;
mod writer;

pub use dequantize::dequantize;
pub(crate) use dequantize::{k_nibble, k_six_bit_pair, nibble, six_bits};
pub use error::GgufError;
pub use file::GgufFile;
pub use metadata::{Metadata, Strings, ValueType};
pub use tensor::{TensorInfo, TensorType};
pub use writer::GgufWriter;
