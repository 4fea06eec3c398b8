//! The tree shows every actor: what it does, what waits for it, how often it was started again.

use helixflow_actors::{ActorKind, ActorReport, ActorState};
use helixflow_env::Env;
use helixflow_model::ReplicaPhase;

use crate::board::{Answer, FakeBoard};
use crate::coordinator::{ADDRESS, Coordinator};
use crate::host::{FakeHost, Mood, start, start_with};

/// The actor of this kind and name.
fn actor<'t>(tree: &'t ActorReport, kind: ActorKind, name: &str) -> Option<&'t ActorReport> {
    tree.all().into_iter().find(|actor| actor.kind == kind && actor.name == name)
}

#[tokio::test(start_paused = true)]
async fn every_actor_is_listed_with_what_it_does() {
    let env = Env::simulated(1);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let node = start_with(&env, &host, &["gpu-0", "gpu-1"].map(FakeBoard::new)).await;
    coordinator.order(5, &[(1, 1), (2, 4)]);
    coordinator.phase(2, 4, ReplicaPhase::Ready).await;
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    coordinator.report(|report| report.boards.len() == 2).await;
    let tree = node.tree().latest();
    let found: Vec<_> = tree.all().iter().map(|actor| (actor.kind, actor.name.as_str())).collect();
    let expected = [
        (ActorKind::Supervisor, ""),
        (ActorKind::Board, "gpu-0"),
        (ActorKind::Board, "gpu-1"),
        (ActorKind::Telemetry, ""),
        (ActorKind::Link, ADDRESS),
        (ActorKind::Membership, ""),
        (ActorKind::Shard, "replica-1 g1"),
        (ActorKind::Shard, "replica-2 g4"),
    ];
    assert_eq!(found, expected);
    assert!(tree.all().iter().all(|actor| actor.state == ActorState::Running), "{tree:#?}");
    for (kind, name, said) in [
        (ActorKind::Supervisor, "", "obeys epoch 5"),
        (ActorKind::Board, "gpu-0", "cool, full"),
        (ActorKind::Link, ADDRESS, "reports"),
        (ActorKind::Membership, "", ADDRESS),
        (ActorKind::Shard, "replica-1 g1", "serves"),
    ] {
        let doing = actor(&tree, kind, name).map(|actor| actor.doing.as_str()).unwrap_or_default();
        assert!(doing.contains(said), "{kind:?} {name}: {doing}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_failed_shows_what_is_spent_of_its_budget_and_one_that_is_gone_is_not_shown() {
    let env = Env::simulated(2);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = FakeBoard::new("gpu-0");
    let node = start_with(&env, &host, [&board]).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    let spent = |kind, name| {
        let tree = node.tree().latest();
        actor(&tree, kind, name).and_then(|actor| actor.restarts).map(|restarts| restarts.spent)
    };
    assert_eq!((spent(ActorKind::Board, "gpu-0"), spent(ActorKind::Telemetry, "")), (Some(0), Some(0)));
    board.answer.send_replace(Answer::Panics);
    coordinator.report(|_| spent(ActorKind::Board, "gpu-0") == Some(2)).await;
    let tree = node.tree().latest();
    let failed = actor(&tree, ActorKind::Board, "gpu-0").expect("the board");
    assert!(failed.state == ActorState::Pausing && failed.doing.contains("on fire"), "{failed:?}");
    board.answer.send_replace(Answer::Degrees(40));
    // The window forgets.
    coordinator.report(|_| spent(ActorKind::Board, "gpu-0") == Some(0)).await;

    coordinator.order(6, &[]);
    coordinator.report(|report| report.replicas.is_empty()).await;
    assert_eq!(actor(&node.tree().latest(), ActorKind::Shard, "replica-1 g1"), None);
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_for_a_part_that_is_gone_shows_no_actor_in_its_place() {
    let env = Env::simulated(4);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::CannotLoad);
    let node = start(&env, &host).await;
    let shards = |state: ActorState| {
        let tree = node.tree().latest();
        let all =
            tree.all().into_iter().filter(|actor| (actor.kind, actor.state) == (ActorKind::Shard, state));
        all.map(|shard| shard.name.clone()).collect::<Vec<_>>()
    };
    coordinator.order(5, &[(1, 1), (2, 1), (3, 1)]);
    coordinator.report(|_| shards(ActorState::Pausing).len() == 3).await;
    host.mood.send_replace(Mood::Well);
    // The first goes and the second is replaced; then the pause that all three began together is over.
    coordinator.order(6, &[(2, 2), (3, 1)]);
    coordinator.phase(2, 2, ReplicaPhase::Ready).await;
    coordinator.phase(3, 1, ReplicaPhase::Ready).await;
    let all: Vec<_> =
        node.tree().latest().children.into_iter().filter(|a| a.kind == ActorKind::Shard).collect();
    let all: Vec<_> = all.iter().map(|shard| shard.name.as_str()).collect();
    assert_eq!(all, ["replica-2 g2", "replica-3 g1"]);
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_are_counted_until_they_are_handled_or_their_actor_is_gone() {
    let env = Env::simulated(3);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    let waiting = || {
        let tree = node.tree().latest();
        let shard = actor(&tree, ActorKind::Shard, "replica-1 g1").map(|shard| shard.mailbox);
        (shard, tree.all().iter().map(|actor| actor.mailbox).sum::<usize>())
    };
    assert_eq!(waiting(), (Some(0), 0));
    // While it drains, the next check of the shard comes due.
    host.mood.send_replace(Mood::Busy);
    coordinator.order(6, &[]);
    coordinator.report(|_| waiting() == (Some(1), 1)).await;
    host.mood.send_replace(Mood::Well);
    coordinator.report(|report| report.replicas.is_empty()).await;
    assert_eq!(waiting(), (None, 0));
}
