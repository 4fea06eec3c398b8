//! The fence: whether this node holds the replica, at the generation, that a gateway means, and can serve it now.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use helixflow_actors::{Replica, Roster, Seat};
use helixflow_model::{BoardId, Fence, ReplicaPhase};
use helixflow_proto::error::{Reason, invalid, status, with_metadata};
use helixflow_proto::v1;
use tonic::Status;

/// The replica that a request is fenced to. A refusal bears what this node holds, so that the gateway can adopt it.
/// `barred` says why boards take no requests, if one of them does not.
pub(super) fn fenced<R: Replica, B: Display>(
    roster: &Roster<R>,
    fence: Option<v1::Fence>,
    barred: impl FnOnce(&[BoardId]) -> Option<B>,
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
        (ReplicaPhase::Ready, Some(replica)) => match barred(&replica.boards()) {
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

#[cfg(test)]
mod tests {
    use helixflow_actors::{Fault, Notes};
    use helixflow_control::Assignment;
    use helixflow_model::{
        Epoch, Generation, LayerRange, LoadReport, ModelId, NumericsClass, ReplicaAssignment, ReplicaId,
    };
    use tokio::sync::watch;
    use tonic::Code;

    use super::*;

    const FENCE: Fence = Fence { replica: ReplicaId(1), generation: Generation(2) };

    struct Idle;

    impl Replica for Idle {
        fn numerics(&self) -> NumericsClass {
            NumericsClass("fake-1".to_owned())
        }

        fn load(&self) -> LoadReport {
            LoadReport::default()
        }

        fn asked(&self) -> watch::Receiver<()> {
            watch::Sender::default().subscribe()
        }

        fn progress(&self) -> u64 {
            0
        }

        async fn check(&self) -> Result<(), Fault> {
            Ok(())
        }

        async fn drained(&self) {}
    }

    fn roster() -> Roster<Idle> {
        let spec = v1::ModelSpec {
            id: "m".to_owned(),
            version: "1".to_owned(),
            architecture: "llama".to_owned(),
            layers: 2,
            context: 64,
            sha256: "0".repeat(64),
            ..Default::default()
        };
        let replica = ReplicaAssignment {
            fence: FENCE,
            epoch: Epoch(7),
            model: ModelId::new("m").expect("a valid name"),
            version: "1".to_owned(),
            layers: LayerRange { first: 0, end: 2 },
        };
        let assignment = Assignment { replica, spec: spec.try_into().expect("a model") };
        let seat = Seat {
            assignment: Arc::new(assignment),
            phase: ReplicaPhase::Ready,
            notes: Notes::default(),
            replica: Some(Arc::new(Idle)),
        };
        Roster::from([(FENCE.replica, seat)])
    }

    #[test]
    fn a_replica_whose_board_is_barred_sends_its_gateway_elsewhere() {
        let fence = || Some(v1::Fence::from(FENCE));
        assert!(fenced(&roster(), fence(), |_| None::<String>).is_ok());
        let refused = fenced(&roster(), fence(), |_| Some("its board is on fire")).map(drop);
        let status = refused.expect_err("a refusal");
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(Reason::of(&status).as_deref(), Some("NO_REPLICA"));
        assert!(
            status.message().contains("on fire") && status.message().contains("another replica"),
            "{status}"
        );
    }
}
