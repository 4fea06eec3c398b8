//! Clocks: what the governor asks for is carried out, and let go in the end, whichever way that comes.

use std::sync::Arc;
use std::time::Duration;

use helixflow_env::Env;
use helixflow_model::{ClockControl, MegaHertz, NodeReport, ReplicaPhase};
use tokio::time::Instant;

use crate::board::{Answer, COOL, FakeBoard, HIGHEST, Obedience, TOO_HOT};
use crate::coordinator::Coordinator;
use crate::host::{FakeHost, Mood, in_time, start_with};

/// Waits until the board is held at a clock below its highest.
async fn is_held(board: &FakeBoard) {
    let mut clock = board.clock.subscribe();
    in_time(clock.wait_for(|clock| clock.is_some_and(|held| held < HIGHEST)))
        .await
        .expect("a board that lives");
}

/// Waits until it runs free.
async fn is_free(board: &FakeBoard) {
    let mut clock = board.clock.subscribe();
    in_time(clock.wait_for(Option::is_none)).await.expect("a board that lives");
}

async fn is_ordered(board: &FakeBoard, times: usize) {
    let mut orders = board.orders.subscribe();
    in_time(orders.wait_for(|orders| *orders >= times)).await.expect("a board that lives");
}

/// A board that is too hot.
fn hot(name: &str) -> Arc<FakeBoard> {
    let board = FakeBoard::new(name);
    board.answer.send_replace(Answer::Degrees(TOO_HOT));
    board
}

fn control(report: &NodeReport) -> Option<ClockControl> {
    report.boards.first().map(|board| board.standing.control)
}

