//! One board: what it is, how hot it is, what it does, and how time passes over it.

use helixflow_model::{BoardLimits, ClockReasons, MegaHertz, MilliWatts};

use crate::electrical::{Point, leakage};
use crate::faults::{Fault, Faults};
use crate::firmware::{Firmware, Moment};
use crate::parameters::Parameters;
use crate::passed::{Passed, Truth};
use crate::sensors::Unreadable;
use crate::surroundings::{Surroundings, Work};
use crate::thermal::{Heat, Sources, Stride};

/// Near its limits the firmware looks at its sensors this often, in seconds; shorter steps are taken as they are. A die
/// gains at most two degrees meanwhile.
const TICK: f64 = 0.25;
/// Degrees below every limit from which nothing of that can happen within the longest stride: a die under full load
/// gains seven degrees in its first second.
const FAR: f64 = 12.0;
/// The fans follow the die this often, in seconds.
const LONGEST_STRIDE: f64 = 1.0;
/// Share of full speed by which fans change in a second. An estimate: a fan controller is no hurry.
const FAN_SLEW: f64 = 0.1;
/// Enough rounds to find where a board at rest settles: leakage depends little on so small a rise.
const ROUNDS_TO_REST: u32 = 8;

/// A simulated board.
#[derive(Clone, Debug)]
pub struct Board {
    parameters: Parameters,
    surroundings: Surroundings,
    seed: u64,
    heat: Heat,
    /// Share of full speed that the fans are driven at.
    fan: f64,
    firmware: Firmware,
    faults: Faults,
    point: Point,
    power: f64,
    busy: f64,
    turned_off: bool,
    ticks: u64,
    storm_seconds: f64,
    told_errors: u64,
}

impl Board {
    /// A board that has rested in its surroundings for long. The seed is that of its sensors' noise.
    pub fn new(parameters: Parameters, surroundings: Surroundings, seed: u64) -> Self {
        let firmware = Firmware::new(&parameters);
        let ready = Point::at(&parameters, parameters.clocks.most, Work::IDLE);
        let inlet = surroundings.inlet;
        let mut board = Self {
            parameters,
            surroundings,
            seed,
            heat: Heat { die: inlet, memory: inlet, sink: inlet },
            fan: parameters.cooling.least,
            firmware,
            faults: Faults::default(),
            point: Point::idle(&parameters, ready),
            power: 0.0,
            busy: 0.0,
            turned_off: false,
            ticks: 0,
            storm_seconds: 0.0,
            told_errors: 0,
        };
        board.rest();
        board
    }

    /// Lets time pass under work. Steps of any length come to the same within a quarter of a degree.
    pub fn step(&mut self, seconds: f64, work: Work) -> Passed {
        let mut passed = Passed::default();
        let lost = self.turned_off || self.faults.off_the_bus;
        let work = if lost { Work::IDLE } else { work.bounded() };
        self.busy = work.busy;
        let mut left = if seconds.is_finite() { seconds } else { 0.0 };
        while left > 0.0 {
            // What is left of a sum of tenths is no step of its own.
            let stride = if left < LONGEST_STRIDE + 1e-9 { left } else { LONGEST_STRIDE };
            self.stride(stride, work, &mut passed);
            left -= stride;
        }
        passed
    }

    fn stride(&mut self, seconds: f64, work: Work, passed: &mut Passed) {
        self.drive_fans(seconds);
        let ticks = if self.is_far_from_limits() { 1 } else { (seconds / TICK - 1e-6) as u32 + 1 };
        let tick = seconds / f64::from(ticks);
        let stride = Stride::new(&self.parameters.thermal, self.air(), self.faults.memory_contact(), tick);
        let inlet = self.inlet();
        // Reasons seldom change from tick to tick: they are counted when they do.
        let (mut reasons, mut held) = (self.firmware.reasons, 0.0);
        let mut clock = 0.0;
        for _ in 0..ticks {
            self.tick(tick, &stride, inlet, work);
            passed.joules += self.power * tick;
            clock += self.point.clock * tick;
            passed.work += work.busy * self.point.speed * tick;
            if self.firmware.reasons != reasons {
                passed.count(held, reasons);
                (reasons, held) = (self.firmware.reasons, 0.0);
            }
            held += tick;
        }
        passed.count(held, reasons);
        passed.busy += work.busy * seconds;
        passed.clock += work.busy * clock / self.parameters.clocks.most;
        self.ticks += u64::from(ticks);
        if self.faults.ecc_storm {
            self.storm_seconds += seconds;
        }
    }

