//! The order of tokens by logit, exact and total.

use std::cmp::Reverse;

/// A finite logit above its token: larger is better, of equal logits the lower token.
///
/// One integer, so that comparing is exact and no two are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(u64);

impl Rank {
    pub(super) fn new(logit: f32, token: u32) -> Self {
        // Adding zero makes -0 and 0 equals. The rest maps IEEE order to integer order: flip all bits of negatives,
        // the sign of the others.
        let bits = (logit + 0.0).to_bits();
        let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        Self(u64::from(ordered) << 32 | u64::from(!token))
    }

    pub(super) fn token(self) -> u32 {
        !(self.0 as u32)
    }
}

/// Puts the best `count` of `ranks` first, in order.
pub(super) fn rank_front(ranks: &mut [Rank], count: usize) {
    if count == 0 {
        return;
    }
    if count < ranks.len() {
        ranks.select_nth_unstable_by_key(count - 1, |&rank| Reverse(rank));
    }
    let count = count.min(ranks.len());
    ranks[..count].sort_unstable_by_key(|&rank| Reverse(rank));
}

/// Fills `ranks` with the best `count` of all finite logits, in order.
///
/// Collects twice as many, throws the worse half away, and goes on with what is better than the worst of the rest:
/// most logits cost one comparison.
pub(super) fn best(ranks: &mut Vec<Rank>, logits: &[f32], count: usize) {
    ranks.clear();
    if count == 0 {
        return;
    }
    let mut floor = f32::NEG_INFINITY;
    for (token, &logit) in (0_u32..).zip(logits) {
        // A later token of an equal logit ranks lower, so that the floor itself is no longer wanted.
        if logit > floor && logit < f32::INFINITY {
            ranks.push(Rank::new(logit, token));
            if ranks.len() == count.saturating_mul(2) {
                rank_front(ranks, count);
                ranks.truncate(count);
                let worst = ranks.last().and_then(|rank| logits.get(rank.token() as usize));
                floor = worst.copied().unwrap_or(f32::INFINITY);
            }
        }
    }
    rank_front(ranks, count);
    ranks.truncate(count);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranks_are_ordered_like_logits_and_then_tokens(a in any::<(u32, u32)>(), b in any::<(u32, u32)>()) {
            let [a, b] = [a, b].map(|(bits, token)| (f32::from_bits(bits), token));
            prop_assume!(a.0.is_finite() && b.0.is_finite());
            let expected = a.0.partial_cmp(&b.0).map(|by_logit| by_logit.then(b.1.cmp(&a.1)));
            prop_assert_eq!(Some(Rank::new(a.0, a.1).cmp(&Rank::new(b.0, b.1))), expected);
            prop_assert_eq!(Rank::new(a.0, a.1).token(), a.1);
        }

        #[test]
        fn the_best_are_the_front_of_the_ranking(
            logits in prop::collection::vec(-4_i8..4, 0..200),
            count in 0_usize..30,
        ) {
            let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
            let mut ranks: Vec<Rank> = (0..).zip(&logits).map(|(token, &logit)| Rank::new(logit, token)).collect();
            rank_front(&mut ranks, count);
            ranks.truncate(count);
            let mut found = Vec::new();
            best(&mut found, &logits, count);
            prop_assert_eq!(found, ranks);
        }
    }
}
