//! Each invariant broken once, to see that `check` notices.

use helixflow_model::{
    BoardTraits, Bytes, ClusterId, DeviceFeature, DeviceKind, Epoch, Generation, Incarnation, KeyId,
    LayerRange, ModelId, ModelSpec, NodeId, Region, ReplicaId, Requirements, TenantId,
};

use super::{Violation, Wrong, check};
use crate::state::{
    Capacity, ClusterState, Command, Key, KeyDigest, MAX_FEATURES, Move, MoveReason, Node, NodeUuid, Outcome,
    Part, RegionRecord, SharedMap, Tenant,
};

fn spec() -> ModelSpec {
    ModelSpec {
        id: ModelId::new("m").unwrap(),
        version: "1".to_owned(),
        architecture: helixflow_model::Architecture::Llama,
        layers: 4,
        context: 16,
        memory: Bytes(8),
        sha256: "0".repeat(64),
        size: Bytes(8),
        sources: Vec::new(),
        replicas: 1,
        requires: Requirements::default(),
    }
}

fn part(node: u64, first: u32, end: u32) -> Part {
    Part { node: NodeId(node), layers: LayerRange { first, end } }
}

/// Two nodes, and one replica split over both.
fn sound() -> ClusterState {
    let mut state = ClusterState::default();
    let mut apply = |command| {
        let index = state.epoch().0 + 1;
        assert!(!matches!(state.apply(index, command), Outcome::Refused { .. }));
        Epoch(index)
    };
    let cluster = ClusterId::new("c").unwrap();
    apply(Command::Bootstrap { cluster, incarnation: Incarnation(1) });
    for uuid in [1, 2] {
        let region = Region::new("a").unwrap();
        let capacity = Capacity { boards: 1, memory: Bytes(10) };
        apply(Command::JoinNode { uuid: NodeUuid(uuid), region, advertise: "h:1".to_owned(), capacity });
    }
    let based_on = apply(Command::AddModel { spec: spec() });
    let moves = vec![Move::PlaceReplica {
        model: spec().id,
        version: "1".to_owned(),
        parts: vec![part(1, 0, 2), part(2, 2, 4)],
        reason: MoveReason::BelowTarget { target: 1 },
    }];
    apply(Command::ApplyPlan { based_on, moves });
    state
}

fn found(break_it: impl FnOnce(&mut ClusterState)) -> Vec<Violation> {
    let mut state = sound();
    assert_eq!(check(&state), []);
    break_it(&mut state);
    check(&state)
}

fn found_in_parts(parts: Vec<Part>) -> Vec<Wrong> {
    let found = found(|state| state.replicas.get_mut(&ReplicaId(1)).unwrap().parts = parts);
    found
        .into_iter()
        .filter_map(|violation| match violation {
            Violation::Replica(_, wrong) => Some(wrong),
            _ => None,
        })
        .collect()
}

#[test]
fn a_layer_that_nobody_or_two_hold_is_found() {
    assert_eq!(found_in_parts(vec![part(1, 0, 2), part(2, 3, 4)]), [Wrong::LayerHeld { layer: 2, times: 0 }]);
    assert_eq!(found_in_parts(vec![part(1, 0, 3), part(2, 2, 4)]), [Wrong::LayerHeld { layer: 2, times: 2 }]);
    assert_eq!(found_in_parts(vec![]), [Wrong::LayerHeld { layer: 0, times: 0 }]);
}

#[test]
fn parts_that_are_stray_or_out_of_order_or_on_one_node_are_found() {
    assert_eq!(found_in_parts(vec![part(1, 0, 5)]), [Wrong::StrayPart { node: NodeId(1) }]);
    assert_eq!(found_in_parts(vec![part(1, 0, 4), part(2, 4, 4)]), [Wrong::StrayPart { node: NodeId(2) }]);
    assert_eq!(found_in_parts(vec![part(2, 2, 4), part(1, 0, 2)]), [Wrong::PartsOutOfOrder]);
    assert_eq!(found_in_parts(vec![part(1, 0, 2), part(1, 2, 4)]), [Wrong::NodeTwice { node: NodeId(1) }]);
    assert_eq!(found_in_parts(vec![part(7, 0, 4)]), [Wrong::UnknownNode { node: NodeId(7) }]);
}

#[test]
fn memory_given_twice_is_found() {
    let found = found(|state| state.nodes.get_mut(&NodeId(1)).unwrap().capacity.memory = Bytes(3));
    let wrong = Wrong::OverCommitted { committed: Bytes(4), capacity: Bytes(3) };
    assert_eq!(found, [Violation::Node(NodeId(1), wrong)]);
}

#[test]
fn an_id_above_the_last_one_allotted_is_found() {
    assert_eq!(
        found(|state| state.last_node = 1),
        [Violation::Node(NodeId(2), Wrong::NeverAllotted { last: 1 })]
    );
    assert_eq!(
        found(|state| state.last_replica = 0),
        [Violation::Replica(ReplicaId(1), Wrong::NeverAllotted { last: 0 })]
    );
}