    /// Whether one tick may be as long as a stride.
    fn is_far_from_limits(&self) -> bool {
        let limits = &self.parameters.limits;
        self.heat.die < limits.operating - FAR
            && self.heat.memory < limits.memory - FAR
            && self.firmware.is_free()
    }

    fn tick(&mut self, seconds: f64, stride: &Stride, inlet: f64, work: Work) {
        let leaking = leakage(&self.parameters.power, self.heat.die);
        let sources = if self.turned_off {
            (self.power, self.point.speed) = (0.0, 0.0);
            self.firmware.reasons = ClockReasons(0);
            Sources { die: 0.0, memory: 0.0, sink: 0.0 }
        } else {
            let brake = self.faults.power_brake;
            let moment = Moment { seconds, work, leakage: leaking, brake };
            self.point = self.firmware.settle(&self.parameters, &self.heat, &moment);
            self.power = self.point.power(&self.parameters, leaking);
            let die = self.point.core + self.point.voltage_squared * leaking;
            Sources { die, memory: self.point.memory, sink: self.parameters.power.other }
        };
        self.heat = stride.advance(self.heat, sources, inlet);
        let limits = &self.parameters.limits;
        if self.heat.die >= limits.shutdown || self.heat.memory >= limits.memory_shutdown {
            self.turned_off = true;
        }
    }

    fn drive_fans(&mut self, seconds: f64) {
        let curve = &self.parameters.cooling;
        let rise = (self.heat.die - curve.low) / (curve.high - curve.low);
        let wished = (curve.least + (1.0 - curve.least) * rise).clamp(curve.least, 1.0);
        let most = FAN_SLEW * seconds;
        self.fan += (wished - self.fan).clamp(-most, most);
    }

    /// Watts a degree from the sink to the air.
    fn air(&self) -> f64 {
        let draught = self.parameters.cooling.draught;
        let turning =
            if self.faults.failed_fan { 0.0 } else { self.fan * self.surroundings.fans.clamp(0.0, 1.0) };
        (draught + (1.0 - draught) * turning) / self.parameters.thermal.sink.resistance
    }

    fn inlet(&self) -> f64 {
        self.surroundings.inlet + self.faults.inlet_rise()
    }

    /// Takes the temperatures at which heat in and out are equal at rest.
    fn rest(&mut self) {
        let (air, inlet, power) = (self.air(), self.inlet(), self.parameters.power);
        for _ in 0..ROUNDS_TO_REST {
            let die = self.point.core + self.point.voltage_squared * leakage(&power, self.heat.die);
            self.power = power.other + die + self.point.memory;
            self.heat.sink = inlet + self.power / air;
            self.heat.die = self.heat.sink + die * self.parameters.thermal.die.resistance;
            self.heat.memory = self.heat.sink + self.point.memory * self.parameters.thermal.memory.resistance;
        }
    }

    /// What it is made of.
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Its limits, as a driver tells them.
    pub fn limits(&self) -> BoardLimits {
        self.parameters.limits()
    }

    /// The air that it gets, faults apart.
    pub const fn surroundings(&self) -> Surroundings {
        self.surroundings
    }

    /// Gives it other air. What is no number changes nothing.
    pub fn set_surroundings(&mut self, surroundings: Surroundings) {
        if surroundings.inlet.is_finite() && surroundings.fans.is_finite() {
            self.surroundings = surroundings;
        }
    }

    /// Asks that the compute units run at this clock at most, or as they like. It is brought between lowest and highest.
    pub fn limit_clock(&mut self, clock: Option<MegaHertz>) {
        let clocks = &self.parameters.clocks;
        let asked = clock.map_or(clocks.most, |clock| f64::from(clock.0));
        self.firmware.asked = asked.clamp(clocks.least, clocks.most);
    }

    /// The clock that was asked for; none where the highest was.
    pub fn clock_limit(&self) -> Option<MegaHertz> {
        let asked = self.firmware.asked;
        (asked < self.parameters.clocks.most).then_some(MegaHertz(asked as u32))
    }

