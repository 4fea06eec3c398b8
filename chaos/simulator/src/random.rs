//! Random numbers by their place: the n-th number of a stream of a seed, whatever was drawn before.
//!
//! So two policies under one seed see the same requests and the same air, however differently they go on: the
//! comparison is paired. The mixing is that of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
//! generators", 2014).

/// What the numbers of a stream are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Gaps,
    Kept,
    Prompts,
    Answers,
    Inlets,
    Picks,
    Physics,
}

/// The golden ratio's fraction, SplitMix64's step.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// 64 random bits.
pub(crate) fn bits(seed: u64, stream: Stream, index: u64) -> u64 {
    let place = mixed(seed ^ mixed((stream as u64).wrapping_add(1).wrapping_mul(STEP)));
    mixed(place.wrapping_add(index.wrapping_add(1).wrapping_mul(STEP)))
}

/// A number from above 0 up to 1: its logarithm is finite.
pub(crate) fn unit(seed: u64, stream: Stream, index: u64) -> f64 {
    const SCALE: f64 = 1.0 / (1u64 << 53) as f64;
    ((bits(seed, stream, index) >> 11) + 1) as f64 * SCALE
}

/// A number of the standard normal distribution (Box and Muller).
pub(crate) fn normal(seed: u64, stream: Stream, index: u64) -> f64 {
    let (one, other) = (unit(seed, stream, 2 * index), unit(seed, stream, 2 * index + 1));
    (-2.0 * libm::log(one)).sqrt() * libm::cos(std::f64::consts::TAU * other)
}

const fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_moments_of_their_distributions() {
        let count = 100_000;
        let mean = |of: &dyn Fn(u64) -> f64| (0..count).map(of).sum::<f64>() / count as f64;
        assert!((mean(&|n| unit(7, Stream::Gaps, n)) - 0.5).abs() < 0.005);
        assert!(mean(&|n| normal(7, Stream::Answers, n)).abs() < 0.02);
        assert!((mean(&|n| normal(7, Stream::Answers, n).powi(2)) - 1.0).abs() < 0.03);
    }

    #[test]
    fn seeds_streams_and_places_give_different_numbers() {
        let all = [
            bits(1, Stream::Gaps, 0),
            bits(2, Stream::Gaps, 0),
            bits(1, Stream::Kept, 0),
            bits(1, Stream::Gaps, 1),
        ];
        assert!(all.iter().enumerate().all(|(at, one)| !all[..at].contains(one)));
    }
}
