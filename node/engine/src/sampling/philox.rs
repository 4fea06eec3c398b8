//! The random number of a token: Philox4x32-10, a counter-based generator.
//!
//! It has no state. Nothing that was drawn before, no other sequence and no restart changes what a token gets, so a
//! stream can go on elsewhere. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC '11, and its library Random123.

const ROUNDS: usize = 10;
/// The two multipliers of a round.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// Added to the key after each round: the golden ratio and the square root of three, minus one, in 32 bits.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Which random number: that of one token of one choice under one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The request's seed.
    pub seed: u64,
    /// Which of its choices, from 0.
    pub choice: u32,
    /// Index of the token among the generated ones, from 0.
    pub index: u32,
}

impl Draw {
    /// Uniform in [0, 1), in steps of 2^-53.
    pub fn uniform(self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        let [low, high, ..] = philox4x32_10([self.index, self.choice, 0, 0], words(self.seed));
        let bits = u64::from(high) << 32 | u64::from(low);
        (bits >> 11) as f64 * STEP
    }
}

/// Low and high half.
fn words(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let [low0, high0] = words(u64::from(MULTIPLIERS[0]) * u64::from(counter[0]));
        let [low1, high1] = words(u64::from(MULTIPLIERS[1]) * u64::from(counter[2]));
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines `philox4x32 10` of `kat_vectors` in Random123.
    #[test]
    fn the_published_vectors_come_out() {
        let ones = u32::MAX;
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([ones; 4], [ones; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox4x32_10(counter, key), expected);
        }
    }

    #[test]
    fn seed_choice_and_index_each_change_the_number() {
        let base = Draw { seed: 1, choice: 0, index: 0 };
        let others = [Draw { seed: 1 << 32, ..base }, Draw { choice: 1, ..base }, Draw { index: 1, ..base }];
        for other in others {
            assert_ne!(base.uniform().to_bits(), other.uniform().to_bits());
        }
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let mut tenths = [0; 10];
        for index in 0..10_000 {
            tenths[(Draw { seed: 42, choice: 3, index }.uniform() * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (900..1100).contains(count)), "{tenths:?}");
    }
}
