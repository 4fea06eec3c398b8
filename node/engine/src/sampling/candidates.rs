//! The tokens that may be drawn: min-p, top-k and top-p cut the ranking short, the draw picks from what is left.
//!
//! A token's rank is one integer, so that comparing ranks is exact and no two are equal. Probabilities are computed
//! only for what min-p and top-k leave. Sums run in the order of ids, or of ranks once there is a ranking: both are
//! fixed by the logits alone.

use std::cmp::Reverse;

use helixflow_model::Sampling;

/// Tokens ranked at first in search of top-p, and the factor by which that grows until enough are found.
const FIRST_RANKED: usize = 256;
const RANKED_GROWTH: usize = 4;

/// A finite logit above its token: larger is better, of equal logits the lower token.
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

    pub(super) fn logit(self) -> f32 {
        let ordered = (self.0 >> 32) as u32;
        f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
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

/// Candidates of one draw; buffers are kept from draw to draw.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    ranks: Vec<Rank>,
    weights: Vec<f64>,
    /// How many of `ranks`, from the front, are in order.
    ranked: usize,
    largest: f64,
    temperature: f64,
}

impl Candidates {
    /// Draws a token at `uniform` in [0, 1), or None if no logit is finite. The temperature must be above 0.
    pub(super) fn draw(&mut self, logits: &[f32], sampling: &Sampling, uniform: f64) -> Option<u32> {
        self.collect(logits, sampling)?;
        self.keep_top_k(sampling.top_k as usize);
        self.keep_top_p(f64::from(sampling.top_p));
        self.pick(uniform)
    }

    /// Every finite logit that min-p leaves, in order of ids.
    fn collect(&mut self, logits: &[f32], sampling: &Sampling) -> Option<()> {
        let largest = logits.iter().copied().filter(|l| l.is_finite()).reduce(f32::max)?;
        self.largest = f64::from(largest);
        self.temperature = f64::from(sampling.temperature);
        // weight >= min_p, without an exponential a token.
        let floor = if sampling.min_p > 0.0 {
            self.largest + self.temperature * libm::log(f64::from(sampling.min_p))
        } else {
            f64::NEG_INFINITY
        };
        self.ranked = 0;
        self.ranks.clear();
        self.ranks.extend(
            (0_u32..)
                .zip(logits)
                .filter(|(_, logit)| logit.is_finite() && f64::from(**logit) >= floor)
                .map(|(token, &logit)| Rank::new(logit, token)),
        );
        Some(())
    }

    fn keep_top_k(&mut self, count: usize) {
        if count == 0 || count >= self.ranks.len() {
            return;
        }
        rank_front(&mut self.ranks, count);
        self.ranks.truncate(count);
        self.ranked = count;
    }

    /// The shortest front of the ranking whose probabilities sum to `share`.
    fn keep_top_p(&mut self, share: f64) {
        if share >= 1.0 {
            return;
        }
        let wanted = share * self.ranks.iter().map(|&rank| self.weight(rank)).sum::<f64>();
        let (mut sum, mut kept, mut grow) = (0.0, 0, FIRST_RANKED);
        while kept < self.ranks.len() && (kept == 0 || sum < wanted) {
            if kept == self.ranked {
                rank_front(&mut self.ranks[kept..], grow);
                self.ranked = self.ranks.len().min(kept + grow);
                grow *= RANKED_GROWTH;
            }
            sum += self.weight(self.ranks[kept]);
            kept += 1;
        }
        self.ranks.truncate(kept);
    }

    /// Probability of a token relative to the likeliest.
    fn weight(&self, rank: Rank) -> f64 {
        libm::exp((f64::from(rank.logit()) - self.largest) / self.temperature)
    }

    fn pick(&mut self, uniform: f64) -> Option<u32> {
        let mut weights = std::mem::take(&mut self.weights);
        weights.clear();
        weights.extend(self.ranks.iter().map(|&rank| self.weight(rank)));
        let target = uniform * weights.iter().sum::<f64>();
        let mut sum = 0.0;
        let reached = weights.iter().position(|weight| {
            sum += weight;
            sum > target
        });
        // The sum passes the target, since that is below the whole of the same sum; rounding of the product could
        // make them equal at most, and then the last token that has a weight is meant.
        let index = reached.or_else(|| weights.iter().rposition(|&weight| weight > 0.0));
        self.weights = weights;
        self.ranks.get(index?).map(|rank| rank.token())
    }
}

#[cfg(test)]
mod tests;
