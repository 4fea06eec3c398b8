//! Linear regression as values come: a Kalman filter whose parameters walk slowly, so that old values are forgotten.
//!
//! Its uncertainty is capped at that of the prior. So a time without news (an idle board) neither blows the gains up nor
//! makes the fit forget, and every gain stays bounded. Only `+ - * /` and `sqrt`: the same bits on every machine.

/// What is known of one parameter beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prior {
    /// Its most likely value.
    pub(super) value: f64,
    /// Standard deviation of that.
    pub(super) spread: f64,
    /// Standard deviation of its change over a second.
    pub(super) walk: f64,
    /// The least it can be.
    pub(super) least: f64,
    /// The most.
    pub(super) most: f64,
}

/// A fit of `y = θ · x` with `N` parameters.
#[derive(Clone, Debug)]
pub(super) struct Fit<const N: usize> {
    priors: [Prior; N],
    theta: [f64; N],
    /// Covariance of the parameters.
    spread: [[f64; N]; N],
}

impl<const N: usize> Fit<N> {
    pub(super) fn new(priors: [Prior; N]) -> Self {
        let mut spread = [[0.0; N]; N];
        for (i, prior) in priors.iter().enumerate() {
            spread[i][i] = prior.spread * prior.spread;
        }
        Self { priors, theta: priors.map(|prior| prior.value), spread }
    }

    /// The parameters.
    pub(super) const fn theta(&self) -> &[f64; N] {
        &self.theta
    }

    /// What the fit expects at `x`.
    pub(super) fn at(&self, x: &[f64; N]) -> f64 {
        dot(&self.theta, x)
    }

    /// Learns that `y` was found at `x`, `step` seconds after the value before; `noise` is the variance of `y`.
    pub(super) fn learn(&mut self, x: &[f64; N], y: f64, noise: f64, step: f64) {
        self.walk(step);
        let reach: [f64; N] = std::array::from_fn(|i| dot(&self.spread[i], x));
        let gain = reach.map(|reached| reached / (dot(&reach, x) + noise));
        let surprise = y - self.at(x);
        for ((theta, gain), prior) in self.theta.iter_mut().zip(gain).zip(&self.priors) {
            *theta = (*theta + gain * surprise).clamp(prior.least, prior.most);
        }
        for (row, gain) in self.spread.iter_mut().zip(gain) {
            for (cell, reached) in row.iter_mut().zip(reach) {
                *cell -= gain * reached;
            }
        }
    }

    /// Lets the parameters walk for `step` seconds, no further than the prior's own uncertainty.
    fn walk(&mut self, step: f64) {
        for i in 0..N {
            let prior = self.priors[i];
            self.spread[i][i] += prior.walk * prior.walk * step;
            let most = prior.spread * prior.spread;
            if self.spread[i][i] > most {
                self.shrink(i, (most / self.spread[i][i]).sqrt());
            }
        }
    }

    /// Scales one parameter's uncertainty; rows and columns together, so that the matrix stays a covariance.
    fn shrink(&mut self, index: usize, factor: f64) {
        for other in 0..N {
            self.spread[index][other] *= factor;
            self.spread[other][index] *= factor;
        }
    }
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What is left after `step` seconds of something that fades with time constant `constant`: close to `exp(-step /
/// constant)`, by its series in the denominator, so between 0 and 1 and falling for every step.
pub(super) fn left(step: f64, constant: f64) -> f64 {
    let x = step / constant;
    1.0 / (1.0 + x * (1.0 + x * (0.5 + x / 6.0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: [Prior; 2] = [
        Prior { value: 0.0, spread: 50.0, walk: 0.01, least: -100.0, most: 100.0 },
        Prior { value: 1.0, spread: 5.0, walk: 0.001, least: 0.0, most: 10.0 },
    ];

    #[test]
    fn a_line_is_found_through_rounded_values() {
        let mut fit = Fit::new(LINE);
        for n in 0..400 {
            let x = f64::from(n % 20);
            fit.learn(&[1.0, x], (30.0 + 2.3 * x).round(), 1.0, 1.0);
        }
        let [base, slope] = *fit.theta();
        assert!((base - 30.0).abs() < 0.6 && (slope - 2.3).abs() < 0.06, "{base} + {slope} x");
    }

    proptest! {
        #[test]
        fn parameters_stay_finite_and_within_their_bounds(
            values in prop::collection::vec((-1e4f64..1e4, -1e6f64..1e6, 0f64..1e5), 1..200),
        ) {
            let mut fit = Fit::new(LINE);
            for (x, y, step) in values {
                fit.learn(&[1.0, x], y, 1.0, step);
                for (theta, prior) in fit.theta().iter().zip(LINE) {
                    prop_assert!((prior.least..=prior.most).contains(theta));
                }
            }
        }

        #[test]
        fn what_is_left_falls_with_time(step in 0f64..1e6, more in 0f64..1e6, constant in 0.1f64..1e3) {
            let (sooner, later) = (left(step, constant), left(step + more, constant));
            prop_assert!(later <= sooner && sooner <= 1.0 && later >= 0.0);
        }
    }
}
