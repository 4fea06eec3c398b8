//! Draws one of many by their weights.

/// Weights summed before one look at the target; a multiple of [`LANES`].
const BLOCK: usize = 256;
/// Partial sums side by side: two AVX2 or four SSE registers of f64.
const LANES: usize = 8;

/// The sum of all weights, in an order that depends on nothing but their number.
pub(super) fn total(weights: &[f32]) -> f64 {
    weights.chunks(BLOCK).map(sum).sum()
}

fn sum(weights: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    let (groups, rest) = weights.as_chunks::<LANES>();
    for group in groups.iter().map(<[f32; LANES]>::as_slice).chain([rest]) {
        for (lane, &weight) in lanes.iter_mut().zip(group) {
            *lane += f64::from(weight);
        }
    }
    lanes.into_iter().sum()
}

/// The index at which the running sum passes the share `uniform`, in [0, 1), of the whole. None if nothing has weight.
pub(super) fn draw(weights: &[f32], uniform: f64) -> Option<usize> {
    let target = uniform * total(weights);
    let mut before = 0.0;
    let mut last = None;
    for (index, block) in weights.chunks(BLOCK).enumerate() {
        let after = before + sum(block);
        if after > before {
            last = Some((index, before));
        }
        if after > target {
            break;
        }
        before = after;
    }
    // Rounding can leave the target just out of reach of the sums: then the last index with a weight is meant.
    let (index, mut reached) = last?;
    let block = &weights.get(index * BLOCK..)?;
    let block = &block[..block.len().min(BLOCK)];
    let offset = block.iter().position(|&weight| {
        reached += f64::from(weight);
        reached > target
    });
    let offset = offset.or_else(|| block.iter().rposition(|&weight| weight > 0.0))?;
    Some(index * BLOCK + offset)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_the_range_are_the_first_and_last_with_a_weight() {
        let mut weights = vec![0.0; 1000];
        weights[300] = 0.1;
        weights[700] = 0.3;
        assert_eq!(draw(&weights, 0.0), Some(300));
        assert_eq!(draw(&weights, 1.0 - f64::EPSILON / 2.0), Some(700));
        assert_eq!(draw(&weights, 1.0), Some(700), "out of range, yet a token with a weight");
        assert_eq!(draw(&[0.0; 3], 0.5), None);
        assert_eq!(draw(&[], 0.5), None);
    }

    proptest! {
        #[test]
        fn it_is_where_the_running_sum_passes_the_share(
            // Small integers: their sums are exact in any order.
            weights in prop::collection::vec(0_u8..4, 1..1500),
            uniform in 0.0_f64..1.0,
        ) {
            let weights: Vec<f32> = weights.into_iter().map(f32::from).collect();
            let target = uniform * weights.iter().map(|&w| f64::from(w)).sum::<f64>();
            let mut reached = 0.0;
            let expected = weights.iter().position(|&weight| {
                reached += f64::from(weight);
                reached > target
            });
            prop_assert_eq!(draw(&weights, uniform), expected);
        }
    }
}
