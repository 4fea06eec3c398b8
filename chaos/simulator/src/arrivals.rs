//! The requests of a day: a Poisson process whose rate follows a curve, each request with its lengths.
//!
//! Arrivals of the highest rate are drawn and thinned to the present one (Lewis and Shedler: "Simulation of
//! nonhomogeneous Poisson processes by thinning", 1979). The n-th candidate is the same for every policy.

use crate::Curve;
use crate::random::{Stream, normal, unit};
use crate::scenario::{Lengths, Requests};

/// Seconds of an hour.
pub(crate) const HOUR: f64 = 3600.0;

/// A request as it arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// When, in seconds of the day.
    pub at: f64,
    /// Tokens sent; at least 2.
    pub prompt: u32,
    /// Tokens that will be generated; at least 1.
    pub answer: u32,
}

/// The requests of a fleet from a time on, in order; it never ends.
#[derive(Clone, Debug)]
pub struct Arrivals<'a> {
    share: &'a Curve,
    requests: &'a Requests,
    seed: u64,
    /// Requests a second at a share of 1.
    rate: f64,
    at: f64,
    candidate: u64,
}

impl<'a> Arrivals<'a> {
    /// Requests from the second `from` of the day on, `rate` of them a second where the curve is at 1.
    pub fn new(share: &'a Curve, requests: &'a Requests, rate: f64, from: f64, seed: u64) -> Self {
        Self { share, requests, seed, rate, at: from, candidate: 0 }
    }
}

impl Iterator for Arrivals<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let highest = self.share.highest();
        if highest <= 0.0 || self.rate <= 0.0 {
            return None;
        }
        loop {
            let n = self.candidate;
            self.candidate += 1;
            self.at -= libm::log(unit(self.seed, Stream::Gaps, n)) / (self.rate * highest);
            if unit(self.seed, Stream::Kept, n) * highest <= self.share.at(self.at / HOUR) {
                let prompt = length(&self.requests.prompt, self.seed, Stream::Prompts, n).max(2);
                let answer = length(&self.requests.answer, self.seed, Stream::Answers, n);
                return Some(Arrival { at: self.at, prompt, answer });
            }
        }
    }
}

fn length(lengths: &Lengths, seed: u64, stream: Stream, n: u64) -> u32 {
    let drawn = lengths.median * libm::exp(lengths.sigma * normal(seed, stream, n));
    drawn.clamp(1.0, f64::from(lengths.most)) as u32
}

/// What a distribution of lengths is on average.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    pub(crate) mean: f64,
    pub(crate) mean_square: f64,
}

/// Of a distribution as it is cut off, from a fixed sample.
pub(crate) fn moments(lengths: &Lengths) -> Moments {
    /// Enough for half of a per cent.
    const SAMPLES: u64 = 20_000;
    let drawn = (0..SAMPLES).map(|n| f64::from(length(lengths, 0, Stream::Answers, n)));
    let (sum, squares) = drawn.fold((0.0, 0.0), |(sum, squares), one| (sum + one, squares + one * one));
    Moments { mean: sum / SAMPLES as f64, mean_square: squares / SAMPLES as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: Requests = Requests {
        prompt: Lengths { median: 300.0, sigma: 0.5, most: 1000 },
        answer: Lengths { median: 200.0, sigma: 0.5, most: 800 },
    };

    #[test]
    fn arrivals_follow_the_curve() {
        let share = Curve(vec![(0.0, 0.2), (1.0, 1.0)]);
        let arrivals = Arrivals::new(&share, &REQUESTS, 50.0, 0.0, 3).take_while(|arrival| arrival.at < HOUR);
        let (early, late): (Vec<_>, Vec<_>) = arrivals.partition(|arrival| arrival.at < HOUR / 2.0);
        let expected = [0.4 * 50.0 * 1800.0, 0.8 * 50.0 * 1800.0];
        for (seen, expected) in [early.len(), late.len()].into_iter().zip(expected) {
            assert!((seen as f64 - expected).abs() < 4.0 * expected.sqrt(), "{seen} of {expected}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_requests_and_another_gives_others() {
        let share = Curve(vec![(0.0, 0.5)]);
        let drawn = |seed| Arrivals::new(&share, &REQUESTS, 10.0, 0.0, seed).take(100).collect::<Vec<_>>();
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        assert!(drawn(1).windows(2).all(|pair| pair[0].at < pair[1].at));
    }

    #[test]
    fn lengths_keep_to_their_mean_and_their_bound() {
        let expected = 200.0 * libm::exp(0.125);
        assert!((moments(&REQUESTS.answer).mean / expected - 1.0).abs() < 0.02);
        let share = Curve(vec![(0.0, 1.0)]);
        let longest = Arrivals::new(&share, &REQUESTS, 1.0, 0.0, 1).take(20_000).map(|one| one.answer).max();
        assert_eq!(longest, Some(800));
    }
}
