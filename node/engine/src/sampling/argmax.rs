//! The likeliest token, in one pass that compilers turn into vector code.

use helixflow_model::TokenId;

/// Maxima kept side by side: sixteen f32 fill two AVX2 or four SSE registers.
const LANES: usize = 16;
/// Logits between two looks at the maximum so far; a multiple of [`LANES`].
const BLOCK: usize = 256;

/// The finite value, or one that never wins.
fn candidate(logit: f32) -> f32 {
    // False for NaN as well.
    if logit < f32::INFINITY { logit } else { f32::NEG_INFINITY }
}

fn maximum(block: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for group in block.chunks(LANES) {
        for (lane, &logit) in lanes.iter_mut().zip(group) {
            let logit = candidate(logit);
            *lane = if logit > *lane { logit } else { *lane };
        }
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// The token of the largest finite logit; of equals, the lowest id. None if no logit is finite.
pub(super) fn argmax(logits: &[f32]) -> Option<TokenId> {
    let mut best = f32::NEG_INFINITY;
    let mut start = 0;
    for (index, block) in logits.chunks(BLOCK).enumerate() {
        let candidate = maximum(block);
        if candidate > best {
            best = candidate;
            start = index * BLOCK;
        }
    }
    if best == f32::NEG_INFINITY {
        return None;
    }
    let offset = logits.iter().skip(start).position(|&logit| logit == best)?;
    u32::try_from(start + offset).ok().map(TokenId)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn logits_that_are_not_finite_never_win() {
        assert_eq!(argmax(&[f32::NAN, -3.0, f32::INFINITY, -2.0, f32::NEG_INFINITY]), Some(TokenId(3)));
        assert_eq!(argmax(&[f32::NAN, f32::NEG_INFINITY, f32::INFINITY]), None);
        assert_eq!(argmax(&[]), None);
    }

    proptest! {
        #[test]
        fn it_is_the_first_of_the_largest(logits in prop::collection::vec(-3_i8..3, 1..1200)) {
            let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
            let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let first = logits.iter().position(|&l| l == largest).map(|p| TokenId(p as u32));
            prop_assert_eq!(argmax(&logits), first);
        }
    }
}
