//! A board that does as the test tells it: it answers, errs, blocks or panics, and so does its clock.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use helixflow_actors::{Board, BoardError, ClockError};
use helixflow_control::HeldBy;
use helixflow_model::{
    BoardId, BoardInfo, BoardLimits, BoardReading, ClockReasons, DeviceKind, MegaHertz, MilliCelsius,
    MilliWatts, Permille, Sensed,
};
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a reading takes; so readings never fall on the beat of the reports.
pub(crate) const READING: Duration = Duration::from_millis(7);
/// How long it takes to set a clock.
const SETTING: Duration = Duration::from_millis(20);
/// The clock of a board that runs free.
pub(crate) const HIGHEST: MegaHertz = MegaHertz(1980);
/// A temperature at which a board has nothing to do.
pub(crate) const COOL: i32 = 40;
/// One that no board reaches without losing speed.
pub(crate) const TOO_HOT: i32 = 92;

/// What comes of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This temperature, in whole degrees.
    Degrees(i32),
    /// Nothing, for ever.
    Blocks,
    /// An error.
    Fails,
    Panics,
}

/// What comes of an order to the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obedience {
    Obeys,
    Fails,
    NotPermitted,
    /// Somebody else sets it otherwise at once.
    Overruled,
    /// Its power limit is lowered, and the clock stays where it was.
    ByPower,
    Blocks,
    /// Obeys after so long a time, in which no reading comes.
    HoldsUp(Duration),
}

pub(crate) struct FakeBoard {
    info: BoardInfo,
    pub(crate) answer: watch::Sender<Answer>,
    pub(crate) obedience: watch::Sender<Obedience>,
    /// The clock that it was last told to keep.
    pub(crate) clock: watch::Sender<Option<MegaHertz>>,
    /// Orders that came to it, obeyed or not.
    pub(crate) orders: watch::Sender<usize>,
    /// How often it was left to somebody else.
    pub(crate) left: watch::Sender<usize>,
    /// Whether it carries out an order for which readings wait.
    busy: watch::Sender<bool>,
    /// When each reading was asked for, and whether it blocked.
    pub(crate) asked: watch::Sender<Vec<(Instant, bool)>>,
}

impl FakeBoard {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        let degrees = |degrees| Some(MilliCelsius(degrees * 1000));
        let limits = BoardLimits {
            operating: degrees(87),
            slowdown: degrees(90),
            shutdown: degrees(95),
            clock_least: Some(MegaHertz(210)),
            clock_most: Some(HIGHEST),
            ..BoardLimits::default()
        };
        let board = BoardId::new(name).expect("a valid name");
        Arc::new(Self {
            info: BoardInfo { board, name: "fake".to_owned(), kind: DeviceKind::Simulated, limits },
            answer: watch::Sender::new(Answer::Degrees(COOL)),
            obedience: watch::Sender::new(Obedience::Obeys),
            clock: watch::Sender::new(None),
            orders: watch::Sender::new(0),
            left: watch::Sender::new(0),
            busy: watch::Sender::new(false),
            asked: watch::Sender::new(Vec::new()),
        })
    }

    pub(crate) fn id(&self) -> &BoardId {
        &self.info.board
    }

    /// Waits for the next reading to be asked for that blocks; when that was.
    pub(crate) async fn blocks(&self) -> Instant {
        self.answer.send_replace(Answer::Blocks);
        let mut asked = self.asked.subscribe();
        let blocked = asked.wait_for(|asked| asked.last().is_some_and(|(_, blocks)| *blocks)).await;
        let blocked = blocked.expect("a board that lives");
        blocked.last().expect("a reading").0
    }
}

impl Board for FakeBoard {
    fn info(&self) -> &BoardInfo {
        &self.info
    }

    fn read(&self) -> BoxFuture<'_, Result<BoardReading, BoardError>> {
        let answer = *self.answer.borrow();
        self.asked.send_modify(|asked| asked.push((Instant::now(), answer == Answer::Blocks)));
        let clock = self.clock.borrow().unwrap_or(HIGHEST);
        async move {
            let degrees = match answer {
                Answer::Degrees(degrees) => degrees,
                Answer::Blocks => std::future::pending().await,
                Answer::Fails => return Err("the GPU is lost".into()),
                Answer::Panics => panic!("the board is on fire"),
            };
            let _ = self.busy.subscribe().wait_for(|busy| !busy).await;
            tokio::time::sleep(READING).await;
            let is_hot = degrees > COOL;
            Ok(BoardReading {
                core: Sensed::Live(MilliCelsius(degrees * 1000)),
                power: Sensed::Live(MilliWatts(if is_hot { 650_000 } else { 70_000 })),
                core_clock: Sensed::Live(clock),
                utilization: Sensed::Live(Permille(if is_hot { 990 } else { 0 })),
                reasons: Sensed::Live(ClockReasons::default()),
                ..BoardReading::default()
            })
        }
        .boxed()
    }

    fn limit_clock(&self, clock: Option<MegaHertz>) -> BoxFuture<'_, Result<HeldBy, ClockError>> {
        let obedience = *self.obedience.borrow();
        self.orders.send_modify(|orders| *orders += 1);
        async move {
            match obedience {
                Obedience::Obeys => {
                    tokio::time::sleep(SETTING).await;
                    self.clock.send_replace(clock);
                    Ok(HeldBy::Clock)
                }
                Obedience::HoldsUp(time) => {
                    self.busy.send_replace(true);
                    tokio::time::sleep(time).await;
                    self.clock.send_replace(clock);
                    self.busy.send_replace(false);
                    Ok(HeldBy::Clock)
                }
                Obedience::Overruled => {
                    self.clock.send_replace(Some(HIGHEST));
                    Ok(HeldBy::Clock)
                }
                Obedience::ByPower => Ok(HeldBy::Power),
                Obedience::Fails => Err(ClockError::Failed("not today".into())),
                Obedience::NotPermitted => {
                    Err(ClockError::NotPermitted { why: "only root may set clocks".to_owned() })
                }
                Obedience::Blocks => std::future::pending().await,
            }
        }
        .boxed()
    }

    fn leave_clock(&self) {
        self.left.send_modify(|left| *left += 1);
    }
}
