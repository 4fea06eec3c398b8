//! One map from what went wrong to a gRPC status, so that every service answers alike.
//!
//! Each status carries one machine-readable reason (`google.rpc.ErrorInfo`, domain `helixflow`) and what its kind of
//! error needs: the field (`BadRequest`), or when to come back (`RetryInfo`).

use std::collections::BTreeMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of every `ErrorInfo` of this service.
pub const DOMAIN: &str = "helixflow";

/// How long a client should wait before it tries a refused request again, where nothing better is known.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Why a call was refused or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No model of that name or version is served.
    UnknownModel,
    /// A parameter cannot be used.
    InvalidParameter,
    /// No adapter is served under that name.
    UnknownAdapter,
    /// Prompt and answer do not fit the model's context.
    PromptTooLong,
    /// The caller belongs to another cluster.
    WrongCluster,
    /// The caller speaks no protocol version that we speak, or none at all.
    ProtocolMismatch,
    /// No replica of the model is ready.
    NoReplica,
    /// The model is being fetched or loaded.
    ModelLoading,
    /// The server is going away.
    Draining,
    /// No majority of coordinators answers, so nothing can be written.
    NoQuorum,
    /// A write whose outcome is not known: it may yet take effect.
    OutcomeUnknown,
    /// The queue of waiting requests is full.
    QueueFull,
    /// The log's disk is nearly full.
    DiskLow,
    /// The node holds another generation of the replica.
    StaleGeneration,
    /// The stream cannot go on with the same tokens.
    CannotResume,
    /// The command does not fit the cluster's state.
    Refused,
    /// What a compare-and-set compares with has changed.
    RevisionDiffers,
    /// The writer's session is not open: it has to open another one.
    SessionExpired,
    /// A coordinator is of an older build, which could not apply the write.
    LevelTooLow,
    /// The deadline passed.
    DeadlineExceeded,
    /// The method or extension is not served.
    NotServed,
    /// A fault of ours.
    Internal,
}

impl Reason {
    /// The reason as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownModel => "UNKNOWN_MODEL",
            Self::InvalidParameter => "INVALID_PARAMETER",
            Self::UnknownAdapter => "UNKNOWN_ADAPTER",
            Self::PromptTooLong => "PROMPT_TOO_LONG",
            Self::WrongCluster => "WRONG_CLUSTER",
            Self::ProtocolMismatch => "PROTOCOL_MISMATCH",
            Self::NoReplica => "NO_REPLICA",
            Self::ModelLoading => "MODEL_LOADING",
            Self::Draining => "DRAINING",
            Self::NoQuorum => "NO_QUORUM",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::QueueFull => "QUEUE_FULL",
            Self::DiskLow => "DISK_LOW",
            Self::StaleGeneration => "STALE_GENERATION",
            Self::CannotResume => "CANNOT_RESUME",
            Self::Refused => "REFUSED",
            Self::RevisionDiffers => "REVISION_DIFFERS",
            Self::SessionExpired => "SESSION_EXPIRED",
            Self::LevelTooLow => "LEVEL_TOO_LOW",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotServed => "NOT_SERVED",
            Self::Internal => "INTERNAL",
        }
    }

    /// The gRPC code that goes with it.
    pub const fn code(self) -> Code {
        match self {
            Self::UnknownModel => Code::NotFound,
            Self::InvalidParameter | Self::UnknownAdapter | Self::PromptTooLong => Code::InvalidArgument,
            Self::WrongCluster
            | Self::ProtocolMismatch
            | Self::Refused
            | Self::RevisionDiffers
            | Self::SessionExpired
            | Self::LevelTooLow => Code::FailedPrecondition,
            Self::NoReplica | Self::ModelLoading | Self::Draining | Self::NoQuorum => Code::Unavailable,
            Self::OutcomeUnknown => Code::Unknown,
            Self::QueueFull | Self::DiskLow => Code::ResourceExhausted,
            Self::StaleGeneration => Code::Aborted,
            Self::CannotResume => Code::DataLoss,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::NotServed => Code::Unimplemented,
            Self::Internal => Code::Internal,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub const fn is_retryable(self) -> bool {
        matches!(self.code(), Code::Unavailable | Code::ResourceExhausted | Code::Aborted)
    }

    /// Reads the reason that a status bears.
    pub fn of(status: &Status) -> Option<String> {
        status.get_details_error_info().filter(|info| info.domain == DOMAIN).map(|info| info.reason)
    }
}

/// A status with its reason.
pub fn status(reason: Reason, message: impl Into<String>) -> Status {
    with_metadata(reason, message, BTreeMap::new())
}

/// A status with its reason and facts for machines.
pub fn with_metadata(
    reason: Reason,
    message: impl Into<String>,
    metadata: BTreeMap<String, String>,
) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.as_str(), DOMAIN, unordered(metadata));
    if reason.is_retryable() {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    let mut status = Status::with_error_details(reason.code(), message, details);
    if reason.code() == Code::ResourceExhausted {
        let pushback = tonic::metadata::MetadataValue::from(RETRY_AFTER.as_millis() as u64);
        status.metadata_mut().insert("grpc-retry-pushback-ms", pushback);
    }
    status
}

/// An `INVALID_ARGUMENT` that names the field.
pub fn invalid(field: &str, message: impl Into<String>) -> Status {
    invalid_because(Reason::InvalidParameter, field, message)
}

/// An `INVALID_ARGUMENT` that names the field, for another reason than a bad parameter.
pub fn invalid_because(reason: Reason, field: &str, message: impl Into<String>) -> Status {
    let message = message.into();
    let mut details = ErrorDetails::new();
    let metadata = BTreeMap::from([("field".to_owned(), field.to_owned())]);
    details.set_error_info(reason.as_str(), DOMAIN, unordered(metadata));
    details.add_bad_request_violation(field, message.as_str());
    Status::with_error_details(Code::InvalidArgument, message, details)
}

#[expect(
    clippy::disallowed_types,
    reason = "the library's type for this field; nothing iterates over it here"
)]
fn unordered(metadata: BTreeMap<String, String>) -> std::collections::HashMap<String, String> {
    metadata.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_its_reason_and_when_to_come_back() {
        let busy = status(Reason::QueueFull, "the queue is full; try again shortly");
        assert_eq!(busy.code(), Code::ResourceExhausted);
        assert_eq!(Reason::of(&busy).as_deref(), Some("QUEUE_FULL"));
        assert_eq!(busy.get_details_retry_info().and_then(|r| r.retry_delay), Some(RETRY_AFTER));
        assert_eq!(busy.metadata().get("grpc-retry-pushback-ms").and_then(|v| v.to_str().ok()), Some("500"));
    }

    #[test]
    fn a_bad_field_is_named() {
        let bad = invalid("temperature", "temperature must be a number from 0 to 100, got -1");
        let violations = bad.get_details_bad_request().map(|b| b.field_violations).unwrap_or_default();
        assert_eq!(violations.first().map(|v| v.field.as_str()), Some("temperature"));
        assert!(!Reason::InvalidParameter.is_retryable());
    }
}
