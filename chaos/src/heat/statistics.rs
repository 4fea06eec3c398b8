//! What several runs say together: means, and intervals of paired differences.

use serde::Serialize;

/// Student's t at 97.5 %, by degrees of freedom from 1: the factor of a two-sided interval of 95 %.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
/// Beyond the table: that of 30 degrees of freedom, which is a little too wide for more.
const STUDENT_BEYOND: f64 = 2.042;

/// A mean with its interval of 95 % (Student's t).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The interval's lower end; the mean itself where one run alone tells nothing of its spread.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Of the mean of some values.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count.max(1.0);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let half = match values.len().checked_sub(1) {
            None | Some(0) => 0.0,
            Some(freedom) => {
                let factor = STUDENT.get(freedom - 1).copied().unwrap_or(STUDENT_BEYOND);
                factor * (squares / freedom as f64 / count).sqrt()
            }
        };
        Self { mean, low: mean - half, high: mean + half }
    }

    /// Of the mean difference between what belongs together.
    #[must_use]
    pub fn of_pairs(ours: &[f64], theirs: &[f64]) -> Self {
        let differences: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours - theirs).collect();
        Self::of(&differences)
    }
}

/// The median of the ratios of what belongs together; none where a divisor is zero or nothing is there.
#[must_use]
pub(super) fn median_ratio(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    median(&ratios)
}

/// The median; none of nothing, nor where it is no number.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().saturating_sub(1) / 2)?, sorted.get(sorted.len() / 2)?);
    let median = f64::midpoint(*low, *high);
    median.is_finite().then_some(median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_of_ten_is_the_one_of_the_textbook() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let interval = Interval::of(&values);
        // Mean 5.5, standard deviation 3.02765, t(9) = 2.262.
        assert!((interval.mean - 5.5).abs() < 1e-9);
        assert!((interval.high - interval.mean - 2.262 * 3.027_65 / 10f64.sqrt()).abs() < 1e-4);
    }

    #[test]
    fn pairs_cancel_what_they_have_in_common() {
        let (ours, theirs) = ([11.0, 101.0, 1001.0], [10.0, 100.0, 1000.0]);
        assert_eq!(Interval::of_pairs(&ours, &theirs), Interval { mean: 1.0, low: 1.0, high: 1.0 });
        assert!(median_ratio(&ours, &theirs).is_some_and(|ratio| (ratio - 1.01).abs() < 1e-9));
        assert_eq!(median_ratio(&[0.0], &[0.0]), None);
        assert_eq!(median_ratio(&[], &[]), None);
    }
}
