//! A quantity over the hours of a day: straight lines between points.

use serde::{Deserialize, Serialize};

/// Points of (hour, value), the hours rising; before the first and after the last the value stands still.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Curve(pub Vec<(f64, f64)>);

impl Curve {
    /// The value at an hour; zero for a curve without points.
    pub fn at(&self, hour: f64) -> f64 {
        let after = self.0.partition_point(|(at, _)| *at <= hour);
        let next = self.0.get(after);
        match (after.checked_sub(1).and_then(|before| self.0.get(before)), next) {
            (Some(&(from, one)), Some(&(to, other))) => one + (other - one) * (hour - from) / (to - from),
            (Some(&(_, value)), None) | (None, Some(&(_, value))) => value,
            (None, None) => 0.0,
        }
    }

    /// Whether it has points, all finite, with rising hours.
    pub fn is_sound(&self) -> bool {
        let finite = self.0.iter().all(|(hour, value)| hour.is_finite() && value.is_finite());
        !self.0.is_empty() && finite && self.0.windows(2).all(|pair| pair[0].0 < pair[1].0)
    }

    /// The highest value of the points.
    pub fn highest(&self) -> f64 {
        self.0.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_runs_straight_between_its_points_and_stands_still_outside() {
        let curve = Curve(vec![(6.0, 30.0), (12.0, 42.0)]);
        let seen: Vec<f64> = [0.0, 6.0, 9.0, 12.0, 24.0].into_iter().map(|hour| curve.at(hour)).collect();
        assert_eq!(seen, [30.0, 30.0, 36.0, 42.0, 42.0]);
    }

    #[test]
    fn a_curve_that_goes_back_in_time_is_not_sound() {
        assert!(Curve(vec![(0.0, 1.0), (1.0, 1.0)]).is_sound());
        assert!(!Curve(vec![(1.0, 1.0), (1.0, 2.0)]).is_sound());
        assert!(!Curve(Vec::new()).is_sound());
    }
}