#[tokio::test(start_paused = true)]
async fn a_hot_board_is_slowed_and_said_to_be_until_it_has_cooled() {
    let env = Env::simulated(1);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = hot("hot");
    let _node = start_with(&env, &host, [&board]).await;
    is_held(&board).await;
    let report = coordinator.report(|report| control(report) == Some(ClockControl::Governed)).await;
    assert!(report.boards[0].standing.target_clock.is_some(), "{report:?}");
    board.answer.send_replace(Answer::Degrees(30));
    is_free(&board).await;
    coordinator.report(|report| report.boards[0].standing.target_clock.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_board_whose_clock_is_not_ours_to_set_is_only_watched() {
    let env = Env::simulated(2);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = hot("hot");
    board.obedience.send_replace(Obedience::NotPermitted);
    let mut node = start_with(&env, &host, [&board]).await;
    let report = coordinator.report(|report| control(report) == Some(ClockControl::MonitorOnly)).await;
    let later = coordinator.report(|later| later.sequence > report.sequence + 20).await;
    assert_eq!(control(&later), Some(ClockControl::MonitorOnly));
    node.shut_down();
    in_time(node.ended()).await;
    assert_eq!(*board.orders.borrow(), 1, "it was not asked again, and there was nothing to let go");
}

#[tokio::test(start_paused = true)]
async fn a_cool_board_whose_clock_is_not_ours_to_set_says_so_before_it_is_hot() {
    let env = Env::simulated(12);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = FakeBoard::new("cool");
    board.obedience.send_replace(Obedience::NotPermitted);
    let _node = start_with(&env, &host, [&board]).await;
    coordinator.report(|report| control(report) == Some(ClockControl::MonitorOnly)).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_an_earlier_life_left_held_is_let_go_as_soon_as_the_driver_can() {
    let env = Env::simulated(13);
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = FakeBoard::new("cool");
    board.clock.send_replace(Some(MegaHertz(1200)));
    board.obedience.send_replace(Obedience::Fails);
    let _node = start_with(&env, &host, [&board]).await;
    is_ordered(&board, 2).await;
    assert_eq!(*board.clock.borrow(), Some(MegaHertz(1200)));
    board.obedience.send_replace(Obedience::Obeys);
    is_free(&board).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_somebody_else_has_set_is_theirs_also_when_the_node_ends() {
    let env = Env::simulated(10);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = hot("hot");
    let mut node = start_with(&env, &host, [&board]).await;
    is_held(&board).await;
    coordinator.report(|report| control(report) == Some(ClockControl::Governed)).await;
    board.obedience.send_replace(Obedience::Overruled);
    coordinator.report(|report| control(report) == Some(ClockControl::Foreign)).await;
    board.obedience.send_replace(Obedience::Obeys);
    node.shut_down();
    in_time(node.ended()).await;
    assert_eq!((*board.clock.borrow(), *board.left.borrow()), (Some(HIGHEST), 1));
}

#[tokio::test(start_paused = true)]
async fn a_board_that_is_held_by_its_power_limit_stays_ours_whatever_its_clock_is() {
    let env = Env::simulated(11);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = hot("hot");
    board.obedience.send_replace(Obedience::ByPower);
    let _node = start_with(&env, &host, [&board]).await;
    is_ordered(&board, 1).await;
    // Another hand would be noticed within seconds.
    let since = Instant::now();
    let report = coordinator.report(|_| since.elapsed() > Duration::from_secs(60)).await;
    assert_eq!(control(&report), Some(ClockControl::Governed));
    assert!(report.boards[0].standing.target_clock.is_some(), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_fails_is_given_again() {
    let env = Env::simulated(3);
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = hot("hot");
    board.obedience.send_replace(Obedience::Fails);
    let _node = start_with(&env, &host, [&board]).await;
    is_ordered(&board, 3).await;
    board.obedience.send_replace(Obedience::Obeys);
    is_held(&board).await;
}

#[tokio::test(start_paused = true)]
async fn a_board_whose_readings_wait_for_our_own_order_is_not_fenced_for_it() {
    let env = Env::simulated(14);
    let (host, _log) = FakeHost::new(Mood::Well);
    let (board, other) = (FakeBoard::new("hot"), FakeBoard::new("other"));
    let node = start_with(&env, &host, [&board, &other]).await;
    is_ordered(&board, 1).await;
    board.obedience.send_replace(Obedience::HoldsUp(Duration::from_millis(1900)));
    board.answer.send_replace(Answer::Degrees(TOO_HOT));
    is_held(&board).await;
    let readings = board.asked.borrow().len();
    let mut asked = board.asked.subscribe();
    in_time(asked.wait_for(|asked| asked.len() > readings + 2)).await.expect("a board that lives");
    assert_eq!(node.boards().barred(&[]), None);
    // Orders that fail one after the other excuse nothing.
    board.obedience.send_replace(Obedience::HoldsUp(Duration::from_secs(3600)));
    board.answer.send_replace(Answer::Degrees(COOL));
    let (since, mut asked) = (Instant::now(), board.asked.subscribe());
    in_time(async {
        while node.boards().barred(&[]).is_none() {
            asked.changed().await.expect("a board that lives");
        }
    })
    .await;
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_order_that_fails_for_long_is_not_taken_for_anothers_hand() {
    let env = Env::simulated(15);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = hot("hot");
    board.obedience.send_replace(Obedience::Fails);
    let _node = start_with(&env, &host, [&board]).await;
    let since = Instant::now();
    let report = coordinator.report(|_| since.elapsed() > Duration::from_secs(60)).await;
    assert_eq!(control(&report), Some(ClockControl::Governed));
    let orders = *board.orders.borrow();
    assert!((5..40).contains(&orders), "{orders} orders in a minute");
    board.obedience.send_replace(Obedience::Obeys);
    is_held(&board).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_blocks_holds_up_no_reading() {
    let env = Env::simulated(4);
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = hot("hot");
    board.obedience.send_replace(Obedience::Blocks);
    let _node = start_with(&env, &host, [&board]).await;
    is_ordered(&board, 1).await;
    let before = board.asked.borrow().len();
    is_ordered(&board, 2).await;
    let readings = board.asked.borrow().len() - before;
    assert!(readings >= 10, "{readings} readings while an order was under way");
    board.obedience.send_replace(Obedience::Obeys);
    is_held(&board).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_shut_down_lets_its_clocks_go_after_its_shards_have_finished() {
    let env = Env::simulated(5);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let boards = [hot("gpu-0"), hot("gpu-1")];
    let mut node = start_with(&env, &host, &boards).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    for board in &boards {
        is_held(board).await;
    }
    host.mood.send_replace(Mood::Busy);
    node.shut_down();
    coordinator.phase(1, 1, ReplicaPhase::Draining).await;
    assert!(boards.iter().all(|board| board.clock.borrow().is_some()), "the shard still heats its board");
    host.mood.send_replace(Mood::Well);
    in_time(node.ended()).await;
    assert!(boards.iter().all(|board| board.clock.borrow().is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_could_not_be_let_go_in_time_is_tried_once_more_before_the_node_has_ended() {
    let env = Env::simulated(6);
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = hot("hot");
    let mut node = start_with(&env, &host, [&board]).await;
    is_held(&board).await;
    board.obedience.send_replace(Obedience::Blocks);
    let orders = *board.orders.borrow();
    node.shut_down();
    is_ordered(&board, orders + 1).await;
    board.obedience.send_replace(Obedience::Obeys);
    in_time(node.ended()).await;
    assert_eq!(*board.clock.borrow(), None);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_lets_no_clock_go_does_not_hold_the_node() {
    let env = Env::simulated(7);
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = hot("hot");
    let mut node = start_with(&env, &host, [&board]).await;
    is_held(&board).await;
    board.obedience.send_replace(Obedience::Blocks);
    board.answer.send_replace(Answer::Blocks);
    node.shut_down();
    in_time(node.ended()).await;
    assert!(board.clock.borrow().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_board_actor_that_panics_lets_the_clock_go_and_its_successor_holds_it_again() {
    let env = Env::simulated(8);
    let (host, _log) = FakeHost::new(Mood::Well);
    let board = hot("hot");
    let _node = start_with(&env, &host, [&board]).await;
    is_held(&board).await;
    board.answer.send_replace(Answer::Panics);
    is_free(&board).await;
    board.answer.send_replace(Answer::Degrees(TOO_HOT));
    is_held(&board).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_gives_up_drains_its_shards_and_lets_its_clocks_go() {
    let env = Env::simulated(9);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::Well);
    let (broken, held) = (FakeBoard::new("broken"), hot("held"));
    let mut node = start_with(&env, &host, [&broken, &held]).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    is_held(&held).await;
    broken.answer.send_replace(Answer::Panics);
    in_time(node.ended()).await;
    assert_eq!(*held.clock.borrow(), None);
    let log = crate::host::read(&mut log);
    assert!(log.iter().any(|line| line == "drained replica-1 g1"), "{log:?}");
}
