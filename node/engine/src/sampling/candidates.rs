//! The tokens that may be drawn: min-p, top-k and top-p cut the ranking short, the draw picks from what is left.
//!
//! Sums run in the order of ids, or of ranks where there is a ranking: both are fixed by the logits alone.

use helixflow_model::Sampling;

use super::draw::{draw, total};
use super::exp::exp;
use super::rank::{Rank, best, rank_front};

/// Tokens ranked at first in search of top-p, and the factor by which that grows until enough are found.
const FIRST_RANKED: usize = 256;
const RANKED_GROWTH: usize = 4;

/// Candidates of one draw; buffers are kept from draw to draw.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// For each token its probability relative to the likeliest; 0 for what min-p drops and for logits that are not
    /// finite.
    weights: Vec<f32>,
    /// What top-k and top-p leave, and the weights in the same order.
    ranks: Vec<Rank>,
    kept: Vec<f32>,
}

impl Candidates {
    /// Draws a token at `uniform` in [0, 1). The temperature must be above 0, `largest` the largest finite logit.
    pub(super) fn draw(
        &mut self,
        logits: &[f32],
        largest: f32,
        sampling: &Sampling,
        uniform: f64,
    ) -> Option<u32> {
        self.weigh(logits, largest, sampling);
        if sampling.top_k == 0 && sampling.top_p >= 1.0 {
            return draw(&self.weights, uniform).and_then(|token| u32::try_from(token).ok());
        }
        self.cut(logits, sampling.top_k as usize, f64::from(sampling.top_p));
        draw(&self.kept, uniform).and_then(|index| self.ranks.get(index)).map(|rank| rank.token())
    }

    fn weigh(&mut self, logits: &[f32], largest: f32, sampling: &Sampling) {
        self.weights.resize(logits.len(), 0.0);
        for (weight, &logit) in self.weights.iter_mut().zip(logits) {
            let share = exp((logit - largest) / sampling.temperature);
            // A logit above the largest finite one is infinite. `&`, since a branch would keep this from being
            // vector code.
            *weight = if (logit <= largest) & (share >= sampling.min_p) { share } else { 0.0 };
        }
    }

    /// Keeps the `top_k` likeliest, all for 0, and of these the fewest that hold `share` of the probability.
    fn cut(&mut self, logits: &[f32], top_k: usize, share: f64) {
        let weights = &self.weights;
        let whole = if top_k > 0 {
            best(&mut self.ranks, logits, top_k);
            self.ranks.retain(|&rank| weight(weights, rank) > 0.0);
            self.ranks.iter().map(|&rank| f64::from(weight(weights, rank))).sum()
        } else {
            let whole = total(weights);
            // Tokens below this weight together hold less than what top-p drops, so that none of them is kept. Halved,
            // which outdoes every rounding.
            let least = (1.0 - share) * whole / logits.len() as f64 / 2.0;
            let least = (least as f32).max(f32::MIN_POSITIVE);
            let likely =
                (0_u32..).zip(logits.iter().zip(weights)).filter(|(_, (_, weight))| **weight >= least);
            self.ranks.clear();
            self.ranks.extend(likely.map(|(token, (&logit, _))| Rank::new(logit, token)));
            whole
        };
        self.keep(if share < 1.0 { share * whole } else { f64::INFINITY });
    }

    /// Keeps the front of the ranking until its weights sum to `wanted`.
    fn keep(&mut self, wanted: f64) {
        self.kept.clear();
        let (mut sum, mut ranked, mut more) = (0.0, 0, FIRST_RANKED);
        while sum < wanted && self.kept.len() < self.ranks.len() {
            if self.kept.len() == ranked {
                rank_front(&mut self.ranks[ranked..], more);
                ranked = self.ranks.len().min(ranked + more);
                more *= RANKED_GROWTH;
            }
            let weight = weight(&self.weights, self.ranks[self.kept.len()]);
            sum += f64::from(weight);
            self.kept.push(weight);
        }
        self.ranks.truncate(self.kept.len());
    }
}

fn weight(weights: &[f32], rank: Rank) -> f32 {
    weights.get(rank.token() as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
