//! A plant with its control around it, and a record of what happened.

use std::time::Duration;

use helixflow_control::{BoardControl, ClockOrder, Driver, Judged};
use helixflow_model::{Band, BoardLimits, BoardReading, ClockControl};
use helixflow_physics::{Board, Surroundings, Work};

/// What is heated: the test's own plant, or a simulated product.
pub trait Heated {
    fn limits(&self) -> BoardLimits;
    fn read(&mut self) -> Option<BoardReading>;
    fn order(&mut self, order: ClockOrder);
    fn set_inlet(&mut self, inlet: f64);
    /// Lets time pass under work, a share of the time.
    fn pass(&mut self, time: Duration, work: f64);
    /// Degrees of the die.
    fn die(&self) -> f64;
    /// So far: seconds throttled by heat, seconds halved by it, and work done, in busy seconds by their speed.
    fn sums(&self) -> [f64; 3];
}

/// A simulated product, and what it has been through.
#[derive(Clone, Debug)]
pub struct Product {
    pub board: Board,
    /// Share of the work that waits for memory.
    pub memory_bound: f64,
    sums: [f64; 3],
}

impl Product {
    pub fn new(board: Board, memory_bound: f64) -> Self {
        Self { board, memory_bound, sums: [0.0; 3] }
    }
}

impl Heated for Product {
    fn limits(&self) -> BoardLimits {
        self.board.limits()
    }

    fn read(&mut self) -> Option<BoardReading> {
        self.board.reading().ok()
    }

    fn order(&mut self, order: ClockOrder) {
        self.board.limit_clock(match order {
            ClockOrder::Limit(clock) => Some(clock),
            ClockOrder::Release => None,
        });
    }

    fn set_inlet(&mut self, inlet: f64) {
        self.board.set_surroundings(Surroundings { inlet, ..self.board.surroundings() });
    }

    fn pass(&mut self, time: Duration, work: f64) {
        let passed =
            self.board.step(time.as_secs_f64(), Work { busy: work, memory_bound: self.memory_bound });
        let new = if work > 0.0 { [passed.thermal, passed.hardware_thermal, passed.work] } else { [0.0; 3] };
        for (sum, new) in self.sums.iter_mut().zip(new) {
            *sum += new;
        }
    }

    fn die(&self) -> f64 {
        self.board.die()
    }

    fn sums(&self) -> [f64; 3] {
        self.sums
    }
}

/// Both, at one moment.
pub struct Rig<P> {
    pub plant: P,
    pub control: BoardControl,
    pub now: Duration,
    /// What the sensors say is changed by this before it is judged.
    pub blur: fn(&mut BoardReading),
}

/// What happened over some time.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub seconds: f64,
    pub hottest: f64,
    pub throttled: f64,
    pub halved: f64,
    /// Work done, of what the highest clock would have done.
    pub speed: f64,
    pub bands: Vec<Band>,
    /// Changes of the clock's direction.
    pub turns: usize,
    pub orders: usize,
    pub judged: Option<Judged>,
}

impl Record {
    /// Changes of band.
    pub fn flips(&self) -> usize {
        self.bands.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

impl<P: Heated> Rig<P> {
    pub fn new(plant: P, control: ClockControl) -> Self {
        let control = BoardControl::new(plant.limits(), control);
        Self { plant, control, now: Duration::ZERO, blur: |_| () }
    }

    /// Runs for some seconds; work and inlet are functions of the seconds since the start.
    pub fn run(&mut self, seconds: f64, work: impl Fn(f64) -> f64, inlet: impl Fn(f64) -> f64) -> Record {
        let (start, before) = (self.now, self.plant.sums());
        let mut record = Record { hottest: f64::MIN, ..Record::default() };
        let mut possible = 0.0;
        let mut clock = Turns::default();
        while record.seconds < seconds {
            let asked = work(record.seconds);
            self.plant.set_inlet(inlet(record.seconds));
            let judged = self.step(asked);
            if let Some(order) = judged.order {
                record.orders += 1;
                record.turns += usize::from(clock.take(order));
            }
            possible += asked * judged.next_read.as_secs_f64();
            record.hottest = record.hottest.max(self.plant.die());
            record.bands.push(judged.standing.band);
            record.seconds = (self.now - start).as_secs_f64();
            record.judged = Some(judged);
        }
        let [throttled, halved, done] = self.plant.sums();
        (record.throttled, record.halved) = (throttled - before[0], halved - before[1]);
        record.speed = if possible > 0.0 { (done - before[2]) / possible } else { 1.0 };
        record
    }

    /// One reading, and the time until the next.
    pub fn step(&mut self, work: f64) -> Judged {
        let mut reading = self.plant.read();
        if let Some(reading) = &mut reading {
            (self.blur)(reading);
        }
        let judged = self.control.take(reading, Driver::Sound, self.now);
        if let Some(order) = judged.order {
            self.plant.order(order);
        }
        self.plant.pass(judged.next_read, work);
        self.now += judged.next_read;
        judged
    }
}

/// Which way the clock went last.
#[derive(Default)]
struct Turns {
    clock: Option<u32>,
    rose: Option<bool>,
}

impl Turns {
    /// Whether an order turns the clock's direction.
    fn take(&mut self, order: ClockOrder) -> bool {
        let clock = match order {
            ClockOrder::Limit(clock) => clock.0,
            ClockOrder::Release => u32::MAX,
        };
        let rises = clock > self.clock.replace(clock).unwrap_or(u32::MAX);
        self.rose.replace(rises).is_some_and(|rose| rose != rises)
    }
}
