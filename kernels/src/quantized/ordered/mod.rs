//! Few rows, with codes decoded a block at a time in the order in which they lie: what registers of one kind or another
//! then do with them is a [`Form`]. Codes are read once, from one end of the weight to the other.

mod pieces;

use std::ops::Range;

use half::bf16;

use super::Codes;
use super::layer::Layer;
use pieces::{InBlock, Piece, Pieces};

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
    x: Pieces<F::X>,
    /// The sum of the `x` of each group, `[rows, groups]`, where there are offsets.
    group_sums: Vec<f32>,
}

impl<'a, F: Form> Operands<'a, F> {
    /// Operands of a layer that [`takes`] says yes to.
    pub(super) fn new(layer: &'a Layer<'a>) -> Self {
        Self { layer, x: Pieces::new::<F>(layer), group_sums: layer.group_sums() }
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
        // SAFETY: the caller's promise.
        let mut totals = vec![unsafe { F::zero() }; width * rows];
        for piece in self.x.iter() {
            for (output, totals) in outputs.clone().zip(totals.chunks_mut(rows)) {
                self.layer.scales(output, &mut scales);
                for (tile, totals) in totals.chunks_mut(ROWS_AT_A_TIME).enumerate() {
                    let row = tile * ROWS_AT_A_TIME;
                    // SAFETY: the caller's promise; there are as many rows. As many sums as registers hold beside what nibbles
                    // are decoded with, or bytes.
                    unsafe {
                        match (totals.len(), INT4) {
                            (1, true) => self.tile::<1, 2, INT4>(&piece, output, &scales, row, totals),
                            (1, false) => self.tile::<1, 4, INT4>(&piece, output, &scales, row, totals),
                            (2, _) => self.tile::<2, 2, INT4>(&piece, output, &scales, row, totals),
                            (3, true) => self.tile::<3, 1, INT4>(&piece, output, &scales, row, totals),
                            (3, false) => self.tile::<3, 2, INT4>(&piece, output, &scales, row, totals),
                            (_, true) => self.tile::<4, 1, INT4>(&piece, output, &scales, row, totals),
                            (_, false) => self.tile::<4, 2, INT4>(&piece, output, &scales, row, totals),
                        }
                    }
                }
            }
        }
        for (column, (output, totals)) in outputs.zip(totals.chunks(rows)).enumerate() {
            for (row, total) in totals.iter().enumerate() {
                let offset = self.layer.offsets_times(&self.group_sums, row, output);
                if let Some(sum) = sums.get_mut(row * width + column) {
                    // SAFETY: the caller's promise.
                    *sum = unsafe { F::total(*total) } + offset;
                }
            }
        }
    }

    /// Adds a piece of one output to the totals of `R` rows from `row` on, with `S` sums of each, so that additions need not
    /// wait for each other.
    ///
    /// # Safety
    /// As [`outputs_of`](Self::outputs_of); there are so many rows.
    #[inline(always)]
    unsafe fn tile<const R: usize, const S: usize, const INT4: bool>(
        &self,
        piece: &Piece<'_, F::X>,
        output: usize,
        scales: &[f32],
        row: usize,
        to: &mut [F::Sum],
    ) {
        let Some(to) = to.first_chunk_mut::<R>() else { return };
        // A block's bytes, and one whose codes are zero.
        let (bytes, zero_codes) = if INT4 { (BLOCK / 2, 0x88) } else { (BLOCK, 0) };
        let codes = self.layer.row(output).get(piece.start * bytes..).unwrap_or_default();
        // All blocks are whole but the last one of the only group.
        let whole_blocks = piece.blocks.min(codes.len() / bytes);
        let (scales, blocks_a_group) = match scales {
            [_] => (scales, whole_blocks),
            _ => {
                let blocks_a_group = self.layer.group() / BLOCK;
                (scales.get(piece.start / blocks_a_group..).unwrap_or_default(), blocks_a_group)
            }
        };
        // What is read next: what is behind it or, of pieces, the same one of the next output.
        let ahead = if piece.is_all { AHEAD } else { self.layer.row_bytes() };
        // SAFETY: the caller's promise.
        let zero = unsafe { F::zero() };
        let mut totals = *to;
        let mut x = piece.x.as_ptr().wrapping_add(row * piece.blocks);
        let mut at = codes.as_ptr();
        for (_, &scale) in (0..whole_blocks).step_by(blocks_a_group.max(1)).zip(scales) {
            let mut sums = [[zero; S]; R];
            for _ in 0..blocks_a_group {
                ask_for(at.wrapping_add(ahead));
                // SAFETY: the caller's promise; a block of the row, and of each row of `x`.
                unsafe { add::<F, R, S, INT4>(&mut sums, at, x, piece.blocks) };
                (at, x) = (at.wrapping_add(bytes), x.wrapping_add(1));
            }
            // SAFETY: the caller's promise.
            unsafe { add_scaled::<F, R, S>(&mut totals, sums, scale) };
        }
        if let [scale, ..] = *scales
            && piece.blocks > whole_blocks
        {
            let mut padded = [zero_codes; BLOCK];
            for (to, from) in padded.iter_mut().zip(&codes[whole_blocks * bytes..]) {
                *to = *from;
            }
            let mut sums = [[zero; S]; R];
            // SAFETY: as above, and there are a block's bytes.
            unsafe {
                add::<F, R, S, INT4>(&mut sums, padded.as_ptr(), x, piece.blocks);
                add_scaled::<F, R, S>(&mut totals, sums, scale);
            }
        }
        *to = totals;
    }
}

/// Adds a block's products with `R` rows of `x`, which lie `stride` blocks apart.
///
/// # Safety
/// The processor has the form's instructions, and may read a block's codes, and as many elements of each row.
#[inline(always)]
unsafe fn add<F: Form, const R: usize, const S: usize, const INT4: bool>(
    sums: &mut [[F::Sum; S]; R],
    codes: *const u8,
    x: *const InBlock<F::X>,
    stride: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let weights = if INT4 { F::int4(codes) } else { F::int8(codes) };
        for (row, sums) in sums.iter_mut().enumerate() {
            let x = x.add(row * stride).cast::<F::X>();
            for (vector, weights) in weights.into_iter().enumerate() {
                let sum = &mut sums[vector % S];
                *sum = F::add(*sum, x.add(vector * VECTOR), weights);
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
    totals: &mut [F::Sum; R],
    sums: [[F::Sum; S]; R],
    scale: f32,
) {
    for (total, sums) in totals.iter_mut().zip(sums) {
        for sum in sums {
            // SAFETY: the caller's promise.
            *total = unsafe { F::add_scaled(*total, sum, scale) };
        }
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
