//! NEON: codes become bf16 in registers, in the order in which they lie. They are read once, from one end of the weight to
//! the other.

use std::arch::aarch64::{
    int8x16_t, uint8x16_t, uint16x8_t, vaddq_f32, vaddvq_f32, vandq_u8, vcvtq_f32_s32, vdupq_n_f32,
    vdupq_n_u8, vfmaq_n_f32, vget_low_s8, vget_low_s16, vld1q_s8, vld1q_u8, vmovl_high_s8, vmovl_high_s16,
    vmovl_s8, vmovl_s16, vqtbl1q_u8, vreinterpretq_u16_f32, vreinterpretq_u16_u8, vshrq_n_u8, vuzp2q_u16,
    vzip1q_u8, vzip2q_u8,
};
use std::borrow::Cow;
use std::ops::Range;

use half::bf16;

use super::layer::Layer;
use super::output::Output;
use super::{Codes, by_outputs};
use crate::Pool;
use crate::neon::{Dot, Products, VECTOR, Widened, load};

/// Elements that are decoded at a time.
const BLOCK: usize = 32;
const VECTORS: usize = BLOCK / VECTOR;

/// Rows of `x` that share what is decoded.
const ROWS_AT_A_TIME: usize = 4;

/// Rows up to which a row has a sum for each register of a block, so that additions need not wait for each other; more rows
/// are enough by themselves with half as many.
const ROWS_OF_SEVERAL_SUMS: usize = 2;

/// Whether groups end where blocks do.
pub(super) fn takes(layer: &Layer<'_>) -> bool {
    layer.groups() == 1 || layer.group().is_multiple_of(BLOCK)
}

/// Computes a layer.
///
/// # Safety
/// The processor has NEON, and [`takes`] says yes.
pub(super) unsafe fn linear(pool: &Pool, layer: &Layer<'_>, out: &Output<'_>) {
    let operands = Operands::new(layer);
    // SAFETY: the caller's promise.
    by_outputs(pool, layer, out, 1, |part, sums| unsafe { outputs(&operands, part, sums) });
}

/// Computes a layer with `BFDOT`.
///
/// # Safety
/// The processor has NEON with bf16, and [`takes`] says yes.
pub(super) unsafe fn linear_bf16(pool: &Pool, layer: &Layer<'_>, out: &Output<'_>) {
    let operands = Operands::new(layer);
    // SAFETY: the caller's promise.
    by_outputs(pool, layer, out, 1, |part, sums| unsafe { outputs_bf16(&operands, part, sums) });
}

#[target_feature(enable = "neon")]
fn outputs(operands: &Operands<'_>, part: Range<usize>, sums: &mut [f32]) {
    // SAFETY: the processor has what is asked for.
    unsafe { operands.outputs::<Widened>(part, sums) };
}

#[target_feature(enable = "neon,bf16")]
fn outputs_bf16(operands: &Operands<'_>, part: Range<usize>, sums: &mut [f32]) {
    // SAFETY: the processor has what is asked for.
    unsafe { operands.outputs::<Dot>(part, sums) };
}

/// An encoding.
trait Encoding {
    /// Bytes of a block.
    const BYTES: usize;

    /// A byte of codes that are zero.
    const ZERO: u8;

    /// The codes of a block in bf16, which are exact.
    ///
    /// # Safety
    /// The processor has NEON, and may read [`BYTES`](Self::BYTES).
    unsafe fn decode(block: *const u8) -> [uint16x8_t; VECTORS];
}

struct Int8;

impl Encoding for Int8 {
    const BYTES: usize = BLOCK;
    const ZERO: u8 = 0;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn decode(block: *const u8) -> [uint16x8_t; VECTORS] {
        // The upper halves of f32 are bf16, and all of it where there are no more than eight bits.
        let narrow = |codes| {
            let low = vreinterpretq_u16_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(codes))));
            vuzp2q_u16(low, vreinterpretq_u16_f32(vcvtq_f32_s32(vmovl_high_s16(codes))))
        };
        let half = |codes: int8x16_t| [narrow(vmovl_s8(vget_low_s8(codes))), narrow(vmovl_high_s8(codes))];
        // SAFETY: the caller's promise.
        let (first, second) = unsafe { (vld1q_s8(block.cast()), vld1q_s8(block.add(BLOCK / 2).cast())) };
        let ([a, b], [c, d]) = (half(first), half(second));
        [a, b, c, d]
    }
}

