//! What a request hears while it runs, and what it can answer.

use helixflow_model::{FinishReason, TokenId, Usage};

use crate::compute::ComputeError;
use crate::sampling::{Logprobs, NoCandidate};

/// News for one request. [`Event::End`] and [`Event::Failed`] come once, and nothing comes after them.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A choice has grown by one token. An end-of-sequence token that ends a choice is not told.
    Token {
        /// Which choice, from 0.
        choice: u32,
        /// Index of the token among the choice's generated ones, those of an earlier stream included.
        index: u32,
        /// The token.
        token: TokenId,
        /// Log-probabilities, where the request asks for them.
        logprobs: Option<Logprobs>,
    },
    /// A choice is over.
    ChoiceEnd {
        /// Which choice.
        choice: u32,
        /// Why it ended.
        finish: FinishReason,
    },
    /// Every choice is over.
    End {
        /// What the request cost. `generated` counts the tokens of an earlier stream too, so that a client's bill is
        /// the same after a continuation.
        usage: Usage,
    },
    /// The request ends here, whatever its choices had.
    Failed(Failure),
}

/// What the receiver of an event wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// The token completed a stop string: its choice ends in this step. Means something for [`Event::Token`] alone.
    Stop,
    /// Nobody listens any more: the request is dropped in this step, without another event.
    Gone,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Its sender cancelled it, or its deadline passed.
    #[error("the request was cancelled")]
    Cancelled,
    /// The model's logits were not numbers.
    #[error(transparent)]
    Logits(#[from] NoCandidate),
    /// The layers could not be computed; the engine is lost.
    #[error("the engine is lost and must be loaded again; send the request to another replica")]
    Compute(#[from] ComputeError),
    /// The scheduler's accounts do not add up; the engine is lost.
    #[error("the engine's page accounts are wrong; report this, and send the request to another replica")]
    Accounts,
    /// A step panicked; the engine is lost.
    #[error("the engine panicked and must be loaded again; send the request to another replica")]
    Panicked,
    /// The engine was shut down.
    #[error("the engine was shut down; send the request to another replica")]
    ShutDown,
}
