//! Messages to words and back, one file a message. What cannot be converted is refused by field name.

mod board;
mod model_spec;
mod placement;
mod reading;
mod report;
mod requirements;
mod sampling;

/// A message that lacks a part or holds a value that has no meaning here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BadMessage {
    /// The field, as the .proto file names it.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl BadMessage {
    fn new(field: &'static str, problem: impl std::fmt::Display) -> Self {
        Self { field, problem: format!("{problem}") }
    }

    fn missing(field: &'static str) -> Self {
        Self::new(field, "is missing")
    }
}

impl From<BadMessage> for tonic::Status {
    fn from(bad: BadMessage) -> Self {
        crate::error::invalid(bad.field, bad.to_string())
    }
}
