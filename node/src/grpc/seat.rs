//! The fence: whether this node holds the replica, at the generation, that a gateway means, and can serve it.

use std::collections::BTreeMap;
use std::sync::Arc;

use helixflow_actors::{BoardWatch, Replica, Roster, Seat};
use helixflow_model::{Fence, ReplicaPhase};
use helixflow_proto::error::{Reason, invalid, status, with_metadata};
use helixflow_proto::v1;
use tonic::Status;

/// The replica that a request is fenced to. A refusal bears what this node holds, so that the gateway can adopt it.
pub(super) fn fenced<R: Replica>(
    roster: &Roster<R>,
    boards: &BoardWatch,
    fence: Option<v1::Fence>,
) -> Result<Arc<R>, Status> {
    let fence: Fence =
        fence.ok_or_else(|| invalid("fence", "the fence is missing: name replica and generation"))?.into();
    let seat = roster.get(&fence.replica).ok_or_else(|| elsewhere(fence))?;
    if seat.assignment.fence() != fence {
        return Err(stale(fence, seat));
    }
    let replica = seat.replica.as_ref().map(Arc::clone);
    let refused = |reason, what: &str| Err(status(reason, format!("{} {what}", fence.replica)));
    match (seat.phase, replica) {
        (ReplicaPhase::Ready, Some(replica)) => match boards.barred(&replica.boards()) {
            None => Ok(replica),
            Some(barred) => {
                refused(Reason::NoReplica, &format!("serves nobody now, for {barred}; try another replica"))
            }
        },
        (ReplicaPhase::Draining, _) => {
            refused(Reason::Draining, "takes no new requests; try another replica")
        }
        (ReplicaPhase::Failed, _) => {
            refused(Reason::NoReplica, "has failed on this node; try another replica")
        }
        _ => refused(Reason::ModelLoading, "is being loaded; try another replica, or again shortly"),
    }
}

fn elsewhere(fence: Fence) -> Status {
    let metadata = BTreeMap::from([("replica".to_owned(), fence.replica.0.to_string())]);
    let words = format!("this node does not hold {}; look at a newer placement", fence.replica);
    with_metadata(Reason::StaleGeneration, words, metadata)
}

fn stale<R>(fence: Fence, seat: &Seat<R>) -> Status {
    let held = &seat.assignment.replica;
    let metadata = BTreeMap::from([
        ("replica".to_owned(), held.fence.replica.0.to_string()),
        ("generation".to_owned(), held.fence.generation.0.to_string()),
        ("epoch".to_owned(), held.epoch.0.to_string()),
    ]);
    let words = format!(
        "{} is at generation {} here, not {}; look at a newer placement",
        fence.replica, held.fence.generation, fence.generation
    );
    with_metadata(Reason::StaleGeneration, words, metadata)
}
