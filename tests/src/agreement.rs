//! How far two sets of predictions agree: pure measures over logits.

use crate::rows::Rows;

/// What a row of logits predicts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The likeliest token; of equals the lowest.
    pub token: usize,
    /// Its logit less that of the second.
    pub margin: f32,
}

/// The likeliest token and its lead.
#[must_use]
pub fn prediction(logits: &[f32]) -> Prediction {
    let mut best = (0, f32::NEG_INFINITY);
    let mut second = f32::NEG_INFINITY;
    for (token, &logit) in logits.iter().enumerate() {
        if logit > best.1 {
            second = best.1;
            best = (token, logit);
        } else {
            second = second.max(logit);
        }
    }
    Prediction { token: best.0, margin: best.1 - second }
}

/// The share of rows in which both predict the same token, from 0 to 1.
#[must_use]
pub fn same_predictions(a: &Rows, b: &Rows) -> f64 {
    let same = a.iter().zip(b.iter()).filter(|(a, b)| prediction(a).token == prediction(b).token);
    same.count() as f64 / a.count() as f64
}

/// The largest difference between any two logits.
#[must_use]
pub fn largest_difference(a: &Rows, b: &Rows) -> f32 {
    assert_eq!(a.values().len(), b.values().len(), "different numbers of logits");
    let differences = a.values().iter().zip(b.values()).map(|(a, b)| (a - b).abs());
    // Unlike `f32::max`, this keeps a NaN.
    differences.fold(
        0.0_f32,
        |largest, difference| {
            if largest.is_nan() || difference <= largest { largest } else { difference }
        },
    )
}

/// The root mean square of the differences, in proportion to that of `b` itself.
#[must_use]
pub fn relative_difference(a: &Rows, b: &Rows) -> f64 {
    assert_eq!(a.values().len(), b.values().len(), "different numbers of logits");
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let differences = squares(&mut a.values().iter().zip(b.values()).map(|(a, b)| a - b));
    (differences / squares(&mut b.values().iter().copied())).sqrt()
}

/// The perplexity of a sequence: e to the mean negative log-probability of each token after those before it.
/// `logits` has a row for each token; the last predicts none of them.
#[must_use]
pub fn perplexity(logits: &Rows, tokens: &[usize]) -> f64 {
    let surprises = logits.iter().zip(&tokens[1..]).map(|(row, &next)| -log_probability(row, next));
    (surprises.sum::<f64>() / (tokens.len() - 1) as f64).exp()
}

fn log_probability(logits: &[f32], token: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - largest).exp()).sum();
    f64::from(logits[token] - largest) - sum.ln()
}

/// The one-sided paired sign test: how likely at least `worse` of `better + worse` differences go the wrong way when
/// neither side is better.
#[must_use]
pub fn sign_test(better: u32, worse: u32) -> f64 {
    let pairs = better + worse;
    // The binomial coefficients over 2^pairs, one from the other.
    let mut term = 0.5_f64.powi(i32::try_from(pairs).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    for wrong in 0..=pairs {
        if wrong >= worse {
            tail += term;
        }
        term *= f64::from(pairs - wrong) / f64::from(wrong + 1);
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_logits_the_lowest_token_is_predicted_without_a_lead() {
        assert_eq!(prediction(&[1.0, 3.0, 3.0]), Prediction { token: 1, margin: 0.0 });
        assert_eq!(prediction(&[4.0, 1.0, 3.5]), Prediction { token: 0, margin: 0.5 });
    }

    #[test]
    fn a_nan_is_the_largest_difference() {
        let rows = |values: [f32; 3]| Rows::new(3, values.to_vec());
        assert_eq!(largest_difference(&rows([1.0, 2.0, 3.0]), &rows([1.0, 4.0, 2.5])), 2.0);
        assert!(largest_difference(&rows([1.0, f32::NAN, 3.0]), &rows([1.0, 4.0, 2.5])).is_nan());
    }

    #[test]
    fn equal_logits_are_as_perplexing_as_there_are_tokens() {
        assert!((perplexity(&Rows::zeros(4, 50), &[1, 2, 3, 4]) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn differences_count_in_proportion_to_what_differs() {
        let (a, b) = (Rows::new(2, vec![3.3, 4.4]), Rows::new(2, vec![3.0, 4.0]));
        assert!((relative_difference(&a, &b) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn the_sign_test_gives_the_tails_of_the_binomial_distribution() {
        assert_eq!(sign_test(0, 0), 1.0);
        assert_eq!(sign_test(0, 5), 1.0 / 32.0);
        assert!((sign_test(10, 20) - 0.049_368_57).abs() < 1e-6);
        assert!(sign_test(20, 10) > 0.95);
    }
}
