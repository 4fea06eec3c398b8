//! One place whose heat is bounded, the die or the memory: a model of its temperature, fitted as readings come.
//!
//! The temperature is a base (the inlet) plus a sum of power through lags of fixed time constants, each with its own
//! resistance: the physics of stacked first-order bodies (die, lid, heat sink), linear in what is fitted. Only the base
//! and the resistances are learnt, from power alone, so the rounding of a whole-degree sensor does not bias them. What
//! the model does not explain is carried along as an offset, so a forecast always starts from the temperature read.

use super::estimator::{Fit, Prior, left};
use super::limit::Limit;

/// Time constants of the lags in seconds: die and spreader, heat sink, and the slow remainder.
const CORE_LAGS: [f64; 3] = [2.5, 12.0, 60.0];

/// Memory stands beside the die under the same sink and follows it more slowly.
const MEMORY_LAGS: [f64; 3] = [5.0, 20.0, 80.0];

/// Seconds ahead that a forecast looks: the nearer guards the fast lag, the farther the middle one. The slow one is
/// left to the readings to come, which are a tenth of a second apart when it matters.
const HORIZONS: [f64; 2] = [3.0, 12.0];

/// Seconds ahead that a clock must hold for before it is raised to: the steady state, or it would be lowered again within
/// minutes. The seconds of a burst are used all the same: it begins at the clock that the lull before it allowed.
const LASTING: f64 = 180.0;

/// The base believed before the first reading, degrees Celsius.
const BASE: Prior = Prior { value: 30.0, spread: 15.0, walk: 0.05, least: -20.0, most: 80.0 };

/// Degrees over the base at full power in the steady state that are believed beforehand: datacenter boards are cooled
/// so that full power at a normal inlet stays under the limit by a few degrees.
const RISE: f64 = 45.0;

/// Shares of the rise by lag, believed beforehand.
const SHARES: [f64; 3] = [0.4, 0.3, 0.3];

/// Seconds between the values that the fit learns from; what comes between is averaged, which takes most of the
/// rounding out.
const LEARN_EVERY: f64 = 1.0;

/// Variance of one such value, K²: a rounded degree, and what three lags cannot follow. Errors of neighbouring values
/// are alike, so it is larger than either.
const NOISE: f64 = 2.0;

/// A sensor is believed within these bounds, degrees Celsius; beyond lies no silicon that works.
const LEAST: f64 = -40.0;
const MOST: f64 = 150.0;

/// Time constants, in seconds, by which the offset follows a temperature above, and one below what was expected: heat
/// is believed sooner than relief.
const RISES: f64 = 0.7;
const FALLS: f64 = 1.2;

/// The offset's drift upwards (a failed fan, a hotter inlet) is smoothed over so many seconds, and believed up to this
/// many degrees a second …
const DRIFT_OVER: f64 = 20.0;
const DRIFT_MOST: f64 = 0.5;
/// … to last for at most so many seconds.
const DRIFT_FOR: f64 = 12.0;

/// What a band is judged by is smoothed over so many seconds, which takes a whole-degree sensor's flicker out; a
/// temperature that jumps counts at once, less one degree.
const FELT_OVER: f64 = 2.0;
const FELT_AT_ONCE: f64 = 1.0;

/// How far the readings stray from what is expected, on average, is taken over so many seconds, and believed up to
/// this many degrees.
const STRAY_OVER: f64 = 60.0;
const STRAY_MOST: f64 = 3.0;
const STRAY_AT_FIRST: f64 = 1.0;

/// Part of a new value by which the limit moves that the driver's margin stands for: slowly, since margin and sensor are
/// rounded apart, by so many degrees.
const MARGIN_LEARNT: f64 = 1.0 / 64.0;
const MARGIN_ROUNDS: f64 = 2.0;

/// Degrees a second by which it falls to a value farther below: a sensor that began to read low is overruled by the margin
/// meanwhile. 1 K in ten minutes, as limits that were learnt return.
const MARGIN_FALLS: f64 = 1.0 / 600.0;

/// One place, its limit and its model.
#[derive(Clone, Debug)]
pub(super) struct Place {
    limit: Limit,
    constants: [f64; 3],
    ahead: [Ahead; 2],
    for_good: Ahead,
    fit: Fit<4>,
    /// Power through each lag, watts.
    lagged: Option<[f64; 3]>,
    /// What the sensor says now.
    sensor: Option<f64>,
    /// The temperature read now: that, or what the margin says where it is hotter.
    measured: Option<f64>,
    /// The same, smoothed.
    smoothed: Option<f64>,
    /// How far readings stray from the smoothed temperature, degrees.
    stray: f64,
    /// What the model does not explain, smoothed.
    offset: Option<f64>,
    /// How fast that rises, degrees a second; never negative.
    drift: f64,
    /// What the driver's margin and the sensor together say of the limit.
    margin_limit: Option<f64>,
    margin: Option<f64>,
    step: f64,
    gathered: Gathered,
}

