//! Few rows, with codes decoded a block at a time in the order in which they lie: what registers of one kind or another
//! then do with them is a [`Form`]. Codes are read once, from one end of the weight to the other.

use std::ops::Range;

use half::bf16;

use super::Codes;
use super::layer::Layer;

/// Elements that are decoded at a time.
pub(super) const BLOCK: usize = 32;

/// Registers of a decoded block.
pub(super) const VECTORS: usize = 4;

/// Elements of such a register.
pub(super) const VECTOR: usize = BLOCK / VECTORS;

/// Rows of `x` that share what is decoded.
const ROWS_AT_A_TIME: usize = 4;

/// How far ahead codes are asked for, in bytes: the latency of memory at the speed of one core.
const AHEAD: usize = 1024;

/// The lower and upper bytes of the bf16 that nibbles stand for.
pub(super) const OF_NIBBLE: [[u8; 16]; 2] = {
    let mut bytes = [[0; 16]; 2];
    let mut nibble = 0;
    while nibble < 16 {
        let [.., low, high] = (nibble as f32 - 8.0).to_bits().to_le_bytes();
        (bytes[0][nibble], bytes[1][nibble]) = (low, high);
        nibble += 1;
    }
    bytes
};

/// Instructions that decode and multiply. All of it may be done only on processors that have them.
pub(super) trait Form {
    /// An element of `x` as products take it.
    type X: Copy + Default + Sync;

    /// Eight decoded weights.
    type Weights: Copy;

    /// Sums side by side.
    type Sum: Copy;

    /// An element of `x`, which stays what it is.
    fn x(x: bf16) -> Self::X;

    /// Where in a block of int4 that element lies which is at this place of the decoded registers.
    fn place_of_int4(place: usize) -> usize {
        place
    }

    /// # Safety
    /// The processor has the instructions.
    unsafe fn zero() -> Self::Sum;

    /// 32 codes of int8.
    ///
    /// # Safety
    /// The processor has the instructions, and may read 32 bytes.
    unsafe fn int8(codes: *const u8) -> [Self::Weights; VECTORS];

    /// 32 codes of int4.
    ///
    /// # Safety
    /// The processor has the instructions, and may read 16 bytes.
    unsafe fn int4(codes: *const u8) -> [Self::Weights; VECTORS];

    /// `sum` with eight products added.
    ///
    /// # Safety
    /// The processor has the instructions, and may read eight elements of `x`.
    unsafe fn add(sum: Self::Sum, x: *const Self::X, weights: Self::Weights) -> Self::Sum;

    /// `total` with `scale` times `sum` added.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn add_scaled(total: Self::Sum, sum: Self::Sum, scale: f32) -> Self::Sum;

    /// The sum of all that is side by side.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn total(sum: Self::Sum) -> f32;
}

/// Whether groups end where blocks do.
pub(super) fn takes(layer: &Layer<'_>) -> bool {
    layer.groups() == 1 || layer.group().is_multiple_of(BLOCK)
}

/// What is prepared once a call.
pub(super) struct Operands<'a, F: Form> {
    layer: &'a Layer<'a>,
    /// `[rows, blocks * BLOCK]`, with zeros behind each row that is not whole blocks.
    x: Vec<F::X>,
    blocks: usize,
    /// The sum of the `x` of each group, `[rows, groups]`, where there are offsets.
    group_sums: Vec<f32>,
}

impl<'a, F: Form> Operands<'a, F> {
    /// Operands of a layer that [`takes`] says yes to.
    pub(super) fn new(layer: &'a Layer<'a>) -> Self {
        let inputs = layer.shape.inputs;
        let blocks = inputs.div_ceil(BLOCK);
        let mut x = vec![F::X::default(); layer.shape.rows * blocks * BLOCK];
        let is_int4 = matches!(layer.codes(), Codes::Int4(_));
        for (to, from) in x.chunks_mut(blocks * BLOCK).zip(layer.x.chunks(inputs)) {
            for (to, from) in to.chunks_mut(BLOCK).zip(from.chunks(BLOCK)) {
                for (place, to) in to.iter_mut().enumerate() {
                    let place = if is_int4 { F::place_of_int4(place) } else { place };
                    if let Some(x) = from.get(place) {
                        *to = F::x(*x);
                    }
                }
            }
        }
        Self { layer, x, blocks, group_sums: layer.group_sums() }
    }

