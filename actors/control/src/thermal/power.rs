//! Power over the clock: what the board draws idle, and how what work draws grows with the clock.
//!
//! Switching draws power as clock times voltage squared, and voltage grows with the clock in the upper part of the
//! range: so what work draws is fitted as a mix of the clock and its cube. Where the board tells no power, the same
//! curve over its nominal power stands for it: shape is all that the thermal fit needs.

use helixflow_model::{BoardLimits, BoardReading};

use super::estimator::{Fit, Prior, left};

/// Watts taken for the most that a board draws where the driver does not tell: a datacenter board of the middle.
const MOST_DEFAULT: f64 = 300.0;

/// Watts that are believed at all.
const MOST_BELIEVED: f64 = 5000.0;

/// Shares of the most power that are believed beforehand: idle, and of work the part that grows with the clock and the
/// part that grows with its cube.
const IDLE_SHARE: f64 = 0.15;
const LINEAR_SHARE: f64 = 0.35;
const CUBIC_SHARE: f64 = 0.5;

/// How far from that they may be, and their bounds. A board that works all the time at one clock tells their sum alone, and
/// the fit could give all of it to any of them. What is drawn whatever the clock is surely the smaller part: were it most,
/// no clock would be low enough, and the governor would go down to the lowest.
const IDLE_SPREAD: f64 = 0.08;
const WORK_SPREAD: f64 = 0.3;
const IDLE_BOUNDS: [f64; 2] = [0.02, 0.4];
const WORK_BOUNDS: [f64; 2] = [0.05, 1.5];

/// Activity (what work draws, of what the curve says full work draws) is followed upwards and downwards with these
/// time constants in seconds: work that comes is believed at once, a lull is waited for, since the next batch ends it.
const ACTIVITY_RISES: f64 = 0.5;
const ACTIVITY_FALLS: f64 = 4.0;

/// Many drivers tell power as an average over about a second. So after the clock has fallen, the power read is still in
/// part that of the higher one; it is taken to come from a clock that falls with this time constant in seconds.
const POWER_LAGS: f64 = 1.0;

/// The fit learns nothing while the clock has just changed by more than this share.
const LEARN_STEADY: f64 = 0.03;

/// The most activity that is believed: a power virus against a curve learnt from light work.
const ACTIVITY_MOST: f64 = 4.0;

/// A share of busy time from which a board counts as at work.
const BUSY: f64 = 0.01;

/// Where the share is not told (an NVIDIA board cut into instances), power over idle by this part of the most.
const BUSY_WATTS_SHARE: f64 = 0.08;

/// Utilisation from which the fit learns: short bursts tell little of the curve.
const LEARN_BUSY: f64 = 0.3;

/// Variance of the power read, as the square of this share of the most.
const NOISE_SHARE: f64 = 0.05;

/// The curve of one board, and how hard it works now.
#[derive(Clone, Debug)]
pub(super) struct PowerCurve {
    most: f64,
    fit: Fit<3>,
    activity: f64,
    seen: Seen,
}

/// What was seen last.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Watts, where the board tells them.
    watts: Option<f64>,
    /// Share of time busy, where it tells that.
    utilization: Option<f64>,
    /// The clock that the power belongs to, as a share of the highest.
    share: f64,
    steady: bool,
    step: f64,
    busy: bool,
    limit: Option<f64>,
}

impl PowerCurve {
    pub(super) fn new(limits: BoardLimits) -> Self {
        let told = limits.power_most.map(|most| f64::from(most.0) / 1000.0);
        let most = told.filter(|watts| *watts >= 1.0).unwrap_or(MOST_DEFAULT).min(MOST_BELIEVED);
        let prior = |value: f64, spread: f64, walk: f64, [least, high]: [f64; 2]| Prior {
            value: value * most,
            spread: spread * most,
            walk: walk * most,
            least: least * most,
            most: high * most,
        };
        let priors = [
            prior(IDLE_SHARE, IDLE_SPREAD, 0.001, IDLE_BOUNDS),
            prior(LINEAR_SHARE, WORK_SPREAD, 0.003, WORK_BOUNDS),
            prior(CUBIC_SHARE, WORK_SPREAD, 0.003, WORK_BOUNDS),
        ];
        Self { most, fit: Fit::new(priors), activity: 0.0, seen: Seen::default() }
    }

    /// The most that the board draws, watts.
    pub(super) const fn most(&self) -> f64 {
        self.most
    }

    /// Takes in a reading at this share of the top clock; gives the watts drawn, or what stands for them.
    pub(super) fn see(&mut self, reading: &BoardReading, share: f64, step: f64) -> f64 {
        let milliwatts = reading.power.live().map(|power| f64::from(power.0) / 1000.0);
        let watts = milliwatts.map(|watts| watts.min(MOST_BELIEVED));
        let utilization = reading.utilization.live().map(|busy| (f64::from(busy.0) / 1000.0).min(1.0));
        let over_idle = watts.map(|watts| watts - self.idle() > BUSY_WATTS_SHARE * self.most);
        let busy = utilization.map(|busy| busy >= BUSY).or(over_idle).unwrap_or(true);
        let limit = reading.power_limit.live().map(|limit| f64::from(limit.0) / 1000.0);
        let lagged = share + (self.seen.share - share) * left(step, POWER_LAGS);
        let (steady, share) = ((lagged - share).abs() < LEARN_STEADY, share.max(lagged));
        self.seen = Seen { watts, utilization, share, steady, step, busy, limit };
        let working = match (watts, busy) {
            (_, false) => 0.0,
            (Some(watts), true) => (watts - self.idle()) / self.work(share),
            (None, true) => utilization.unwrap_or(1.0),
        };
        let working = working.clamp(0.0, ACTIVITY_MOST);
        let constant = if working > self.activity { ACTIVITY_RISES } else { ACTIVITY_FALLS };
        self.activity = working + (self.activity - working) * left(step, constant);
        watts.unwrap_or_else(|| self.idle() + working * self.work(share))
    }

    /// Whether the board works now.
    pub(super) const fn is_busy(&self) -> bool {
        self.seen.busy
    }

    fn idle(&self) -> f64 {
        self.fit.theta()[0]
    }

    /// What full work draws over idle at this share of the top clock.
    fn work(&self, share: f64) -> f64 {
        let [_, linear, cubic] = *self.fit.theta();
        linear * share + cubic * share * share * share
    }

    /// Watts drawn at this share of the top clock, by work as it comes now.
    pub(super) fn at(&self, share: f64) -> f64 {
        let watts = self.idle() + self.activity * self.work(share);
        watts.min(self.seen.limit.filter(|limit| *limit > 0.0).unwrap_or(MOST_BELIEVED))
    }

    /// Learns from what was seen last.
    pub(super) fn learn(&mut self) {
        let Seen { watts, utilization, share, steady, step, .. } = self.seen;
        let Some((watts, utilization)) = watts.zip(utilization) else { return };
        if !steady || (utilization > 0.0 && utilization < LEARN_BUSY) {
            return;
        }
        let x = [1.0, utilization * share, utilization * share * share * share];
        let noise = NOISE_SHARE * self.most;
        self.fit.learn(&x, watts, noise * noise, step);
    }
}

#[cfg(test)]
mod tests;