#[test]
fn an_epoch_from_the_future_is_found() {
    let at = Epoch(99);
    let wrong = Wrong::FromTheFuture { epoch: at };
    assert_eq!(found(|state| state.changed = at), [Violation::Whole(wrong.clone())]);
    assert_eq!(
        found(|state| state.nodes.get_mut(&NodeId(1)).unwrap().health_since = at),
        [Violation::Node(NodeId(1), wrong.clone())]
    );
    assert_eq!(
        found(|state| state.replicas.get_mut(&ReplicaId(1)).unwrap().placed = at),
        [Violation::Replica(ReplicaId(1), wrong)]
    );
}

#[test]
fn what_is_known_of_boards_too_early_too_much_or_against_a_model_is_found() {
    let node = |state: &mut ClusterState, change: fn(&mut Node)| {
        change(state.nodes.get_mut(&NodeId(1)).unwrap());
    };
    assert_eq!(
        found(|state| node(state, |node| node.heat.since = Epoch(99))),
        [Violation::Node(NodeId(1), Wrong::FromTheFuture { epoch: Epoch(99) })]
    );
    let feature = |n: usize| DeviceFeature::new(format!("f{n}")).unwrap();
    let many = found(|state| {
        let features = (0..=MAX_FEATURES).map(feature).collect();
        let board = BoardTraits { kind: DeviceKind::Amd, features };
        state.nodes.get_mut(&NodeId(1)).unwrap().boards = [board].into();
    });
    let limit = MAX_FEATURES;
    assert_eq!(many, [Violation::Node(NodeId(1), Wrong::AboveBound { held: limit + 1, limit })]);
    let unsuited = found(|state| {
        let asks = Requirements { vendors: [DeviceKind::Amd].into(), ..Requirements::default() };
        state.models.values_mut().for_each(|spec| spec.requires = asks.clone());
    });
    assert_eq!(unsuited, [Violation::Replica(ReplicaId(1), Wrong::BoardsDoNotSuit { node: NodeId(1) })]);
}

#[test]
fn a_missing_generation_model_or_identity_is_found() {
    assert_eq!(
        found(|state| state.replicas.get_mut(&ReplicaId(1)).unwrap().generation = Generation(0)),
        [Violation::Replica(ReplicaId(1), Wrong::NoGeneration)]
    );
    let unknown = found(|state| state.models.clear());
    assert!(matches!(unknown[..], [Violation::Replica(_, Wrong::UnknownModel { .. })]), "{unknown:?}");
    assert_eq!(found(|state| state.identity = None), [Violation::Whole(Wrong::NotBootstrapped)]);
}

#[test]
fn one_uuid_of_two_nodes_is_found() {
    let found = found(|state| state.nodes.get_mut(&NodeId(2)).unwrap().uuid = NodeUuid(1));
    assert_eq!(found, [Violation::Node(NodeId(2), Wrong::UuidTwice { other: NodeId(1) })]);
}

#[test]
fn a_model_under_the_key_of_another_is_found() {
    let found = found(|state| {
        for spec in state.models.values_mut() {
            spec.version = "2".to_owned();
        }
    });
    assert!(matches!(found[..], [Violation::Model(_)]), "{found:?}");
}

#[test]
fn a_key_of_nobody_or_with_the_secret_of_another_is_found() {
    let id = |name| KeyId::new(name).unwrap();
    let owner = TenantId::new("t").unwrap();
    let key = || Key { tenant: owner.clone(), digest: KeyDigest([1; 32]), expires: None };
    let put = |state: &mut ClusterState| {
        let tenant = Tenant { display_name: String::new(), revision: state.changed };
        state.tenants.insert(owner.clone(), tenant);
        state.keys.insert(id("a"), key());
    };
    assert_eq!(found(put), []);
    let nobodys = found(|state| {
        put(state);
        state.tenants = SharedMap::default();
    });
    assert_eq!(nobodys, [Violation::Key(id("a"), Wrong::UnknownTenant { tenant: owner.clone() })]);
    let twice = found(|state| {
        put(state);
        state.keys.insert(id("b"), key());
    });
    assert_eq!(twice, [Violation::Key(id("b"), Wrong::SecretTwice { other: id("a") })]);
}

#[test]
fn a_tenant_or_region_that_no_entry_made_is_found() {
    let owner = TenantId::new("t").unwrap();
    for (revision, bytes) in [(99, 0), (0, 0), (1, 257)] {
        let tenant = Tenant { display_name: "x".repeat(bytes), revision: Epoch(revision) };
        let found = found(|state| state.tenants.insert(owner.clone(), tenant));
        assert!(matches!(found[..], [Violation::Tenant(..)]), "{found:?}");
    }
    let region = Region::new("a").unwrap();
    let record = RegionRecord { since: Epoch(99), ..RegionRecord::default() };
    let wrong = Wrong::FromTheFuture { epoch: Epoch(99) };
    assert_eq!(
        found(|state| state.regions.extend([(region.clone(), record)])),
        [Violation::Region(region, wrong)]
    );
}
