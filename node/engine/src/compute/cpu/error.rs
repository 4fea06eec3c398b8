//! Why a model cannot be loaded.

use crate::gguf::{GgufError, TensorType};
use crate::kernels::KernelsUnavailable;

/// A file or a configuration that the CPU engine cannot run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is not sound.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The chosen kernels do not run here.
    #[error(transparent)]
    Kernels(#[from] KernelsUnavailable),
    /// A model of another family.
    #[error("the architecture {found:?} is not supported; use a model of the `llama` architecture")]
    OtherArchitecture {
        /// What the file names.
        found: String,
    },
    /// A tensor that the `llama` architecture, as computed here, does not have.
    #[error(
        "tensor {tensor:?} is not supported (biases, experts and adapters are not computed); use another model"
    )]
    UnsupportedTensor {
        /// The tensor.
        tensor: String,
    },
    /// A way of scaling positions that is not computed.
    #[error("RoPE scaling {found:?} is not supported; use a model with none, linear or Llama 3 scaling")]
    UnsupportedScaling {
        /// What the file names.
        found: String,
    },
    /// A hyperparameter that makes no sense, or that the kernels cannot take.
    #[error("{key} is {value}, but must be {wanted}; use another model")]
    Hyperparameter {
        /// The key of the metadata, or what is derived from it.
        key: &'static str,
        /// What the file says.
        value: String,
        /// What is needed.
        wanted: &'static str,
    },
    /// A tensor with other dimensions than the hyperparameters call for.
    #[error("tensor {tensor:?} has dimensions {found:?} of type {kind}, not {wanted:?}; the file is corrupt")]
    Dimensions {
        /// The tensor.
        tensor: String,
        /// Its type.
        kind: TensorType,
        /// The file's dimensions.
        found: Vec<usize>,
        /// What the hyperparameters call for.
        wanted: Vec<usize>,
    },
    /// Layers that the model does not have.
    #[error("layers {first}..{end} are not among the model's {layers}; choose a range inside 0..{layers}")]
    Layers {
        /// First layer asked for.
        first: u32,
        /// One past the last.
        end: u32,
        /// Layers of the model.
        layers: u32,
    },
    /// An option that cannot be met.
    #[error("the option {option} is {value}; {wanted}")]
    Option {
        /// Which option.
        option: &'static str,
        /// What was given.
        value: usize,
        /// What to give.
        wanted: &'static str,
    },
    /// The operating system has not the memory, or no more threads.
    #[error("cannot get {what}: {source}; use a smaller model, fewer KV pages or fewer threads")]
    Resources {
        /// What was asked for.
        what: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
}
