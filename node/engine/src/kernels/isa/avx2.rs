//! AVX2 with FMA and F16C: eight lanes. Every x86-64 server since 2013 (Haswell) and 2017 (Zen) has it.
#![expect(unsafe_code, reason = "intrinsics need the instructions that `Avx2` proves")]

use std::arch::x86_64::{
    __m256, __m256i, _CMP_LT_OQ, _MM_HINT_T0, _mm_add_epi32, _mm_cvtsi32_si128, _mm_cvtsi128_si32,
    _mm_loadl_epi64, _mm_loadu_si128, _mm_max_epi32, _mm_packs_epi16, _mm_packs_epi32, _mm_prefetch,
    _mm_shuffle_epi32, _mm_storel_epi64, _mm_storeu_si128, _mm256_abs_epi8, _mm256_add_epi16,
    _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256, _mm256_andnot_ps, _mm256_castps_si256,
    _mm256_castsi256_ps, _mm256_castsi256_si128, _mm256_cmp_ps, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps,
    _mm256_cvtepu8_epi32, _mm256_cvtph_ps, _mm256_cvtps_epi32, _mm256_cvtps_ph, _mm256_div_ps,
    _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_max_epi32, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_mullo_epi32,
    _mm256_or_si256, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_si256, _mm256_sign_epi8, _mm256_sll_epi16, _mm256_slli_epi32, _mm256_srl_epi16,
    _mm256_storeu_ps, _mm256_sub_ps,
};

use super::{Isa, QUAD, memory_operations, operations};
use crate::kernels::Kernel;

const LANES: usize = 8;
/// How far ahead of the weights in use memory is asked for, in bytes. Measured: 4 KiB decodes a tenth faster than 1.
const PREFETCH: usize = 4096;
const CACHE_LINE: usize = 64;

/// The proof that the machine has AVX2, FMA and F16C: [`Avx2::detect`] alone makes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        found.then_some(Self(()))
    }

    /// Compiles the kernel for these instructions and runs it.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn compiled<K: Kernel>(isa: Avx2, kernel: K) -> K::Output {
            kernel.run(isa)
        }
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { compiled(self, kernel) }
    }
}

impl Isa for Avx2 {
    const LANES: usize = LANES;
    const TILE: usize = 4;

    type Float = __m256;
    type Int = __m256i;
    type Bytes = __m256i;

