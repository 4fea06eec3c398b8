//! Where heat costs a board its speed, and where it counts as critical.
//!
//! Both come from the board's own limits, since they differ by product, and from what it shows: a clock that heat holds
//! down already tells that the limit lies lower than believed.

use helixflow_model::BoardLimits;

/// Taken for a die whose driver tells no limit: NVIDIA's datacenter boards are specified from 83 °C upwards, so this
/// costs the others some speed, and no board its safety.
pub(crate) const CORE_DEFAULT: f64 = 83.0;

/// The same for the memory: high-bandwidth memory doubles its refresh, and slows, near 95 °C.
pub(crate) const MEMORY_DEFAULT: f64 = 92.0;

/// Degrees between the hardware's slowdown and where the firmware begins to step the clock, where only the former is
/// told; the datacenter boards that tell both have two to four.
const FIRMWARE_BEFORE_HARDWARE: f64 = 3.0;

/// Beyond the firmware's limit by this much a place counts as critical. At the limit itself it does not, where the hardware
/// leaves room above: there the firmware holds a die or a memory whose clock nobody else lowers, and that is hot.
const CRITICAL_OVER: f64 = 2.0;

/// At the latest this much under where the hardware halves the clock, or turns the board off.
const CRITICAL_BEFORE_HARDWARE: f64 = 1.0;

/// The lowest limit that is believed or learnt: below it no silicon is held back by its heat.
const LEAST: f64 = 50.0;

/// The highest that is believed.
const MOST: f64 = 110.0;

/// The most degrees that one onset takes off a limit, for it may have another cause; and all of them together, which a
/// sensor that reads low makes needful.
const LEARNS_AT_ONCE: f64 = 4.0;
const LEARNS_MOST: f64 = 20.0;

/// Degrees a second by which a learnt limit returns to the one that was told: 1 K in ten minutes.
const RETURNS: f64 = 1.0 / 600.0;

/// The limits of one place on the board, in degrees Celsius.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limit {
    /// As the board told them.
    told: f64,
    /// Where heat costs speed, as far as is known now.
    costs: f64,
    /// From where the place counts as critical, relative to `told`.
    critical_over: f64,
}

impl Limit {
    pub(super) fn core(limits: BoardLimits, default: f64) -> Self {
        let operating = limits.operating.map(super::degrees);
        let slowdown = limits.slowdown.map(super::degrees);
        let costs = match (operating, slowdown) {
            (Some(operating), Some(slowdown)) => operating.min(slowdown - 1.0),
            (Some(operating), None) => operating,
            (None, Some(slowdown)) => slowdown - FIRMWARE_BEFORE_HARDWARE,
            (None, None) => default,
        };
        let acts = [slowdown, limits.shutdown.map(super::degrees)].into_iter().flatten();
        let room = acts.map(|at| at - CRITICAL_BEFORE_HARDWARE - costs).fold(CRITICAL_OVER, f64::min);
        Self::new(costs, room.max(0.0))
    }

    pub(super) fn memory(limits: BoardLimits, default: f64) -> Self {
        Self::new(limits.memory.map_or(default, super::degrees), CRITICAL_OVER)
    }

    const fn new(costs: f64, critical_over: f64) -> Self {
        let told = costs.clamp(LEAST, MOST);
        Self { told, costs: told, critical_over }
    }

    /// Where heat costs speed.
    pub(super) const fn costs(&self) -> f64 {
        self.costs
    }

    /// From where the place counts as critical; that is the hardware's matter, and is not learnt.
    pub(super) const fn critical(&self) -> f64 {
        self.told + self.critical_over
    }

    /// Learns from a temperature after `step` seconds; `onset`: heat began to hold the clock down at it.
    pub(super) fn learn(&mut self, temperature: f64, onset: bool, step: f64) {
        self.costs = (self.costs + RETURNS * step).min(self.told);
        if onset {
            let least = (self.costs - LEARNS_AT_ONCE).max(self.told - LEARNS_MOST).max(LEAST);
            self.costs = self.costs.min(temperature.max(least));
        }
    }
}

#[cfg(test)]
mod tests {
    use helixflow_model::MilliCelsius;

    use super::*;

    fn limits(operating: Option<i32>, slowdown: Option<i32>) -> BoardLimits {
        let degrees = |value: i32| MilliCelsius(value * 1000);
        BoardLimits {
            operating: operating.map(degrees),
            slowdown: slowdown.map(degrees),
            ..BoardLimits::default()
        }
    }

    #[test]
    fn limits_are_the_boards_own_and_stated_where_it_tells_none() {
        let costs = |operating, slowdown| Limit::core(limits(operating, slowdown), CORE_DEFAULT).costs();
        assert_eq!(costs(Some(87), Some(89)), 87.0);
        assert_eq!(costs(None, Some(89)), 86.0);
        assert_eq!(costs(Some(95), Some(89)), 88.0);
        assert_eq!(costs(None, None), CORE_DEFAULT);
    }

    #[test]
    fn critical_lies_under_the_hardwares_slowdown() {
        assert_eq!(Limit::core(limits(Some(87), Some(89)), CORE_DEFAULT).critical(), 88.0);
        assert_eq!(Limit::core(limits(Some(85), Some(89)), CORE_DEFAULT).critical(), 87.0);
        let turned_off = BoardLimits { shutdown: Some(MilliCelsius(101_000)), ..limits(Some(100), None) };
        assert_eq!(Limit::core(turned_off, CORE_DEFAULT).critical(), 100.0);
    }

    #[test]
    fn a_place_that_firmware_holds_at_its_limit_is_not_critical() {
        let core = Limit::core(limits(Some(100), None), CORE_DEFAULT);
        let told = BoardLimits { memory: Some(MilliCelsius(95_000)), ..BoardLimits::default() };
        let memory = Limit::memory(told, MEMORY_DEFAULT);
        assert_eq!((core.critical(), memory.critical()), (102.0, 97.0));
    }

    #[test]
    fn a_clock_held_down_by_heat_lowers_the_limit_and_time_brings_it_back() {
        let mut limit = Limit::core(limits(Some(87), None), CORE_DEFAULT);
        limit.learn(84.0, true, 0.1);
        assert_eq!((limit.costs(), limit.critical()), (84.0, 89.0));
        for _ in 0..1200 {
            limit.learn(70.0, false, 1.0);
        }
        assert!((limit.costs() - 86.0).abs() < 0.01, "{}", limit.costs());
        for _ in 0..10 {
            limit.learn(40.0, true, 0.0);
        }
        assert_eq!(limit.costs(), 67.0);
        let mut low = Limit::core(limits(Some(60), None), CORE_DEFAULT);
        for _ in 0..10 {
            low.learn(40.0, true, 0.0);
        }
        assert_eq!(low.costs(), LEAST);
    }
}