struct Int4;

/// The lower and upper bytes of the bf16 that nibbles stand for.
const OF_NIBBLE: [[u8; 16]; 2] = {
    let mut bytes = [[0; 16]; 2];
    let mut nibble = 0;
    while nibble < 16 {
        let [.., low, high] = (nibble as f32 - 8.0).to_bits().to_le_bytes();
        (bytes[0][nibble], bytes[1][nibble]) = (low, high);
        nibble += 1;
    }
    bytes
};

impl Encoding for Int4 {
    const BYTES: usize = BLOCK / 2;
    const ZERO: u8 = 0x88;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn decode(block: *const u8) -> [uint16x8_t; VECTORS] {
        // SAFETY: the caller's promise, and tables of a register each.
        let (bytes, lows, highs) =
            unsafe { (vld1q_u8(block), vld1q_u8(OF_NIBBLE[0].as_ptr()), vld1q_u8(OF_NIBBLE[1].as_ptr())) };
        let half = |nibbles: uint8x16_t| {
            let (low, high) = (vqtbl1q_u8(lows, nibbles), vqtbl1q_u8(highs, nibbles));
            [vreinterpretq_u16_u8(vzip1q_u8(low, high)), vreinterpretq_u16_u8(vzip2q_u8(low, high))]
        };
        // The first of two codes is in the lower nibble.
        let (even, odd) = (vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8::<4>(bytes));
        let ([a, b], [c, d]) = (half(vzip1q_u8(even, odd)), half(vzip2q_u8(even, odd)));
        [a, b, c, d]
    }
}

/// What is prepared once a call.
struct Operands<'a> {
    layer: &'a Layer<'a>,
    /// `[rows, blocks * BLOCK]`: with zeros behind each row that is not whole blocks.
    x: Cow<'a, [bf16]>,
    blocks: usize,
    /// The sum of the `x` of each group, `[rows, groups]`, where there are offsets.
    group_sums: Vec<f32>,
}

impl<'a> Operands<'a> {
    fn new(layer: &'a Layer<'a>) -> Self {
        let inputs = layer.shape.inputs;
        let blocks = inputs.div_ceil(BLOCK);
        let x = if inputs == blocks * BLOCK {
            Cow::Borrowed(layer.x)
        } else {
            let mut padded = vec![bf16::ZERO; layer.shape.rows * blocks * BLOCK];
            for (to, from) in padded.chunks_mut(blocks * BLOCK).zip(layer.x.chunks(inputs)) {
                for (to, from) in to.iter_mut().zip(from) {
                    *to = *from;
                }
            }
            Cow::Owned(padded)
        };
        Self { layer, x, blocks, group_sums: layer.group_sums() }
    }

