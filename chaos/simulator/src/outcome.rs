//! What a run came to.

use helixflow_physics::Passed;

use crate::{Done, Histogram, Objective};

/// Seconds of boards by what held their clocks down. A second may have several reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    /// All seconds of all boards.
    pub boards: f64,
    /// Gently, by the firmware, for heat (0x20).
    pub software: f64,
    /// Hard, by the hardware, for heat (0x40).
    pub hardware: f64,
    /// Either of them: throttling.
    pub thermal: f64,
    /// The power limit (0x4).
    pub power_cap: f64,
    /// The power brake (0x80).
    pub power_brake: f64,
    /// A clock that was asked for (0x2): the governor's, or a static one.
    pub requested: f64,
}

impl Held {
    fn add(&mut self, passed: &Passed) {
        self.boards += passed.seconds;
        self.software += passed.software_thermal;
        self.hardware += passed.hardware_thermal;
        self.thermal += passed.thermal;
        self.power_cap += passed.power_cap;
        self.power_brake += passed.power_brake;
        self.requested += passed.requested;
    }

    /// The share of boards' seconds in which heat held the clock down.
    pub fn share(&self) -> f64 {
        if self.boards > 0.0 { self.thermal / self.boards } else { 0.0 }
    }
}

/// Requests by what became of them, over the whole run: together they are those that arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// That came.
    pub arrived: u64,
    /// Nobody took them.
    pub refused: u64,
    /// Answered to the end.
    pub finished: u64,
    /// Still there when the run ended.
    pub left: u64,
}

/// What a moment counts for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The load is between 70 and 90 %.
    pub(crate) under_load: bool,
    /// The quarter of an hour of the day.
    pub(crate) quarter: usize,
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Seconds that were measured.
    pub seconds: f64,
    /// All requests, those of the run-in included.
    pub counts: Counts,
    /// Requests that arrived in the measured time.
    pub asked: u64,
    /// Of these, those that nobody took.
    pub refused: u64,
    /// Of these, those that ended.
    pub ended: u64,
    /// Of those that ended, those that met the objective.
    pub good: u64,
    /// From arrival to the first token, of those that ended.
    pub first: Histogram,
    /// What held clocks down.
    pub held: Held,
    /// The same while the load was between 70 and 90 %.
    pub held_under_load: Held,
    /// Seconds of boards at work, whatever held their clocks down.
    pub busy: f64,
    /// The same, each second by its share of the highest clock; by `busy` it is the mean clock.
    pub clock: f64,
    /// The same, each second by its speed; by `busy` it is the mean speed.
    pub work: f64,
    /// The highest rise of a die over the air at its own inlet, K.
    pub rise: f64,
    /// The highest rise of each board, summed up; by `rises` it is their mean.
    pub rise_sum: f64,
    /// Boards in that sum.
    pub rises: f64,
    /// Energy of the boards, joules.
    pub joules: f64,
    /// Tokens generated.
    pub tokens: u64,
    /// Boards that turned themselves off for heat.
    pub turned_off: u64,
    /// Seconds of boards by the quarter of an hour of the day.
    pub by_quarter: Vec<Quarter>,
}

/// What boards did in a quarter of an hour, as far as it was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quarter {
    /// All seconds of all boards.
    pub boards: f64,
    /// Of these, those in which heat held the clock down.
    pub throttled: f64,
}

impl Quarter {
    fn add(&mut self, boards: f64, throttled: f64) {
        self.boards += boards;
        self.throttled += throttled;
    }

    /// The share of the time in which heat held clocks down; none where nothing was measured.
    pub fn share(&self) -> Option<f64> {
        (self.boards > 0.0).then(|| self.throttled / self.boards)
    }
}

impl Outcome {
    /// A request has ended that arrived in the measured time.
    pub(crate) fn end(&mut self, done: &Done, objective: &Objective) {
        let first = done.to_first();
        let in_time = done.per_token().is_none_or(|token| token <= objective.token);
        self.ended += 1;
        self.good += u64::from(first <= objective.first && in_time);
        self.first.add(first);
    }

    /// Time has passed over a board.
    pub(crate) fn pass(&mut self, passed: &Passed, moment: Moment) {
        self.held.add(passed);
        if self.by_quarter.len() <= moment.quarter {
            self.by_quarter.resize(moment.quarter + 1, Quarter::default());
        }
        if let Some(quarter) = self.by_quarter.get_mut(moment.quarter) {
            quarter.add(passed.seconds, passed.thermal);
        }
        if moment.under_load {
            self.held_under_load.add(passed);
        }
        self.joules += passed.joules;
        self.busy += passed.busy;
        self.clock += passed.clock;
        self.work += passed.work;
    }

    /// Requests a second that arrived: no policy has a higher goodput for long.
    pub fn offered(&self) -> f64 {
        self.asked as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Good requests a second.
    pub fn goodput(&self) -> f64 {
        self.good as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// The share of the highest clock that boards at work lacked, to heat, to power and to what was asked for.
    pub fn clock_lost(&self) -> f64 {
        1.0 - self.clock / self.busy.max(f64::MIN_POSITIVE)
    }

    /// Their speed, of that at the highest clock.
    pub fn speed(&self) -> f64 {
        self.work / self.busy.max(f64::MIN_POSITIVE)
    }

    /// Joules a token.
    pub fn energy_per_token(&self) -> f64 {
        self.joules / (self.tokens as f64).max(1.0)
    }

    /// The mean over the boards of their highest rises, K.
    pub fn mean_rise(&self) -> f64 {
        self.rise_sum / self.rises.max(1.0)
    }
}