    /// Sets the power limit, or the board's own. It is brought between the lowest and the highest that can be set.
    pub fn limit_power(&mut self, power: Option<MilliWatts>) {
        let own = &self.parameters.power;
        let asked = power.map_or(own.most, |power| f64::from(power.0) / 1000.0);
        self.firmware.power_limit = asked.clamp(own.least, own.most);
    }

    /// Watts that the firmware allows.
    pub const fn power_limit(&self) -> f64 {
        self.firmware.power_limit
    }

    /// Puts a fault on.
    pub fn put_on(&mut self, fault: Fault) {
        let now = self.sensed();
        self.faults.set(fault, true, now);
    }

    /// Takes a fault off; of [`Fault::LyingSensor`] whatever the degrees.
    pub fn take_off(&mut self, fault: Fault) {
        let now = self.sensed();
        self.faults.set(fault, false, now);
    }

    /// The faults that are on.
    pub fn faults(&self) -> Vec<Fault> {
        self.faults.list().collect()
    }

    /// Turns a board on again that has turned itself off. Its limits are its own once more.
    pub fn power_cycle(&mut self) {
        self.turned_off = false;
        self.firmware = Firmware::new(&self.parameters);
    }

    /// Speed of work on it, of that at the highest clock: 1 there, hot or not.
    pub fn speed(&self) -> f64 {
        if self.turned_off || self.faults.off_the_bus { 0.0 } else { self.point.speed }
    }

    /// Speed of other work at the clock that it would run at now, of that at the highest clock.
    pub fn speed_of(&self, memory_bound: f64) -> f64 {
        let lost = self.turned_off || self.faults.off_the_bus;
        if lost { 0.0 } else { self.parameters.speed(self.firmware.ready_clock(), memory_bound) }
    }

    /// The clock of its compute units.
    pub fn clock(&self) -> MegaHertz {
        MegaHertz(self.point.clock as u32)
    }

    /// Watts that it draws.
    pub const fn power(&self) -> f64 {
        self.power
    }

    /// What holds its clock down.
    pub const fn reasons(&self) -> ClockReasons {
        self.firmware.reasons
    }

    /// Degrees Celsius of the die, in truth.
    pub const fn die(&self) -> f64 {
        self.heat.die
    }

    /// Degrees Celsius of the memory, in truth.
    pub const fn memory(&self) -> f64 {
        self.heat.memory
    }

    /// Everything that no sensor tells.
    pub fn truth(&self) -> Truth {
        let turning = if self.faults.failed_fan { 0.0 } else { self.fan * self.surroundings.fans };
        Truth {
            die: self.heat.die,
            memory: self.heat.memory,
            sink: self.heat.sink,
            inlet: self.inlet(),
            fan: turning,
            power: self.power,
            speed: self.speed(),
            turned_off: self.turned_off,
        }
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) const fn ticks(&self) -> u64 {
        self.ticks
    }

    pub(crate) const fn busy(&self) -> f64 {
        self.busy
    }

    pub(crate) const fn storm_seconds(&self) -> f64 {
        self.storm_seconds
    }

    /// How many of so many errors have not been told yet; from now on they have.
    pub(crate) fn untold(&mut self, errors: u64) -> u32 {
        let untold = errors.saturating_sub(self.told_errors);
        self.told_errors = errors;
        u32::try_from(untold).unwrap_or(u32::MAX)
    }

    /// What the sensors of die and memory say before rounding, faults included.
    pub(crate) fn sensed(&self) -> (f64, f64) {
        let off = self.faults.lying.unwrap_or(0.0);
        self.faults.stuck.unwrap_or((self.heat.die + off, self.heat.memory + off))
    }

    /// Whether the temperature sensors are stuck.
    pub(crate) const fn is_stuck(&self) -> bool {
        self.faults.stuck.is_some()
    }

    /// Whether the driver can tell anything, or be told.
    pub const fn readable(&self) -> Result<(), Unreadable> {
        if self.faults.blocked {
            Err(Unreadable::Blocked)
        } else if self.turned_off {
            Err(Unreadable::TurnedOff)
        } else if self.faults.off_the_bus {
            Err(Unreadable::OffTheBus)
        } else {
            Ok(())
        }
    }
}
