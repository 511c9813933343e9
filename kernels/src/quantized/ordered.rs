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

/// Rows up to which a row has a sum for each register of a block, so that additions need not wait for each other; more rows
/// are enough by themselves with half as many.
const ROWS_OF_SEVERAL_SUMS: usize = 2;

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

    /// `total` with `scale` times all of `sums` added.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn add_scaled(total: Self::Sum, sums: [Self::Sum; VECTORS], scale: f32) -> Self::Sum;

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
        for (to, from) in x.chunks_mut(blocks * BLOCK).zip(layer.x.chunks(inputs)) {
            for (to, from) in to.iter_mut().zip(from) {
                *to = F::x(*from);
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
                        1 => self.tile::<1>(codes, &scales, x),
                        2 => self.tile::<2>(codes, &scales, x),
                        3 => self.tile::<3>(codes, &scales, x),
                        _ => self.tile::<ROWS_AT_A_TIME>(codes, &scales, x),
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
    /// As [`outputs`](Self::outputs); `x` has `R` rows.
    #[inline(always)]
    unsafe fn tile<const R: usize>(&self, codes: &[u8], scales: &[f32], x: &[F::X]) -> [f32; ROWS_AT_A_TIME] {
        debug_assert_eq!(x.len(), R * self.blocks * BLOCK);
        let blocks_a_group = self.blocks / scales.len();
        // SAFETY: the caller's promise.
        let zero = unsafe { F::zero() };
        let mut totals = [zero; R];
        for (group, &scale) in scales.iter().enumerate() {
            let mut sums = [[zero; VECTORS]; R];
            for block in group * blocks_a_group..(group + 1) * blocks_a_group {
                // SAFETY: the caller's promise.
                let weights = unsafe { self.weights(codes, block) };
                for (row, sums) in sums.iter_mut().enumerate() {
                    for (vector, weights) in weights.into_iter().enumerate() {
                        let sum = &mut sums[if R <= ROWS_OF_SEVERAL_SUMS { vector } else { vector % 2 }];
                        let at = (row * self.blocks + block) * BLOCK + vector * VECTOR;
                        // SAFETY: the caller's promise; every row of `x` has every block.
                        *sum = unsafe { F::add(*sum, x.as_ptr().add(at), weights) };
                    }
                }
            }
            for (total, sums) in totals.iter_mut().zip(sums) {
                // SAFETY: the caller's promise.
                *total = unsafe { F::add_scaled(*total, sums, scale) };
            }
        }
        let mut out = [0.0; ROWS_AT_A_TIME];
        for (out, total) in out.iter_mut().zip(totals) {
            // SAFETY: the caller's promise.
            *out = unsafe { F::total(total) };
        }
        out
    }

    /// A block of an output's codes; behind their end there are zeros.
    ///
    /// # Safety
    /// As [`outputs`](Self::outputs).
    #[inline(always)]
    unsafe fn weights(&self, codes: &[u8], block: usize) -> [F::Weights; VECTORS] {
        // A block's bytes, and one whose codes are zero.
        let (bytes, zero) = match self.layer.codes() {
            Codes::Int8(_) => (BLOCK, 0),
            Codes::Int4(_) => (BLOCK / 2, 0x88),
        };
        let rest = codes.get(block * bytes..).unwrap_or_default();
        let mut padded = [zero; BLOCK];
        let codes = if rest.len() >= bytes {
            rest.as_ptr()
        } else {
            for (to, from) in padded.iter_mut().zip(rest) {
                *to = *from;
            }
            padded.as_ptr()
        };
        // SAFETY: the caller's promise; there are a block's bytes.
        unsafe {
            match self.layer.codes() {
                Codes::Int8(_) => F::int8(codes),
                Codes::Int4(_) => F::int4(codes),
            }
        }
    }
}
