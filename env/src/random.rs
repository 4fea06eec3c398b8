//! Random numbers: the operating system's, or a seeded sequence.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Draws random numbers.
pub trait Randomness: Send + Sync + fmt::Debug {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;
}

/// The operating system's generator: fit for ids that must not be guessed.
#[derive(Clone, Copy, Debug)]
pub struct OsRandom;

impl Randomness for OsRandom {
    fn next_u64(&self) -> u64 {
        let mut bytes = [0u8; 8];
        let mut filled = 0;
        // The call is interrupted by signals at most a few times before the pool answers.
        while filled < bytes.len() {
            match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                // Only a kernel older than 3.17 lacks the call; nothing of ours runs there.
                Err(_) => break,
            }
        }
        u64::from_le_bytes(bytes)
    }
}

/// The sequence of `SplitMix64`: short, well mixed, and the same for the same seed.
///
/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Debug)]
pub struct SeededRandom(AtomicU64);

impl SeededRandom {
    /// Begins the sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Randomness for SeededRandom {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_published_sequence() {
        let random = SeededRandom::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn the_system_draws_different_numbers() {
        assert_ne!(OsRandom.next_u64(), OsRandom.next_u64());
    }
}
