//! Old orders are ignored, new generations replace, and what is not named stops.

use helixflow_model::{Architecture, Bytes, Generation, LayerRange, ModelId, Requirements};
use proptest::prelude::*;

use super::*;

fn assignment(replica: u64, generation: u64) -> Assignment {
    let model = ModelId::new("m").expect("a valid name");
    Assignment {
        replica: ReplicaAssignment {
            fence: Fence { replica: ReplicaId(replica), generation: Generation(generation) },
            epoch: Epoch(1),
            model: model.clone(),
            version: "1".to_owned(),
            layers: LayerRange { first: 0, end: 2 },
        },
        spec: ModelSpec {
            requires: Requirements::default(),
            id: model,
            version: "1".to_owned(),
            architecture: Architecture::Llama,
            layers: 2,
            context: 64,
            memory: Bytes(1),
            sha256: "0".repeat(64),
            size: Bytes(1),
            sources: Vec::new(),
            replicas: 1,
        },
    }
}

fn orders(incarnation: u64, epoch: u64, parts: &[(u64, u64)]) -> Orders {
    Orders {
        incarnation: Incarnation(incarnation),
        epoch: Epoch(epoch),
        assignments: parts.iter().map(|(replica, generation)| assignment(*replica, *generation)).collect(),
    }
}

fn obey(accepted: &Accepted, orders: Orders) -> (Accepted, Vec<Change>) {
    accepted.consider(orders).expect("orders that are not stale")
}

#[test]
fn orders_are_older_than_others_exactly_where_whoever_obeys_those_refuses_them() {
    let all = [orders(1, 8, &[]), orders(1, 9, &[]), orders(2, 3, &[])];
    for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
        let (held, _) = obey(&Accepted::default(), other.clone());
        assert_eq!(held.consider(one.clone()).is_err(), one.are_older_than(other), "{one:?} after {other:?}");
    }
}

#[test]
fn a_lower_epoch_is_ignored_and_a_higher_incarnation_is_not() {
    let (held, _) = obey(&Accepted::default(), orders(1, 9, &[(1, 1)]));
    let stale = held.consider(orders(1, 8, &[])).map_err(|e| e.to_string());
    assert_eq!(stale, Err("orders of i1, e8 are older than i1, e9, which this node obeys".to_owned()));
    let (reborn, changes) = obey(&held, orders(2, 3, &[(1, 1)]));
    assert_eq!((reborn.epoch, changes), (Epoch(3), Vec::new()));
}

#[test]
fn a_higher_generation_replaces_and_a_missing_replica_stops() {
    let (held, _) = obey(&Accepted::default(), orders(1, 1, &[(1, 1), (2, 1)]));
    let (next, changes) = obey(&held, orders(1, 2, &[(1, 2)]));
    assert_eq!(changes, [Change::Run(assignment(1, 2)), Change::Stop(assignment(2, 1).fence())]);
    assert_eq!(next.assignments.len(), 1);
}

#[test]
fn a_lower_generation_counts_only_in_a_new_life_of_the_cluster() {
    let (held, _) = obey(&Accepted::default(), orders(1, 1, &[(1, 5)]));
    let (kept, changes) = obey(&held, orders(1, 2, &[(1, 4)]));
    assert_eq!((kept.assignments.get(&ReplicaId(1)), changes), (Some(&assignment(1, 5)), Vec::new()));
    let (_, changes) = obey(&held, orders(2, 1, &[(1, 4)]));
    assert_eq!(changes, [Change::Run(assignment(1, 4))]);
}

proptest! {
    /// Obeying the changes one by one always leads to what is written down as accepted, and never back in time.
    #[test]
    fn the_changes_lead_to_what_was_accepted(
        series in prop::collection::vec(
            (0u64..3, 0u64..20, prop::collection::btree_map(0u64..4, 1u64..4, 0..4)), 1..20,
        ),
    ) {
        let mut held = Accepted::default();
        let mut running: BTreeMap<ReplicaId, Fence> = BTreeMap::new();
        for (incarnation, epoch, parts) in series {
            let parts: Vec<(u64, u64)> = parts.into_iter().collect();
            let Ok((next, changes)) = held.consider(orders(incarnation, epoch, &parts)) else {
                prop_assert!((incarnation, epoch) < (held.incarnation.0, held.epoch.0));
                continue;
            };
            prop_assert!((next.incarnation, next.epoch) >= (held.incarnation, held.epoch));
            for change in changes {
                match change {
                    Change::Run(assignment) => {
                        running.insert(assignment.fence().replica, assignment.fence());
                    }
                    Change::Stop(fence) => prop_assert_eq!(running.remove(&fence.replica), Some(fence)),
                }
            }
            let accepted: Vec<Fence> = next.assignments.values().map(Assignment::fence).collect();
            prop_assert_eq!(running.values().copied().collect::<Vec<_>>(), accepted);
            held = next;
        }
    }
}