    memory_operations! {
        load(from: &[f32])[from; LANES] -> __m256 = _mm256_loadu_ps(from.as_ptr());
        store(value: __m256, to: &mut [f32])[to; LANES] = _mm256_storeu_ps(to.as_mut_ptr(), value);
        load_float_bytes(from: &[u8])[from; 4 * LANES] -> __m256 = _mm256_loadu_ps(from.as_ptr().cast());
        load_half_bytes(from: &[u8])[from; 2 * LANES] -> __m256
            = _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast()));
        load_halves(from: &[u16])[from; LANES] -> __m256 = _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast()));
        store_halves(value: __m256, to: &mut [u16])[to; LANES]
            = _mm_storeu_si128(to.as_mut_ptr().cast(), _mm256_cvtps_ph::<0>(value));
        load_widen(from: &[u8])[from; LANES] -> __m256i
            = _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.as_ptr().cast()));
        load_widen_signed(from: &[u8])[from; LANES] -> __m256i
            = _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.as_ptr().cast()));
        load_bytes(from: &[u8])[from; QUAD * LANES] -> __m256i = _mm256_loadu_si256(from.as_ptr().cast());
        store_narrow(value: __m256i, to: &mut [i8])[to; LANES] = {
            let words = _mm_packs_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256::<1>(value));
            _mm_storel_epi64(to.as_mut_ptr().cast(), _mm_packs_epi16(words, words));
        };
    }

    operations! {
        splat(value: f32) -> __m256 = _mm256_set1_ps(value);
        add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        sub(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        mul(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
        div(a: __m256, b: __m256) -> __m256 = _mm256_div_ps(a, b);
        fma(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        min(a: __m256, b: __m256) -> __m256 = _mm256_min_ps(a, b);
        max(a: __m256, b: __m256) -> __m256 = _mm256_max_ps(a, b);
        zero_below(value: __m256, x: __m256, bound: __m256) -> __m256
            = _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(x, bound), value);
        round(value: __m256) -> __m256i = _mm256_cvtps_epi32(value);
        absolute_bits(value: __m256) -> __m256i
            = _mm256_and_si256(_mm256_castps_si256(value), _mm256_set1_epi32(0x7fff_ffff));
        splat_int(value: i32) -> __m256i = _mm256_set1_epi32(value);
        to_float(value: __m256i) -> __m256 = _mm256_cvtepi32_ps(value);
        add_int(a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi32(a, b);
        mul_int(a: __m256i, b: __m256i) -> __m256i = _mm256_mullo_epi32(a, b);
        max_int(a: __m256i, b: __m256i) -> __m256i = _mm256_max_epi32(a, b);
        sum_lanes(value: __m256i) -> i32 = {
            let four = _mm_add_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256::<1>(value));
            let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b0100_1110>(four));
            _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b1011_0001>(two)))
        };
        max_lanes(value: __m256i) -> i32 = {
            let four = _mm_max_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256::<1>(value));
            let two = _mm_max_epi32(four, _mm_shuffle_epi32::<0b0100_1110>(four));
            _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32::<0b1011_0001>(two)))
        };
        power_of_two(exponent: __m256i) -> __m256
            = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(exponent, _mm256_set1_epi32(127))));
        or_bytes(a: __m256i, b: __m256i) -> __m256i = _mm256_or_si256(a, b);
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self, value: __m256i, mask: u8) -> __m256i {
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe {
            let shifted = _mm256_srl_epi16(value, _mm_cvtsi32_si128(BITS.cast_signed()));
            _mm256_and_si256(shifted, _mm256_set1_epi8(mask.cast_signed()))
        }
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, value: __m256i, mask: u8) -> __m256i {
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe {
            let shifted = _mm256_sll_epi16(value, _mm_cvtsi32_si128(BITS.cast_signed()));
            _mm256_and_si256(shifted, _mm256_set1_epi8(mask.cast_signed()))
        }
    }

    #[inline(always)]
    fn prefetch(self, block: &[u8]) {
        for line in (0..block.len()).step_by(CACHE_LINE) {
            // SAFETY: a prefetch of any address, mapped or not, has no effect but on the caches.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(block.as_ptr().wrapping_add(PREFETCH + line).cast()) };
        }
    }

    /// Bytes are multiplied and added in pairs to 16 bits (`maddubs`), and stay there for `CHAIN` quads.
    #[inline(always)]
    fn dot_unsigned<const QUADS: usize, const CHAIN: usize>(
        self,
        weights: &[__m256i; QUADS],
        inputs: &[i8],
    ) -> __m256i {
        let inputs = &inputs.as_chunks::<QUAD>().0[..QUADS];
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe {
            let mut sum = _mm256_setzero_si256();
            for start in (0..QUADS).step_by(CHAIN) {
                let mut chain = _mm256_setzero_si256();
                for quad in (start..start + CHAIN).step_by(2) {
                    let even = _mm256_maddubs_epi16(weights[quad], broadcast(inputs[quad]));
                    let odd = _mm256_maddubs_epi16(weights[quad + 1], broadcast(inputs[quad + 1]));
                    chain = _mm256_add_epi16(chain, _mm256_add_epi16(even, odd));
                }
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(chain, _mm256_set1_epi16(1)));
            }
            sum
        }
    }

    /// The sign moves from the weight to the input: |-128| is 128 as an unsigned byte, and an input is never -128.
    #[inline(always)]
    fn dot_signed(self, weights: &[__m256i; 8], inputs: &[i8; 32], _sum: i32) -> __m256i {
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe {
            let mut sum = _mm256_setzero_si256();
            for (&weight, &quad) in weights.iter().zip(inputs.as_chunks::<QUAD>().0) {
                let signed = _mm256_sign_epi8(broadcast(quad), weight);
                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weight), signed);
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            }
            sum
        }
    }
}

/// The four bytes in every lane.
///
/// # Safety
/// The machine has AVX2.
#[inline(always)]
unsafe fn broadcast(quad: [i8; QUAD]) -> __m256i {
    let bits = i32::from_le_bytes(quad.map(i8::cast_unsigned));
    // SAFETY: the caller vouches for AVX2.
    unsafe { _mm256_set1_epi32(bits) }
}