/// A time ahead that is decided for.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    seconds: f64,
    /// The part of a change of power that each lag shows by then.
    shown: [f64; 3],
}

impl Ahead {
    fn new(seconds: f64, constants: [f64; 3]) -> Self {
        Self { seconds, shown: constants.map(|constant| 1.0 - left(seconds, constant)) }
    }

    /// For how long the drift counts by then.
    const fn drifts(&self) -> f64 {
        self.seconds.min(DRIFT_FOR)
    }
}

/// Values gathered until the fit learns from their mean.
#[derive(Clone, Copy, Debug, Default)]
struct Gathered {
    seconds: f64,
    count: f64,
    temperature: f64,
    lagged: [f64; 3],
}

impl Place {
    pub(super) fn core(limit: Limit, watts_most: f64) -> Self {
        Self::new(limit, CORE_LAGS, watts_most)
    }

    pub(super) fn memory(limit: Limit, watts_most: f64) -> Self {
        Self::new(limit, MEMORY_LAGS, watts_most)
    }

    fn new(limit: Limit, constants: [f64; 3], watts_most: f64) -> Self {
        let resistance = |share: f64| {
            let value = share * RISE / watts_most;
            Prior { value, spread: value * 0.5, walk: value * 0.01, least: value * 0.05, most: value * 6.0 }
        };
        let [fast, middle, slow] = SHARES.map(resistance);
        Self {
            limit,
            constants,
            ahead: HORIZONS.map(|seconds| Ahead::new(seconds, constants)),
            for_good: Ahead::new(LASTING, constants),
            fit: Fit::new([BASE, fast, middle, slow]),
            lagged: None,
            sensor: None,
            measured: None,
            smoothed: None,
            stray: STRAY_AT_FIRST,
            offset: None,
            drift: 0.0,
            margin_limit: None,
            margin: None,
            step: 0.0,
            gathered: Gathered::default(),
        }
    }

    /// Takes in what the sensor says, none where it cannot be trusted, and the power drawn since, `step` seconds after
    /// the values before.
    pub(super) fn see(&mut self, sensor: Option<f64>, margin: Option<f64>, watts: f64, step: f64) {
        self.step = step;
        let lagged = match self.lagged {
            None => [watts; 3],
            Some(before) => {
                std::array::from_fn(|i| watts + (before[i] - watts) * left(step, self.constants[i]))
            }
        };
        self.lagged = Some(lagged);
        self.sensor = sensor.map(|temperature| temperature.clamp(LEAST, MOST));
        self.margin = margin.map(|margin| margin.clamp(LEAST, MOST));
        // The driver's own margin may know of a hotter spot than the sensor shows.
        let by_margin = self.margin.zip(self.margin_limit).map(|(margin, limit)| limit - margin);
        self.measured = [self.sensor, by_margin].into_iter().flatten().reduce(f64::max);
        if let Some(measured) = self.measured {
            let before = self.smoothed.unwrap_or(measured);
            self.smoothed = Some(measured + (before - measured) * left(step, FELT_OVER));
            self.follow(measured - self.modelled(&lagged), step);
        }
    }

    fn follow(&mut self, unexplained: f64, step: f64) {
        let Some(before) = self.offset else {
            self.offset = Some(unexplained);
            return;
        };
        let constant = if unexplained > before { RISES } else { FALLS };
        let offset = unexplained + (before - unexplained) * left(step, constant);
        if step > 0.0 {
            let rate = (offset - before) / step;
            self.drift = (rate + (self.drift - rate) * left(step, DRIFT_OVER)).clamp(0.0, DRIFT_MOST);
        }
        self.offset = Some(offset);
    }

    fn modelled(&self, lagged: &[f64; 3]) -> f64 {
        let [fast, middle, slow] = *lagged;
        self.fit.at(&[1.0, fast, middle, slow])
    }

    /// The temperature now, smoothed.
    fn present(&self) -> Option<(f64, [f64; 3])> {
        let (lagged, offset) = self.lagged.zip(self.offset)?;
        self.measured?;
        Some((self.modelled(&lagged) + offset, lagged))
    }

