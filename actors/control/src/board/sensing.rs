//! Sensing: how far each sensor of a reading can be trusted, as the readings before it tell.
//!
//! A device tells of one reading alone. Here an error of a sensor that never worked becomes `Unsupported`, the silence
//! of one that did becomes `Missing`, and a temperature that stands still while the board does not becomes `Frozen`.

use std::time::Duration;

use helixflow_model::{BoardLimits, BoardReading, MilliCelsius, Sensed};

use crate::dwell::step;

/// A temperature to the bit the same as before is frozen once the power has differed for [`FROZEN_AFTER`] by at least
/// this part of the board's most from what it was when the value last changed. A quarter of full power moves a die by
/// some 10 K in the end and by 4 K or more within the time, several of a whole-degree sensor's steps; a steady board
/// does not move its power by so much, and one at its limit lowers it as slowly as the limit asks.
const FROZEN_SHARE: f64 = 0.25;
const FROZEN_AFTER: Duration = Duration::from_secs(30);

/// The power to compare with follows the present one with this time constant, in seconds: where the inlet's heat makes
/// a board at its limit give up power over an hour, its temperature rightly stands still.
const REFERENCE_FOLLOWS: f64 = 300.0;

/// The most power of a board whose driver does not tell it, milliwatts.
const MOST_DEFAULT: u32 = 300_000;

/// What the readings so far have taught about each sensor of one board.
#[derive(Clone, Debug)]
pub(super) struct Sensing {
    worked: Worked,
    core: Stillness,
    memory: Stillness,
    margin: Stillness,
    /// A move of the power that would show, milliwatts.
    shows: f64,
    at: Option<Duration>,
}

/// Which sensors have worked.
#[derive(Clone, Copy, Debug, Default)]
struct Worked {
    core: bool,
    memory: bool,
    margin: bool,
    power: bool,
    power_limit: bool,
    core_clock: bool,
    memory_clock: bool,
    utilization: bool,
    fan: bool,
    reasons: bool,
    ecc: bool,
    remapping: bool,
    pcie: bool,
}

impl Sensing {
    /// A board of which no sensor is known to work.
    pub(super) fn new(limits: BoardLimits) -> Self {
        let most = limits.power_most.map_or(MOST_DEFAULT, |most| most.0.max(1));
        Self {
            worked: Worked::default(),
            core: Stillness::default(),
            memory: Stillness::default(),
            margin: Stillness::default(),
            shows: f64::from(most) * FROZEN_SHARE,
            at: None,
        }
    }

    /// The reading with each sensor's state as it is to be taken. Whether a value counts as frozen is decided by the
    /// readings before this one, so that it does not hang on the value itself.
    pub(super) fn take(&mut self, mut reading: BoardReading, now: Duration) -> BoardReading {
        let worked = &mut self.worked;
        reading.power = known(&mut worked.power, reading.power);
        reading.power_limit = known(&mut worked.power_limit, reading.power_limit);
        reading.core_clock = known(&mut worked.core_clock, reading.core_clock);
        reading.memory_clock = known(&mut worked.memory_clock, reading.memory_clock);
        reading.utilization = known(&mut worked.utilization, reading.utilization);
        reading.fan = known(&mut worked.fan, reading.fan);
        reading.reasons = known(&mut worked.reasons, reading.reasons);
        reading.ecc = known(&mut worked.ecc, reading.ecc);
        reading.remapping = known(&mut worked.remapping, reading.remapping);
        reading.pcie = known(&mut worked.pcie, reading.pcie);
        let power = reading.power.live().map(|power| f64::from(power.0));
        let step = self.at.map_or(Duration::ZERO, |at| step(at, now));
        self.at = Some(now);
        let moved = Moved { power, step, shows: self.shows };
        reading.core = self.core.take(known(&mut worked.core, reading.core), &moved);
        reading.memory = self.memory.take(known(&mut worked.memory, reading.memory), &moved);
        reading.margin = self.margin.take(known(&mut worked.margin, reading.margin), &moved);
        reading
    }
}

/// What is silent although it worked is missing; an error of what never worked means that there is no such sensor.
fn known<T>(worked: &mut bool, sensed: Sensed<T>) -> Sensed<T> {
    match sensed {
        Sensed::Live(_) | Sensed::Frozen(_) => {
            *worked = true;
            sensed
        }
        Sensed::Missing | Sensed::Unsupported if *worked => Sensed::Missing,
        Sensed::Missing | Sensed::Unsupported => Sensed::Unsupported,
    }
}

/// The board's power at a reading, milliwatts, and the time since the one before.
struct Moved {
    power: Option<f64>,
    step: Duration,
    shows: f64,
}

/// How long one temperature has stood still while the power had moved.
#[derive(Clone, Copy, Debug, Default)]
struct Stillness {
    value: Option<MilliCelsius>,
    /// The power when the value last changed, milliwatts.
    reference: Option<f64>,
    moved_for: Duration,
}

impl Stillness {
    fn take(&mut self, sensed: Sensed<MilliCelsius>, moved: &Moved) -> Sensed<MilliCelsius> {
        let frozen = self.moved_for >= FROZEN_AFTER;
        let Some(value) = sensed.read() else {
            return sensed;
        };
        self.watch(value, moved);
        if frozen { Sensed::Frozen(value) } else { sensed }
    }

    fn watch(&mut self, value: MilliCelsius, moved: &Moved) {
        let Some(power) = moved.power else { return };
        if self.value.replace(value) != Some(value) {
            self.reference = Some(power);
            self.moved_for = Duration::ZERO;
            return;
        }
        let reference = self.reference.get_or_insert(power);
        if (power - *reference).abs() >= moved.shows {
            self.moved_for = self.moved_for.saturating_add(moved.step);
        } else if self.moved_for < FROZEN_AFTER {
            self.moved_for = Duration::ZERO;
        }
        let share = moved.step.as_secs_f64() / REFERENCE_FOLLOWS;
        *reference += (power - *reference) * share.min(1.0);
    }
}

#[cfg(test)]
mod tests;
