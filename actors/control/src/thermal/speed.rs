//! Speed over the clock.

use helixflow_model::Permille;

/// Share of the time, at the highest clock, that work waits for the memory, whose clock stays: half is between
/// prefill, which computes, and the decoding of small batches, which reads weights nearly all the time.
const MEMORY_BOUND: f64 = 0.5;

/// The speed at this share of the highest clock, of the speed there: time is the memory's part, which stays, and the
/// rest, which grows as the clock falls.
pub(crate) fn speed_at(share: f64) -> Permille {
    let time = MEMORY_BOUND + (1.0 - MEMORY_BOUND) / share.clamp(0.01, 1.0);
    // At least 1 and so at most 1000 after the division.
    Permille((1000.0 / time) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_falls_by_less_than_the_clock() {
        assert_eq!(speed_at(1.0), Permille(1000));
        assert_eq!(speed_at(0.5), Permille(666));
    }
}
