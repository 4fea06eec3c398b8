//! The angles of rotary position embedding.
//!
//! Computed in 64-bit floats by the pure-Rust crate `libm`, whose results do not depend on the CPU, and rounded once
//! to 32 bits: nearer to the exact angle than 32-bit arithmetic, and the same everywhere.

/// How positions are scaled beyond the length that the model was trained on.
pub(super) struct Scaling {
    /// Every angle is divided by this; 1 for none.
    pub(super) linear: f32,
    /// The frequency of each pair is divided by its factor (Llama 3); all 1 for none.
    pub(super) factors: Vec<f32>,
}

/// Angle per position of each pair of dimensions.
#[derive(Clone, Debug)]
pub(super) struct Rotation {
    frequencies: Vec<f64>,
}

impl Rotation {
    /// Pair `i` of `pairs` turns by `base^(-i / pairs)` a position, scaled.
    pub(super) fn new(pairs: usize, base: f32, scaling: &Scaling) -> Self {
        let frequency = |(pair, factor): (usize, &f32)| {
            let exponent = -(pair as f64) / pairs as f64;
            libm::pow(f64::from(base), exponent) / f64::from(*factor) / f64::from(scaling.linear)
        };
        Self { frequencies: scaling.factors.iter().take(pairs).enumerate().map(frequency).collect() }
    }

    /// Number of pairs that turn.
    pub(super) fn pairs(&self) -> usize {
        self.frequencies.len()
    }

    /// Cosine and sine of each pair at a position.
    pub(super) fn turns(&self, position: u32, out: &mut [[f32; 2]]) {
        for (turn, frequency) in out.iter_mut().zip(&self.frequencies) {
            let (sine, cosine) = libm::sincos(f64::from(position) * frequency);
            *turn = [cosine as f32, sine as f32];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(linear: f32, factors: Vec<f32>, position: u32) -> Vec<[f32; 2]> {
        let mut out = vec![[0.0; 2]; factors.len()];
        Rotation::new(factors.len(), 10_000.0, &Scaling { linear, factors }).turns(position, &mut out);
        out
    }

    #[test]
    fn position_zero_turns_nothing() {
        assert_eq!(turns(1.0, vec![1.0; 4], 0), vec![[1.0, 0.0]; 4]);
    }

    #[test]
    fn the_first_pair_turns_by_one_radian_a_position() {
        let [cosine, sine] = turns(1.0, vec![1.0; 4], 1)[0];
        assert!((f64::from(cosine) - 0.540_302_305_868).abs() < 1e-7);
        assert!((f64::from(sine) - 0.841_470_984_808).abs() < 1e-7);
    }

    #[test]
    fn linear_scaling_and_equal_factors_slow_every_pair_alike() {
        assert_eq!(turns(4.0, vec![1.0; 4], 8), turns(1.0, vec![1.0; 4], 2));
        assert_eq!(turns(1.0, vec![4.0; 4], 8), turns(1.0, vec![1.0; 4], 2));
    }

    #[test]
    fn a_factor_slows_its_own_pair_alone() {
        let (plain, scaled) = (turns(1.0, vec![1.0; 2], 6), turns(1.0, vec![1.0, 2.0], 6));
        assert_eq!(plain[0], scaled[0]);
        assert_eq!(turns(1.0, vec![1.0; 2], 3)[1], scaled[1]);
    }
}
