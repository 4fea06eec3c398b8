//! Boards whose drivers block: noticed soon, by the right board, and by nobody else's cost.

use std::time::Duration;

use helixflow_control::{PAUSE_AT_WORK, READING_DEADLINE};
use helixflow_env::Env;
use helixflow_model::{Band, BoardReport, NodeReport, Permille, ReplicaPhase};
use tokio::time::Instant;

use crate::board::{Answer, COOL, FakeBoard, READING, TOO_HOT};
use crate::coordinator::Coordinator;
use crate::host::{FakeHost, Mood, in_time, start_with};

/// Two intervals of the slowest pace, at which cool and idle boards are read.
const TWO_INTERVALS: Duration = Duration::from_secs(2);
/// Late readings have fenced a board after this time, however they fall.
const FENCED_BY: Duration = Duration::from_secs(5);

fn board<'r>(report: &'r NodeReport, board: &FakeBoard) -> &'r BoardReport {
    report.boards.iter().find(|report| report.info.board == *board.id()).expect("a board that is reported")
}

#[tokio::test(start_paused = true)]
async fn a_board_that_blocks_is_noticed_within_two_readings_and_stalls_nobody() {
    let env = Env::simulated(1);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let (blocked, well) = (FakeBoard::new("blocked"), FakeBoard::new("well"));
    let node = start_with(&env, &host, [&blocked, &well]).await;
    coordinator.report(|report| report.boards.len() == 2).await;

    let called = in_time(blocked.blocks()).await;
    let report = coordinator.report(|report| board(report, &blocked).standing.weight < Permille(1000)).await;
    assert!(called.elapsed() <= TWO_INTERVALS, "{:?}", called.elapsed());
    assert_eq!(board(&report, &well).standing.weight, Permille(1000));

    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    let since = Instant::now();
    coordinator.report(|report| board(report, &blocked).age > Duration::from_secs(60)).await;
    let readings = well.asked.borrow().iter().filter(|(at, _)| *at > since).count();
    assert!(readings >= 50, "the other board was read {readings} times in a minute");
    let report = node.reports().latest().expect("a report");
    assert!(board(&report, &well).age < Duration::from_secs(2) && report.age < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_board_at_rest_is_read_as_soon_as_work_comes_and_as_often_as_one_that_works() {
    let env = Env::simulated(9);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = FakeBoard::new("gpu-0");
    let _node = start_with(&env, &host, [&board]).await;
    coordinator.report(|report| report.boards.len() == 1).await;
    let at_rest = |asked: &Vec<(Instant, bool)>| match asked[..] {
        [.., (one, _), (other, _)] => other - one > 5 * PAUSE_AT_WORK,
        _ => false,
    };
    let mut asked = board.asked.subscribe();
    let before = in_time(asked.wait_for(at_rest)).await.expect("a board that lives").len();

    // The shard comes between two readings.
    tokio::time::sleep(2 * READING).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    assert_eq!(board.asked.borrow().len(), before);
    let begun = Instant::now();
    host.asked.send_replace(());
    in_time(asked.changed()).await.expect("a board that lives");
    assert_eq!(board.asked.borrow().len(), before + 1);
    assert!(begun.elapsed() <= PAUSE_AT_WORK, "{:?}", begun.elapsed());

    while begun.elapsed() < 20 * PAUSE_AT_WORK {
        host.asked.send_replace(());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let readings = board.asked.borrow().len() - before;
    assert!((15..=21).contains(&readings), "{readings} readings in two seconds of work");
}

#[tokio::test(start_paused = true)]
async fn late_readings_fence_their_board_and_no_other() {
    let env = Env::simulated(2);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let (blocked, well) = (FakeBoard::new("blocked"), FakeBoard::new("well"));
    let node = start_with(&env, &host, [&blocked, &well]).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    let boards = node.boards();
    assert_eq!(boards.barred(&[]), None);

    let called = in_time(blocked.blocks()).await;
    coordinator.report(|_| boards.barred(&[blocked.id().clone()]).is_some()).await;
    assert!(called.elapsed() <= FENCED_BY, "{:?}", called.elapsed());
    assert_eq!(boards.barred(&[well.id().clone()]), None);
    assert_eq!(boards.barred(&[]).map(|barred| barred.board), Some(blocked.id().clone()));
}

#[tokio::test(start_paused = true)]
async fn boards_that_all_block_are_noticed_within_two_readings_and_serve_on_while_their_shards_compute() {
    let env = Env::simulated(3);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let all = ["gpu-0", "gpu-1", "gpu-2"].map(FakeBoard::new);
    let node = start_with(&env, &host, &all).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;

    let called = in_time(futures::future::join_all(all.iter().map(|board| board.blocks()))).await;
    let first = called.into_iter().min().expect("boards");
    let is_late = |report: &BoardReport| report.standing.weight < Permille(1000);
    coordinator.report(|report| report.boards.iter().all(is_late)).await;
    assert!(first.elapsed() <= TWO_INTERVALS, "{:?}", first.elapsed());

    // The node answers and takes orders, and what computes serves for as long as it does.
    coordinator.order(6, &[(1, 1), (2, 1)]);
    coordinator.phase(2, 1, ReplicaPhase::Ready).await;
    coordinator.report(|report| report.boards[0].age > Duration::from_secs(60)).await;
    assert_eq!(node.boards().barred(&[]), None);
    assert!(node.reports().latest().is_some_and(|report| report.age < Duration::from_secs(2)));

    host.mood.send_replace(Mood::Hangs);
    coordinator
        .report(|_| all.iter().all(|board| node.boards().barred(&[board.id().clone()]).is_some()))
        .await;
}

#[tokio::test(start_paused = true)]
async fn boards_that_all_fail_serve_on_while_their_shards_compute_and_one_that_fails_alone_is_fenced() {
    let env = Env::simulated(7);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let all = ["gpu-0", "gpu-1"].map(FakeBoard::new);
    let node = start_with(&env, &host, &all).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    coordinator.report(|report| report.boards.len() == 2).await;
    for board in &all {
        board.answer.send_replace(Answer::Fails);
    }
    let report = coordinator.report(|report| report.boards[0].age > Duration::from_secs(60)).await;
    let bands = report.boards.iter().map(|board| board.standing.band).collect::<Vec<_>>();
    assert_eq!((node.boards().barred(&[]), bands), (None, vec![Band::Cool; 2]));

    all[0].answer.send_replace(Answer::Degrees(COOL));
    coordinator.report(|_| node.boards().barred(&[]).is_some()).await;
    assert_eq!(node.boards().barred(&[]).map(|barred| barred.board), Some(all[1].id().clone()));
}

#[tokio::test(start_paused = true)]
async fn a_spare_board_is_not_fenced_while_its_driver_reads_none() {
    let env = Env::simulated(8);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let spare = FakeBoard::new("spare");
    let node = start_with(&env, &host, [&spare]).await;
    coordinator.report(|report| !report.boards.is_empty()).await;
    in_time(spare.blocks()).await;
    coordinator.report(|report| board(report, &spare).age > Duration::from_secs(60)).await;
    assert_eq!(node.boards().barred(&[]), None);
    // A shard that comes now gets the time to compute something, and then has to.
    host.mood.send_replace(Mood::Hangs);
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    let since = Instant::now();
    coordinator.report(|_| since.elapsed() > Duration::from_secs(10)).await;
    assert_eq!(node.boards().barred(&[]), None);
    coordinator.report(|_| node.boards().barred(&[]).is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn a_blocked_reading_is_given_up_at_its_deadline_and_the_board_is_read_again() {
    let env = Env::simulated(4);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let blocked = FakeBoard::new("blocked");
    let _node = start_with(&env, &host, [&blocked]).await;
    coordinator.report(|report| !report.boards.is_empty()).await;
    let called = in_time(blocked.blocks()).await;
    let late = coordinator.report(|report| board(report, &blocked).standing.weight < Permille(1000)).await;
    // The age counts from the last answer, and goes on counting until the report is sent.
    assert!(board(&late, &blocked).age >= READING_DEADLINE, "{late:?}");
    let again = in_time(async {
        let mut asked = blocked.asked.subscribe();
        asked.wait_for(|asked| asked.last().is_some_and(|(at, _)| *at > called)).await.map(|_| Instant::now())
    });
    let again = again.await.expect("a board that lives");
    assert!(again - called > READING_DEADLINE, "{:?}", again - called);
    blocked.answer.send_replace(Answer::Degrees(50));
    coordinator.report(|report| board(report, &blocked).age < READING_DEADLINE).await;
    coordinator.report(|report| board(report, &blocked).standing.weight == Permille(1000)).await;
}

#[tokio::test(start_paused = true)]
async fn a_board_that_begins_to_be_late_has_the_others_read_at_once() {
    let env = Env::simulated(6);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let (blocked, well) = (FakeBoard::new("blocked"), FakeBoard::new("well"));
    let _node = start_with(&env, &host, [&blocked, &well]).await;
    coordinator.report(|report| report.boards.len() == 2).await;
    let called = in_time(blocked.blocks()).await;
    let mut asked = well.asked.subscribe();
    let next = in_time(asked.wait_for(|asked| asked.last().is_some_and(|(at, _)| *at > called))).await;
    let next = next.expect("a board that lives").last().expect("a reading").0;
    assert_eq!(next - called, READING_DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_band_is_reported_at_once() {
    let env = Env::simulated(5);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let heated = FakeBoard::new("heated");
    let _node = start_with(&env, &host, [&heated]).await;
    coordinator.report(|report| !report.boards.is_empty()).await;
    heated.answer.send_replace(Answer::Degrees(TOO_HOT));
    let report = coordinator.report(|report| board(report, &heated).standing.band >= Band::Hot).await;
    let asked = heated.asked.borrow().last().expect("a reading").0;
    assert_eq!(asked.elapsed(), READING, "the report left as the reading came: {report:?}");
}