    /// Computes some outputs for all rows. Inlined into callers that are compiled for the form's instructions.
    ///
    /// # Safety
    /// The processor has them.
    #[inline(always)]
    pub(super) unsafe fn outputs(&self, outputs: Range<usize>, sums: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.layer.codes() {
                Codes::Int8(_) => self.outputs_of::<false>(outputs, sums),
                Codes::Int4(_) => self.outputs_of::<true>(outputs, sums),
            }
        }
    }

    /// # Safety
    /// As [`outputs`](Self::outputs); codes are of four bits or of eight.
    #[inline(always)]
    unsafe fn outputs_of<const INT4: bool>(&self, outputs: Range<usize>, sums: &mut [f32]) {
        let (width, rows) = (outputs.len(), self.layer.shape.rows);
        let mut scales = vec![0.0; self.layer.groups()];
        for (column, output) in outputs.enumerate() {
            self.layer.scales(output, &mut scales);
            let codes = self.layer.row(output);
            for row in (0..rows).step_by(ROWS_AT_A_TIME) {
                // SAFETY: the caller's promise; there are as many rows. As many sums as registers hold beside what nibbles are
                // decoded with, or bytes.
                let tile: [f32; ROWS_AT_A_TIME] = unsafe {
                    match (rows - row, INT4) {
                        (1, true) => self.tile::<1, 2, INT4>(codes, &scales, row),
                        (1, false) => self.tile::<1, 4, INT4>(codes, &scales, row),
                        (2, _) => self.tile::<2, 2, INT4>(codes, &scales, row),
                        (3, true) => self.tile::<3, 1, INT4>(codes, &scales, row),
                        (3, false) => self.tile::<3, 2, INT4>(codes, &scales, row),
                        (_, true) => self.tile::<ROWS_AT_A_TIME, 1, INT4>(codes, &scales, row),
                        (_, false) => self.tile::<ROWS_AT_A_TIME, 2, INT4>(codes, &scales, row),
                    }
                };
                for (row, dot) in (row..rows).zip(tile) {
                    let offset = self.layer.offsets_times(&self.group_sums, row, output);
                    if let Some(sum) = sums.get_mut(row * width + column) {
                        *sum = dot + offset;
                    }
                }
            }
        }
    }

    /// One output for `R` rows from `row` on, with `S` sums of each, so that additions need not wait for each other.
    ///
    /// # Safety
    /// As [`outputs_of`](Self::outputs_of); there are so many rows.
    #[inline(always)]
    unsafe fn tile<const R: usize, const S: usize, const INT4: bool>(
        &self,
        codes: &[u8],
        scales: &[f32],
        row: usize,
    ) -> [f32; ROWS_AT_A_TIME] {
        // A block's bytes, and one whose codes are zero.
        let (bytes, zero_codes) = if INT4 { (BLOCK / 2, 0x88) } else { (BLOCK, 0) };
        // Where there are several groups, all blocks are whole.
        let whole_blocks = codes.len() / bytes;
        let blocks_a_group = whole_blocks / scales.len();
        // SAFETY: the caller's promise.
        let zero = unsafe { F::zero() };
        let mut totals = [[zero; S]; R];
        let mut x = self.x.as_ptr().wrapping_add(row * self.blocks * BLOCK);
        let mut at = codes.as_ptr();
        for &scale in scales {
            let mut sums = [[zero; S]; R];
            for _ in 0..blocks_a_group {
                ask_for(at.wrapping_add(AHEAD));
                // SAFETY: the caller's promise; a block of the row, and of each row of `x`.
                unsafe { self.add::<R, S, INT4>(&mut sums, at, x) };
                (at, x) = (at.wrapping_add(bytes), x.wrapping_add(BLOCK));
            }
            // SAFETY: the caller's promise.
            unsafe { add_scaled::<F, R, S>(&mut totals, sums, scale) };
        }
        if let [scale] = *scales
            && self.blocks > whole_blocks
        {
            let mut padded = [zero_codes; BLOCK];
            for (to, from) in padded.iter_mut().zip(&codes[whole_blocks * bytes..]) {
                *to = *from;
            }
            let mut sums = [[zero; S]; R];
            // SAFETY: as above, and there are a block's bytes.
            unsafe {
                self.add::<R, S, INT4>(&mut sums, padded.as_ptr(), x);
                add_scaled::<F, R, S>(&mut totals, sums, scale);
            }
        }
        let mut out = [0.0; ROWS_AT_A_TIME];
        for (out, totals) in out.iter_mut().zip(totals) {
            for total in totals {
                // SAFETY: the caller's promise.
                *out += unsafe { F::total(total) };
            }
        }
        out
    }

    /// Adds a block's products.
    ///
    /// # Safety
    /// As [`tile`](Self::tile), for a block of a row's codes and of each row of `x`, the first of which is at `x`.
    #[inline(always)]
    unsafe fn add<const R: usize, const S: usize, const INT4: bool>(
        &self,
        sums: &mut [[F::Sum; S]; R],
        codes: *const u8,
        x: *const F::X,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let weights = if INT4 { F::int4(codes) } else { F::int8(codes) };
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = x.add(r * self.blocks * BLOCK);
                for (vector, weights) in weights.into_iter().enumerate() {
                    let sum = &mut sums[vector % S];
                    *sum = F::add(*sum, x.add(vector * VECTOR), weights);
                }
            }
        }
    }
}

/// Adds a group's sums, times its scale.
///
/// # Safety
/// The processor has the form's instructions.
#[inline(always)]
unsafe fn add_scaled<F: Form, const R: usize, const S: usize>(
    totals: &mut [[F::Sum; S]; R],
    sums: [[F::Sum; S]; R],
    scale: f32,
) {
    for (total, sum) in totals.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
        // SAFETY: the caller's promise.
        *total = unsafe { F::add_scaled(*total, *sum, scale) };
    }
}

/// Asks for what will be read soon: behind the end of a row is the next one.
#[inline(always)]
fn ask_for(codes: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every processor of the architecture has the instruction, which changes nothing but caches. Beyond the
        // weight's end the address may be nobody's.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(codes.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = codes;
}
