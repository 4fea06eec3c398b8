//! The exponential function, the same bits everywhere: fused operations in one order, no platform mathematics.
//!
//! `exp(x) = 2ⁿ · exp(r)` with `n = round(x / ln 2)` and `r = x − n · ln 2`, the logarithm split in two so that `r` is
//! exact to the last bits. The polynomial is that of the Cephes library (`expf.c`, S. Moshier): within 2 units in the
//! last place.

use super::isa::Isa;

/// Beyond this the result is that of 88: still finite, and large enough for every use here.
const HIGHEST: f32 = 88.0;
/// Below this the result is 0; the last value before has the smallest normal exponent.
const LOWEST: f32 = -87.3;
/// The upper bits of ln 2, few enough that `n` times them is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
/// The rest of ln 2.
const LN_2_LOW: f32 = -2.121_944_4e-4;
const POLYNOMIAL: [f32; 6] =
    [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// e to the power of each lane; NaN stays NaN.
#[inline(always)]
pub(super) fn exp<I: Isa>(isa: I, x: I::Float) -> I::Float {
    // The bound comes first in both: with NaN, `min` and `max` give their second argument.
    let bounded = isa.max(isa.splat(LOWEST), isa.min(isa.splat(HIGHEST), x));
    let exponent = isa.round(isa.mul(bounded, isa.splat(std::f32::consts::LOG2_E)));
    let n = isa.to_float(exponent);
    let r = isa.fma(n, isa.splat(-LN_2_HIGH), bounded);
    let r = isa.fma(n, isa.splat(-LN_2_LOW), r);
    let mut sum = isa.splat(POLYNOMIAL[0]);
    for coefficient in &POLYNOMIAL[1..] {
        sum = isa.fma(sum, r, isa.splat(*coefficient));
    }
    let sum = isa.fma(sum, isa.mul(r, r), isa.add(r, isa.splat(1.0)));
    isa.zero_below(isa.mul(sum, isa.power_of_two(exponent)), x, isa.splat(LOWEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::isa::Scalar;

    fn scalar(x: f32) -> f32 {
        exp(Scalar, [x; 16])[0]
    }

    #[test]
    fn it_is_within_two_units_in_the_last_place() {
        for step in 0..200_000_i32 {
            let x = -87.2 + step as f32 * (175.0 / 200_000.0);
            let exact = libm::exp(f64::from(x));
            let relative = (f64::from(scalar(x)) - exact).abs() / exact;
            assert!(relative < 2.0 * f64::from(f32::EPSILON), "exp({x}) is off by {relative:e}");
        }
    }

    #[test]
    fn its_ends_are_zero_bounded_and_nan() {
        assert_eq!(scalar(0.0), 1.0);
        assert_eq!(scalar(f32::NEG_INFINITY), 0.0);
        assert_eq!(scalar(-88.0), 0.0);
        assert_eq!(scalar(f32::INFINITY), scalar(88.0));
        assert!(scalar(f32::NAN).is_nan());
    }
}
