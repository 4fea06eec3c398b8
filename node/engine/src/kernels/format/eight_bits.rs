//! Q8_0: blocks of 32 signed bytes.
//!
//! ```text
//! 16 scales (f16) | 8 × 64 bytes: quads 0 to 7      544 bytes
//! ```

use super::{
    BLOCK, Format, HALF_BYTES, Isa, QUAD, QUAD_BYTES, QUADS, Quads, QuantBlock, QuantFormat, TensorType,
    half_of, lanes, put_half, quad_byte,
};

/// Scale times a signed byte, -128 among them.
pub(in crate::kernels) struct Q8_0;

impl Format for Q8_0 {
    const KIND: TensorType = TensorType::Q8_0;
    const COLUMNS: usize = BLOCK;
    const BYTES: usize = HALF_BYTES + QUADS * QUAD_BYTES;

    fn pack(raw: &[u8], row: usize, packed: &mut [u8]) {
        put_half(raw, row, packed, 0);
        for column in 0..BLOCK {
            packed[HALF_BYTES + quad_byte(row, column)] = raw[2 + column];
        }
    }

    fn weight(packed: &[u8], row: usize, column: usize) -> f32 {
        let number = packed[HALF_BYTES + quad_byte(row, column)].cast_signed();
        half_of(packed, 0, row) * f32::from(number)
    }
}

impl QuantFormat for Q8_0 {
    const MINIMUM: bool = false;

    #[inline(always)]
    fn unpack<I: Isa>(isa: I, packed: &[u8], _sub_block: usize, part: usize) -> Quads<I> {
        let first = isa.load_bytes(lanes::<I>(packed, HALF_BYTES, QUAD, part));
        let mut quads = [first; QUADS];
        for (index, quad) in quads.iter_mut().enumerate() {
            *quad = isa.load_bytes(lanes::<I>(packed, HALF_BYTES + index * QUAD_BYTES, QUAD, part));
        }
        Quads::new(isa, quads)
    }

    #[inline(always)]
    fn scales<I: Isa>(isa: I, packed: &[u8], _sub_block: usize, part: usize) -> (I::Float, I::Float) {
        (isa.load_half_bytes(lanes::<I>(packed, 0, 2, part)), isa.splat(0.0))
    }

    #[inline(always)]
    fn dot<I: Isa>(isa: I, quads: &Quads<I>, inputs: &QuantBlock) -> I::Int {
        isa.dot_signed(&quads.bytes, &inputs.quants, inputs.sum)
    }
}