    /// Computes some outputs for all rows. Inlined into callers with different instructions, which is what makes it two
    /// kernels.
    ///
    /// # Safety
    /// The processor has what `P` says, and [`takes`] says yes.
    #[inline(always)]
    unsafe fn outputs<P: Products>(&self, outputs: Range<usize>, sums: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.layer.codes() {
                Codes::Int8(_) => self.outputs_of::<P, Int8>(outputs, sums),
                Codes::Int4(_) => self.outputs_of::<P, Int4>(outputs, sums),
            }
        }
    }

    /// # Safety
    /// As [`outputs`](Self::outputs); `E` is the encoding.
    #[inline(always)]
    unsafe fn outputs_of<P: Products, E: Encoding>(&self, outputs: Range<usize>, sums: &mut [f32]) {
        let (width, row) = (outputs.len(), self.blocks * BLOCK);
        let mut scales = vec![0.0; self.layer.groups()];
        for (column, output) in outputs.enumerate() {
            self.layer.scales(output, &mut scales);
            let codes = self.layer.row(output);
            let offsets = self.layer.offsets(output);
            let mut sums = sums.iter_mut().skip(column).step_by(width);
            for (tile, x) in self.x.chunks(ROWS_AT_A_TIME * row).enumerate() {
                // SAFETY: the caller's promise; there are as many rows.
                let tile_sums: [f32; ROWS_AT_A_TIME] = unsafe {
                    match x.len() / row {
                        1 => self.tile::<1, P, E>(codes, &scales, x),
                        2 => self.tile::<2, P, E>(codes, &scales, x),
                        3 => self.tile::<3, P, E>(codes, &scales, x),
                        _ => self.tile::<ROWS_AT_A_TIME, P, E>(codes, &scales, x),
                    }
                };
                for (r, (sum, dot)) in sums.by_ref().take(x.len() / row).zip(tile_sums).enumerate() {
                    *sum = dot + offsets.map_or(0.0, |all| self.offset(tile * ROWS_AT_A_TIME + r, all));
                }
            }
        }
    }

    /// What the offsets add to a sum.
    fn offset(&self, row: usize, offsets: &[f32]) -> f32 {
        let sums = self.group_sums.get(row * offsets.len()..).unwrap_or_default();
        sums.iter().zip(offsets).map(|(sum, offset)| sum * offset).sum()
    }

    /// One output for `R` rows.
    ///
    /// # Safety
    /// As [`outputs_of`](Self::outputs_of); `x` has `R` rows.
    #[inline(always)]
    unsafe fn tile<const R: usize, P: Products, E: Encoding>(
        &self,
        codes: &[u8],
        scales: &[f32],
        x: &[bf16],
    ) -> [f32; ROWS_AT_A_TIME] {
        let blocks_a_group = self.blocks / scales.len();
        // SAFETY: every processor of the architecture has NEON.
        let zero = unsafe { vdupq_n_f32(0.0) };
        let mut totals = [zero; R];
        for (group, &scale) in scales.iter().enumerate() {
            let mut sums = [[zero; VECTORS]; R];
            for block in group * blocks_a_group..(group + 1) * blocks_a_group {
                // SAFETY: the caller's promise.
                let weights = unsafe { block_of::<E>(codes, block) };
                for (row, sums) in sums.iter_mut().enumerate() {
                    for (vector, weights) in weights.into_iter().enumerate() {
                        let sum = &mut sums[if R <= ROWS_OF_SEVERAL_SUMS { vector } else { vector % 2 }];
                        let at = (row * self.blocks + block) * BLOCK + vector * VECTOR;
                        // SAFETY: the caller's promise; every row of `x` has every block.
                        *sum = unsafe { P::add(*sum, load(x, at), weights) };
                    }
                }
            }
            for (total, [a, b, c, d]) in totals.iter_mut().zip(sums) {
                // SAFETY: every processor of the architecture has NEON.
                *total = unsafe { vfmaq_n_f32(*total, vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d)), scale) };
            }
        }
        let mut out = [0.0; ROWS_AT_A_TIME];
        for (out, total) in out.iter_mut().zip(totals) {
            // SAFETY: as above.
            *out = unsafe { vaddvq_f32(total) };
        }
        out
    }
}

/// A block of an output's codes; behind their end there are zeros.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn block_of<E: Encoding>(codes: &[u8], block: usize) -> [uint16x8_t; VECTORS] {
    match codes.get(block * E::BYTES..) {
        // SAFETY: the caller's promise; there are as many bytes.
        Some(bytes) if bytes.len() >= E::BYTES => unsafe { E::decode(bytes.as_ptr()) },
        rest => {
            let mut padded = [E::ZERO; BLOCK];
            for (to, from) in padded.iter_mut().zip(rest.unwrap_or_default()) {
                *to = *from;
            }
            // SAFETY: the caller's promise; a block has no more bytes than elements.
            unsafe { E::decode(padded.as_ptr()) }
        }
    }
}
