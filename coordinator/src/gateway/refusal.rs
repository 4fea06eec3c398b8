//! Why a request was not answered, as a status: what nodes say, what is said of nodes that say nothing.

use helixflow_model::NodeId;
use helixflow_policy::routing::NoReplica;
use helixflow_proto::error::{Reason, status};
use tonic::{Code, Status};

/// The status of a request that no replica can take.
pub(super) fn no_replica(why: &NoReplica) -> Status {
    let reason = match why {
        NoReplica::UnknownModel { .. } | NoReplica::UnknownVersion { .. } => Reason::UnknownModel,
        NoReplica::Loading { .. } => Reason::ModelLoading,
        NoReplica::Draining { .. } => Reason::Draining,
        NoReplica::NoneReady { .. } | NoReplica::AllTried { .. } | NoReplica::OtherNumerics { .. } => {
            Reason::NoReplica
        }
    };
    status(reason, why.to_string())
}

/// The status of a stream whose node fell silent before the end.
pub(super) fn lost(node: NodeId) -> Status {
    status(Reason::NoReplica, format!("{node} ended in mid-stream; send the request again"))
}

/// What a failed call to a node means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another replica may well answer.
    TryAnother,
    /// Every replica would say the same.
    Tell,
}

/// Judges what a node, or the transport to it, answered before the first token.
pub(super) fn judge(answer: &Status) -> Verdict {
    match answer.code() {
        // Gone, draining, loading; another generation; a full queue; a process of another cluster on an old port.
        Code::Unavailable | Code::Aborted | Code::ResourceExhausted | Code::FailedPrecondition => {
            Verdict::TryAnother
        }
        // The transport's own words for a connection that broke.
        Code::Unknown | Code::Internal | Code::Cancelled if Reason::of(answer).is_none() => {
            Verdict::TryAnother
        }
        _ => Verdict::Tell,
    }
}

#[cfg(test)]
mod tests {
    use helixflow_model::ModelId;

    use super::*;

    #[test]
    fn an_unknown_model_is_not_found_and_a_missing_replica_is_unavailable() {
        let model = ModelId::new("m").expect("a valid name");
        let unknown = no_replica(&NoReplica::UnknownModel { model: model.clone() });
        assert_eq!(unknown.code(), Code::NotFound);
        let tried = no_replica(&NoReplica::AllTried { model });
        assert_eq!((tried.code(), Reason::of(&tried).as_deref()), (Code::Unavailable, Some("NO_REPLICA")));
    }

    #[test]
    fn only_what_another_replica_may_mend_is_tried_there() {
        for reason in [Reason::StaleGeneration, Reason::QueueFull, Reason::Draining, Reason::WrongCluster] {
            assert_eq!(judge(&status(reason, "")), Verdict::TryAnother, "{reason:?}");
        }
        for reason in
            [Reason::InvalidParameter, Reason::PromptTooLong, Reason::Internal, Reason::DeadlineExceeded]
        {
            assert_eq!(judge(&status(reason, "")), Verdict::Tell, "{reason:?}");
        }
        assert_eq!(judge(&Status::unknown("connection reset")), Verdict::TryAnother);
    }
}