    /// The temperature that bands are judged by; minus infinity where nothing is told.
    fn felt(&self) -> f64 {
        let felt = self.measured.zip(self.smoothed).map(|(now, smoothed)| smoothed.max(now - FELT_AT_ONCE));
        felt.unwrap_or(f64::NEG_INFINITY)
    }

    /// Degrees by which the place is beyond where heat costs speed.
    pub(super) fn excess(&self) -> f64 {
        self.felt() - self.limit.costs()
    }

    /// Degrees by which it is beyond critical.
    pub(super) fn over_critical(&self) -> f64 {
        self.felt() - self.limit.critical()
    }

    /// The highest temperature within the horizons at `watts` from now on.
    pub(super) fn forecast(&self, watts: f64) -> Option<f64> {
        let (present, lagged) = self.present()?;
        let hottest = self.ahead.iter().map(|ahead| {
            let rises = self.reach(ahead).into_iter().zip(lagged);
            present
                + self.drift * ahead.drifts()
                + rises.map(|(reach, lag)| reach * (watts - lag)).sum::<f64>()
        });
        Some(hottest.fold(f64::NEG_INFINITY, f64::max).clamp(LEAST, MOST))
    }

    /// The most power that keeps every forecast `below` degrees under where heat costs speed, and under that by as much
    /// as the readings stray; infinite where nothing is told.
    pub(super) fn budget(&self, below: f64) -> f64 {
        self.ahead.iter().map(|ahead| self.budget_for(below, ahead)).fold(f64::INFINITY, f64::min)
    }

    /// The same, and for good.
    pub(super) fn lasting_budget(&self, below: f64) -> f64 {
        self.budget(below).min(self.budget_for(below, &self.for_good))
    }

    fn budget_for(&self, below: f64, ahead: &Ahead) -> f64 {
        let Some((present, lagged)) = self.present() else { return f64::INFINITY };
        let reach = self.reach(ahead);
        let carried: f64 = reach.iter().zip(lagged).map(|(reach, lag)| reach * lag).sum();
        let room = self.limit.costs() - below - self.stray - present - self.drift * ahead.drifts();
        (room + carried) / reach.iter().sum::<f64>()
    }

    /// Degrees from the forecast to where heat costs speed.
    pub(super) fn headroom(&self, watts: f64) -> Option<f64> {
        Some(self.limit.costs() - self.forecast(watts)?)
    }

    /// Kelvin a watt that each lag gives by then.
    fn reach(&self, ahead: &Ahead) -> [f64; 3] {
        let theta = self.fit.theta();
        std::array::from_fn(|i| theta[i + 1] * ahead.shown[i])
    }

    /// Learns from what was seen last; `onset`: heat of this place began to hold the clock down at it.
    pub(super) fn learn(&mut self, onset: bool) {
        let Some((measured, lagged)) = self.measured.zip(self.lagged) else { return };
        self.limit.learn(measured, onset, self.step);
        self.learn_stray(measured);
        self.learn_margin();
        self.gather(measured, &lagged);
    }

    fn learn_margin(&mut self) {
        let Some((sensor, margin)) = self.sensor.zip(self.margin) else { return };
        let limit = sensor + margin;
        let known = self.margin_limit.unwrap_or(limit);
        let above = limit - known;
        let step = if above < -MARGIN_ROUNDS { -MARGIN_FALLS * self.step } else { above * MARGIN_LEARNT };
        self.margin_limit = Some(known + step);
    }

    fn learn_stray(&mut self, measured: f64) {
        if let Some((present, _)) = self.present() {
            let stray = (measured - present).abs().min(STRAY_MOST);
            self.stray = stray + (self.stray - stray) * left(self.step, STRAY_OVER);
        }
    }

    fn gather(&mut self, measured: f64, lagged: &[f64; 3]) {
        let gathered = &mut self.gathered;
        gathered.seconds += self.step;
        gathered.count += 1.0;
        gathered.temperature += measured;
        for (sum, lag) in gathered.lagged.iter_mut().zip(lagged) {
            *sum += lag;
        }
        if gathered.seconds >= LEARN_EVERY {
            let Gathered { seconds, count, temperature, lagged: sums } = std::mem::take(gathered);
            let [fast, middle, slow] = sums.map(|sum| sum / count);
            let before = self.modelled(lagged);
            self.fit.learn(&[1.0, fast, middle, slow], temperature / count, NOISE, seconds);
            // The forecast starts from the temperature read, whatever the fit has learnt of it.
            let learnt = self.modelled(lagged) - before;
            self.offset = self.offset.map(|offset| offset - learnt);
        }
    }
}

#[cfg(test)]
mod tests;
