//! The cuts against their plain definitions.

use proptest::prelude::*;

use super::*;

fn sampling() -> Sampling {
    Sampling { temperature: 1.0, ..Sampling::default() }
}

fn draw(logits: &[f32], sampling: &Sampling, uniform: f64) -> Option<u32> {
    let largest = logits.iter().copied().filter(|logit| logit.is_finite()).reduce(f32::max)?;
    Candidates::default().draw(logits, largest, sampling, uniform)
}

/// The tokens left by the cuts, in order of ids.
fn support(logits: &[f32], sampling: &Sampling) -> Vec<u32> {
    let mut candidates = Candidates::default();
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    candidates.draw(logits, largest, sampling, 0.0);
    let mut tokens: Vec<u32> = if sampling.top_k == 0 && sampling.top_p >= 1.0 {
        (0..).zip(&candidates.weights).filter(|(_, weight)| **weight > 0.0).map(|(token, _)| token).collect()
    } else {
        candidates.ranks.iter().map(|rank| rank.token()).collect()
    };
    tokens.sort_unstable();
    tokens
}

/// The same by the definitions: sort everything, compute every probability.
fn support_by_definition(logits: &[f32], sampling: &Sampling) -> Vec<u32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight =
        |logit: f32| ((f64::from(logit) - f64::from(largest)) / f64::from(sampling.temperature)).exp();
    let mut all: Vec<(f32, u32)> = logits.iter().copied().zip(0..).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.retain(|&(logit, _)| weight(logit) >= f64::from(sampling.min_p) * (1.0 - 1e-6));
    if sampling.top_k > 0 {
        all.truncate(sampling.top_k as usize);
    }
    let total: f64 = all.iter().map(|&(logit, _)| weight(logit)).sum();
    let mut sum = 0.0;
    let mut tokens = Vec::new();
    for (logit, token) in all {
        if sampling.top_p < 1.0 && sum >= f64::from(sampling.top_p) * total {
            break;
        }
        sum += weight(logit);
        tokens.push(token);
    }
    tokens.sort_unstable();
    tokens
}

#[test]
fn equal_logits_rank_by_lower_token() {
    let logits = [1.0, 2.0, 2.0, 2.0, 0.0];
    assert_eq!(support(&logits, &Sampling { top_k: 2, ..sampling() }), [1, 2]);
    assert_eq!(support(&[-0.0, 0.0, -0.0], &Sampling { top_k: 1, ..sampling() }), [0]);
}

#[test]
fn at_least_one_token_is_left() {
    let flat = vec![0.5; 1000];
    let strict = Sampling { top_p: f32::MIN_POSITIVE, min_p: 1.0, ..sampling() };
    assert_eq!(support(&flat, &strict), [0]);
}

#[test]
fn logits_that_are_not_finite_are_never_drawn() {
    let logits = [f32::NAN, 0.0, f32::INFINITY, f32::NEG_INFINITY];
    let cut = Sampling { top_k: 3, top_p: 0.9, ..sampling() };
    for uniform in [0.0, 0.5, 1.0 - f64::EPSILON] {
        assert_eq!(draw(&logits, &sampling(), uniform), Some(1));
        assert_eq!(draw(&logits, &cut, uniform), Some(1));
    }
}

#[test]
fn extreme_temperatures_still_draw() {
    let logits = [3.0e38, -3.0e38, 2.9e38];
    for temperature in [f32::MIN_POSITIVE, 1e-6, 100.0] {
        let sampling = Sampling { temperature, ..sampling() };
        assert_eq!(draw(&logits, &sampling, 0.0), Some(0));
        assert_eq!(draw(&logits, &sampling, 0.999), Some(0));
    }
}

#[test]
fn draws_follow_the_probabilities() {
    let logits = [0.0, 3.0_f32.ln(), f32::NEG_INFINITY, 6.0_f32.ln()];
    let mut counts = [0_u32; 4];
    for step in 0..10_000 {
        let drawn = draw(&logits, &sampling(), f64::from(step) / 10_000.0);
        counts[drawn.expect("there are candidates") as usize] += 1;
    }
    for (count, expected) in counts.into_iter().zip([1_000, 3_000, 0, 6_000]) {
        assert!(count.abs_diff(expected) <= 1, "{counts:?}");
    }
}

proptest! {
    #[test]
    fn the_cuts_are_those_of_the_definitions(
        // Quarter steps: their sums of exponentials do not fall on the edge of a share by rounding.
        logits in prop::collection::vec((-20_i8..20).prop_map(|l| f32::from(l) / 4.0), 1..900),
        top_k in 0_u32..40,
        top_p in prop_oneof![Just(1.0_f32), 0.0123_f32..0.987],
        min_p in prop_oneof![Just(0.0_f32), 0.011_f32..0.9],
        temperature in 0.3_f32..2.0,
    ) {
        let sampling = Sampling { top_k, top_p, min_p, temperature, ..sampling() };
        prop_assert_eq!(support(&logits, &sampling), support_by_definition(&logits, &sampling));
    }
}
