//! The exponential, for a whole vocabulary at a time.
//!
//! `libm` has one, but branches for every number: a draw over 49,152 tokens spent most of its time there. This one is
//! straight code of additions and multiplications in a fixed order, without fused ones, so compilers turn it into
//! vector code and every CPU gives the same bits. Source of the method and the polynomial: `expf` of Cephes, 2.8, by
//! Stephen L. Moshier.

/// Below, e^x is less than the smallest normal f32: the weight is taken as zero.
const LOWEST: f32 = -87.0;
/// 1.5 · 2^23: adding it to a small number rounds that to an integer, which stands in the low bits of the sum.
const ROUNDER: f32 = 12_582_912.0;
/// ln 2 in two parts; a small integer times the first is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// (e^r − 1 − r) / r² for |r| ≤ ln 2 / 2, highest power first.
const POLYNOMIAL: [f32; 6] =
    [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5];
const EXPONENT_BIAS: u32 = 127;
const MANTISSA_BITS: u32 = 23;

/// e^x for x of at most 0, to about 1 unit in the last place; 0 below -87 and for NaN.
pub(super) fn exp(x: f32) -> f32 {
    let rounded = x * std::f32::consts::LOG2_E + ROUNDER;
    let power = rounded - ROUNDER;
    let rest = x - power * LN_2_HIGH - power * LN_2_LOW;
    let [first, others @ ..] = POLYNOMIAL;
    let tail = others.into_iter().fold(first, |sum, coefficient| sum * rest + coefficient);
    let mantissa = tail * rest * rest + rest + 1.0;
    let scale =
        f32::from_bits((rounded.to_bits() << MANTISSA_BITS).wrapping_add(EXPONENT_BIAS << MANTISSA_BITS));
    if x >= LOWEST { mantissa * scale } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_exponential() {
        let mut worst = 0.0_f64;
        for step in 0..870_000 {
            let x = -(step as f32) / 10_000.0;
            let exact = libm::exp(f64::from(x));
            worst = worst.max((f64::from(exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 1.5e-7, "relative error {worst:e}");
    }

    #[test]
    fn its_ends_are_exact() {
        assert_eq!([exp(0.0), exp(-0.0), exp(-87.1), exp(f32::NEG_INFINITY)], [1.0, 1.0, 0.0, 0.0]);
        assert_eq!(exp(f32::NAN).to_bits(), 0);
    }

    #[test]
    fn golden_bits() {
        let bits = [-0.1, -1.0, -3.7, -17.25, -86.9].map(|x| exp(x).to_bits());
        let golden = [0x3f67_a36d, 0x3ebc_5ab2, 0x3cca_88fe, 0x330a_7a4f, 0x00c6_0f89];
        assert_eq!(bits, golden);
    }
}
