//! The boards of a fleet, each with its engine and, where a policy has one, its governor.

use std::time::Duration;

use helixflow_control::Judged;
use helixflow_model::{LoadReport, MegaHertz, MilliWatts};
use helixflow_physics::{Board, Parameters, Work};

use super::governor::Governed;
use super::{Cap, Setting, varied};
use crate::outcome::{Moment, Outcome};
use crate::room::{Room, in_front_of};
use crate::steady::Steady;
use crate::{Done, Engine, Request, Serving};

/// One board.
struct Unit {
    board: Board,
    engine: Engine,
    governed: Option<Governed>,
    /// The highest rise of its die over its own inlet in the measured time.
    rise: f64,
    speed: Speed,
}

/// Tokens a second of the time in which an engine works, smoothed about as the engine itself does.
#[derive(Default)]
struct Speed {
    tokens: u64,
    smoothed: u64,
}

impl Speed {
    /// Of a new sample: the engine takes two a tick, and lets each count a quarter.
    const SHARE: (u64, u64) = (7, 16);

    fn take(&mut self, tokens: u64, busy: f64) {
        let more = tokens - self.tokens;
        self.tokens = tokens;
        if busy > 0.0 {
            let sample = (more as f64 * 1000.0 / busy) as u64;
            let (part, whole) = Self::SHARE;
            let mixed = (self.smoothed * (whole - part) + sample * part) / whole;
            self.smoothed = if self.smoothed == 0 { sample } else { mixed };
        }
    }
}

/// All of them.
pub(super) struct Boards {
    units: Vec<Unit>,
    parameters: Parameters,
}

impl Boards {
    pub(super) fn new(
        parameters: Parameters,
        serving: &Serving,
        room: &Room<'_>,
        setting: Setting,
        now: f64,
        seed: u64,
    ) -> Self {
        let unit = |board: usize| {
            let (own, parameters) = varied(parameters, board, seed);
            let mut unit = Unit {
                board: Board::new(parameters, room.around(board, 0.0), own),
                engine: Engine::new(&serving.engine, now),
                governed: None,
                rise: 0.0,
                speed: Speed::default(),
            };
            let in_use = || Board::new(parameters, room.at_work(board), own);
            unit.put_under(setting, || Steady::of(&in_use(), serving.memory_bound));
            unit
        };
        Self { units: (0..room.boards()).map(unit).collect(), parameters }
    }

    pub(super) fn len(&self) -> usize {
        self.units.len()
    }

    /// What they are made of, apart from what differs from board to board.
    pub(super) const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Gives each board the air of its place.
    pub(super) fn breathe(&mut self, room: &Room<'_>) {
        for board in 0..self.units.len() {
            let front = in_front_of(board).and_then(|front| self.units.get(front));
            let share = front.map_or(0.0, |front| front.board.power() / self.parameters.power.most);
            if let Some(unit) = self.units.get_mut(board) {
                unit.board.set_surroundings(room.around(board, share));
            }
        }
    }

    /// Hands a request to a board. False when its queue is full.
    pub(super) fn submit(
        &mut self,
        serving: &Serving,
        board: usize,
        request: Request,
        done: &mut impl FnMut(Done),
    ) -> bool {
        let Some(unit) = self.units.get_mut(board) else { return false };
        unit.engine.advance(&serving.engine, request.arrived, unit.board.speed(), done);
        unit.engine.submit(&serving.engine, request)
    }

    /// Lets an engine go on.
    pub(super) fn advance(
        &mut self,
        serving: &Serving,
        board: usize,
        until: f64,
        done: &mut impl FnMut(Done),
    ) {
        if let Some(unit) = self.units.get_mut(board) {
            unit.engine.advance(&serving.engine, until, unit.board.speed(), done);
        }
    }

    /// Lets what the engine has done heat the board, and the governor look at it; told to the outcome where one is given.
    pub(super) fn heat(
        &mut self,
        board: usize,
        seconds: f64,
        now: Duration,
        outcome: Option<(&mut Outcome, Moment)>,
    ) {
        let Some(unit) = self.units.get_mut(board) else { return };
        let activity = unit.engine.take_activity();
        let memory_bound = if activity.busy > 0.0 { activity.waits / activity.busy } else { 0.0 };
        let passed = unit.board.step(seconds, Work { busy: activity.busy, memory_bound });
        if let Some((outcome, moment)) = outcome {
            let rise = unit.board.die() - unit.board.surroundings().inlet;
            unit.rise = unit.rise.max(rise);
            outcome.pass(&passed, moment);
        }
        unit.speed.take(unit.engine.tokens(), activity.busy * seconds);
        if let Some(governed) = &mut unit.governed {
            governed.look(&mut unit.board, now);
        }
    }

    /// Requests that are still there.
    pub(super) fn held(&self) -> u64 {
        self.units.iter().map(|unit| unit.engine.held() as u64).sum()
    }

    /// Requests of a board whose first token has yet to come.
    pub(super) fn unanswered(&self, board: usize) -> u32 {
        self.units.get(board).map_or(0, |unit| unit.engine.unanswered())
    }

    /// Tokens generated so far.
    pub(super) fn tokens(&self) -> u64 {
        self.units.iter().map(|unit| unit.engine.tokens()).sum()
    }

    /// What the node of a governed board reports of it: what came of its last reading, and the load of its engine.
    pub(super) fn report(
        &mut self,
        serving: &Serving,
        board: usize,
        now: Duration,
    ) -> Option<(&Judged, LoadReport)> {
        let unit = self.units.get_mut(board)?;
        let load = unit.engine.load(&serving.engine);
        let load = LoadReport { millitokens_per_second: unit.speed.smoothed, ..load };
        let governed = unit.governed.as_mut()?;
        let load = governed.load(load, now);
        Some((governed.judged()?, load))
    }

    /// Notes what is known of each board at the end only.
    pub(super) fn close(&self, outcome: &mut Outcome) {
        for unit in &self.units {
            outcome.rise = outcome.rise.max(unit.rise);
            outcome.rise_sum += unit.rise;
            outcome.rises += 1.0;
            outcome.turned_off += u64::from(unit.board.truth().turned_off);
        }
    }
}

impl Unit {
    /// `steady` tells how the board does at its clocks, where that is asked.
    fn put_under(&mut self, Setting { policy, cap }: Setting, steady: impl FnOnce() -> Steady) {
        let parameters = self.board.parameters();
        self.governed = policy.control().map(|control| Governed::new(parameters.limits(), control));
        let (clock, watts) = (parameters.clocks.most, parameters.power.most);
        match cap {
            None => {}
            Some(Cap::Clock(share)) => self.board.limit_clock(Some(MegaHertz((clock * share) as u32))),
            Some(Cap::Power(share)) => {
                self.board.limit_power(Some(MilliWatts((watts * share * 1000.0) as u32)));
            }
            Some(Cap::Rise(most)) => self.board.limit_clock(Some(steady().clock_within(most))),
        }
    }
}
