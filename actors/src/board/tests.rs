//! What no door of the node shows: an actor that is killed, and orders that are under way as it is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use helixflow_control::{ClockOrder, HeldBy};
use helixflow_model::{
    BoardId, BoardInfo, BoardLimits, BoardReading, DeviceKind, LoadReport, MegaHertz, MilliCelsius,
    NumericsClass, Permille, Sensed,
};
use ractor::Actor;
use tokio::sync::{mpsc, watch};

use super::actor::{BoardActor, BoardPlan};
use super::clock::{Clock, Hold};
use super::{Board, BoardError, ClockError};
use crate::host::{Fault, Replica};
use crate::roster::Roster;
use crate::tree::{ActorKind, ActorTree};

/// Setting its clock takes this long.
const SETTING: Duration = Duration::from_millis(20);

/// A board that is too hot, and obeys.
struct Hot {
    info: BoardInfo,
    /// What its clock was set to, one after the other.
    set: watch::Sender<Vec<Option<MegaHertz>>>,
    /// How often it was left to somebody else.
    left: watch::Sender<usize>,
}

impl Hot {
    fn new() -> Arc<Self> {
        let degrees = |degrees: i32| Some(MilliCelsius(degrees * 1000));
        let limits = BoardLimits {
            operating: degrees(87),
            slowdown: degrees(90),
            clock_least: Some(MegaHertz(210)),
            clock_most: Some(MegaHertz(1980)),
            ..BoardLimits::default()
        };
        let board = BoardId::new("hot").expect("a valid name");
        let info = BoardInfo { board, name: "hot".to_owned(), kind: DeviceKind::Simulated, limits };
        Arc::new(Self { info, set: watch::Sender::default(), left: watch::Sender::default() })
    }

    fn clock(&self) -> Option<MegaHertz> {
        self.set.borrow().last().copied().flatten()
    }
}

impl Board for Hot {
    fn info(&self) -> &BoardInfo {
        &self.info
    }

    fn read(&self) -> BoxFuture<'_, Result<BoardReading, BoardError>> {
        let clock = self.clock().unwrap_or(MegaHertz(1980));
        let reading = BoardReading {
            core: Sensed::Live(MilliCelsius(92_000)),
            core_clock: Sensed::Live(clock),
            utilization: Sensed::Live(Permille(990)),
            ..BoardReading::default()
        };
        std::future::ready(Ok(reading)).boxed()
    }

    fn limit_clock(&self, clock: Option<MegaHertz>) -> BoxFuture<'_, Result<HeldBy, ClockError>> {
        async move {
            tokio::time::sleep(SETTING).await;
            self.set.send_modify(|set| set.push(clock));
            Ok(HeldBy::Clock)
        }
        .boxed()
    }

    fn leave_clock(&self) {
        self.left.send_modify(|left| *left += 1);
    }
}

/// No replica ever runs here.
enum Nobody {}

impl Replica for Nobody {
    fn numerics(&self) -> NumericsClass {
        match *self {}
    }

    fn load(&self) -> LoadReport {
        match *self {}
    }

    fn asked(&self) -> watch::Receiver<()> {
        match *self {}
    }

    fn progress(&self) -> u64 {
        match *self {}
    }

    async fn check(&self) -> Result<(), Fault> {
        match *self {}
    }

    async fn drained(&self) {
        match *self {}
    }
}

/// Waits for the releases that run, as the node's end does.
async fn all_released(releases: mpsc::Sender<Infallible>, mut released: mpsc::Receiver<Infallible>) {
    drop(releases);
    tokio::time::timeout(Duration::from_secs(60), released.recv()).await.expect("an end");
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_is_killed_lets_its_clock_go() {
    let board = Hot::new();
    let (releases, released) = mpsc::channel(1);
    let plan = BoardPlan {
        clock: Arc::new(Clock::new(board.clone())),
        releases: releases.clone(),
        readings: watch::Sender::default(),
        roster: watch::Sender::new(Roster::<Nobody>::new()).subscribe(),
        alarm: watch::Sender::new(()),
        telemetry: watch::Sender::default().subscribe(),
        station: ActorTree::new().of(ActorKind::Board, "hot"),
    };
    let (actor, ended) = BoardActor::spawn(None, BoardActor::new(), plan).await.expect("an actor");
    board.set.subscribe().wait_for(|set| !set.is_empty()).await.expect("a board that lives");
    actor.kill();
    ended.await.expect("an end");
    assert!(board.clock().is_some(), "nothing ran yet");
    all_released(releases, released).await;
    assert_eq!(board.clock(), None);
}

#[tokio::test(start_paused = true)]
async fn an_order_under_way_never_comes_after_the_release() {
    let limit = Some(MegaHertz(1000));
    // Given up before it has begun, in its midst, and when it is over.
    for (wait, set) in
        [(None, vec![None]), (Some(SETTING / 2), vec![None]), (Some(SETTING * 2), vec![limit, None])]
    {
        let board = Hot::new();
        let (releases, released) = mpsc::channel(1);
        let mut hold = Hold::new(Arc::new(Clock::new(board.clone())), releases.clone());
        hold.step(Some(ClockOrder::Limit(MegaHertz(1000))), drop);
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
        drop(hold);
        all_released(releases, released).await;
        tokio::time::sleep(SETTING * 4).await;
        assert_eq!(*board.set.borrow(), set, "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_left_is_forgotten_once_and_an_order_under_way_is_let_go_all_the_same() {
    let limit = Some(MegaHertz(1000));
    for (wait, left, set) in [(SETTING * 2, 1, vec![limit]), (SETTING / 2, 0, vec![limit, None])] {
        let board = Hot::new();
        let (releases, released) = mpsc::channel(1);
        let mut hold = Hold::new(Arc::new(Clock::new(board.clone())), releases.clone());
        let (done, mut outcomes) = mpsc::channel(1);
        hold.step(Some(ClockOrder::Limit(MegaHertz(1000))), move |outcome| drop(done.try_send(outcome)));
        tokio::time::sleep(wait).await;
        if let Ok(outcome) = outcomes.try_recv() {
            hold.finished(&outcome);
        }
        hold.leave();
        if let Some(outcome) = outcomes.recv().await {
            hold.finished(&outcome);
        }
        hold.leave();
        drop(hold);
        all_released(releases, released).await;
        assert_eq!((*board.left.borrow(), board.set.borrow().clone()), (left, set), "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_set_is_not_let_go() {
    let board = Hot::new();
    let (releases, released) = mpsc::channel(1);
    drop(Hold::new(Arc::new(Clock::new(board.clone())), releases.clone()));
    all_released(releases, released).await;
    assert!(board.set.borrow().is_empty());
}
