//! Why a request was not answered, as a status: what nodes say, and what is said of nodes that say nothing.

use helixflow_model::NodeId;
use helixflow_policy::routing::NoReplica;
use helixflow_proto::error::{Reason, status};
use tonic::Status;
use tonic::metadata::MetadataMap;

/// The only metadata of a node's refusal that is for clients.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Reasons why a replica takes no request, from the least to the most telling: that all are busy says more than that
/// one of them is gone.
const PASSING: [Reason; 4] = [Reason::NoReplica, Reason::Draining, Reason::ModelLoading, Reason::QueueFull];

/// Matters between gateway and node, which clients can do nothing about.
const INTERNAL: [Reason; 3] = [Reason::StaleGeneration, Reason::WrongCluster, Reason::ProtocolMismatch];

/// The status of a request that no replica can take.
pub(super) fn no_replica(why: &NoReplica) -> Status {
    let reason = match why {
        NoReplica::UnknownModel { .. } | NoReplica::UnknownVersion { .. } => Reason::UnknownModel,
        NoReplica::Loading { .. } => Reason::ModelLoading,
        NoReplica::Draining { .. } => Reason::Draining,
        NoReplica::NoneReady { .. }
        | NoReplica::Resting { .. }
        | NoReplica::AllTried { .. }
        | NoReplica::OtherNumerics { .. } => Reason::NoReplica,
    };
    status(reason, why.to_string())
}

/// The status of a request whose node does not answer, or fell silent before the end.
pub(super) fn lost(node: NodeId) -> Status {
    status(Reason::NoReplica, format!("{node} does not answer: send the request again"))
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
    let Some(reason) = Reason::of(answer) else { return Verdict::TryAnother };
    let passes = PASSING.iter().chain(&INTERNAL).any(|passing| passing.as_str() == reason);
    if passes { Verdict::TryAnother } else { Verdict::Tell }
}

/// A node's answer as the client is told: in the node's words where it gave a reason that concerns clients.
pub(super) fn told(answer: &Status, node: NodeId) -> Status {
    let is_internal = |reason: &String| INTERNAL.iter().any(|internal| internal.as_str() == reason);
    if Reason::of(answer).is_none_or(|reason| is_internal(&reason)) {
        return lost(node);
    }
    let mut metadata = MetadataMap::new();
    if let Some(pushback) = answer.metadata().get(PUSHBACK) {
        metadata.insert(PUSHBACK, pushback.clone());
    }
    let details = answer.details().to_vec().into();
    Status::with_details_and_metadata(answer.code(), answer.message(), details, metadata)
}

/// Of the refusals of two replicas, the one to tell.
pub(super) fn more_telling(one: Status, other: Status) -> Status {
    let rank = |status: &Status| {
        let reason = Reason::of(status);
        PASSING.iter().position(|passing| Some(passing.as_str()) == reason.as_deref())
    };
    if rank(&one) > rank(&other) { one } else { other }
}

#[cfg(test)]
mod tests {
    use helixflow_model::ModelId;
    use tonic::Code;

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
        for reason in PASSING.iter().chain(&INTERNAL) {
            assert_eq!(judge(&status(*reason, "")), Verdict::TryAnother, "{reason:?}");
        }
        for reason in
            [Reason::InvalidParameter, Reason::PromptTooLong, Reason::Internal, Reason::DeadlineExceeded]
        {
            assert_eq!(judge(&status(reason, "")), Verdict::Tell, "{reason:?}");
        }
        assert_eq!(judge(&Status::unknown("connection reset")), Verdict::TryAnother);
    }

    #[test]
    fn what_is_between_gateway_and_node_is_not_told() {
        let told_reason = |reason| Reason::of(&told(&status(reason, ""), NodeId(1)));
        for reason in INTERNAL {
            assert_eq!(told_reason(reason).as_deref(), Some("NO_REPLICA"), "{reason:?}");
        }
        let busy = told(&status(Reason::QueueFull, "full"), NodeId(1));
        assert_eq!((busy.code(), busy.message()), (Code::ResourceExhausted, "full"));
        assert!(busy.metadata().contains_key(PUSHBACK));
    }

    #[test]
    fn a_full_queue_tells_more_than_a_lost_node() {
        for (one, other) in [(Reason::QueueFull, Reason::NoReplica), (Reason::NoReplica, Reason::QueueFull)] {
            let told = more_telling(status(one, ""), status(other, ""));
            assert_eq!(Reason::of(&told).as_deref(), Some("QUEUE_FULL"));
        }
    }
}
