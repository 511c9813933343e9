//! Few rows with AVX-512: codes become bf16 in registers, and are multiplied with `VDPBF16PS`. The codes are read once,
//! from one end of the weight to the other.

pub(super) mod blocks;
pub(super) mod groups;
pub(super) mod inputs;

use std::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_ps, _mm512_cvtss_f32, _mm512_dpbf16_ps,
    _mm512_fmadd_ps, _mm512_load_si512, _mm512_reduce_add_ps, _mm512_setzero_ps, _mm512_store_si512,
};
use std::ops::Range;

use half::bf16;

use super::layer::Layer;
use super::output::Output;
use super::{Codes, Scales, by_outputs};
use crate::Pool;
use blocks::{BYTES, Block, Int4, Int8, VECTOR, as_bf16};
use groups::BlockGroups;
use inputs::Order;

/// Rows of `x` that share what is decoded.
const ROWS_AT_A_TIME: usize = 8;

/// Rows up to which a row has a sum for each vector of a block, so that additions need not wait for each other; more rows
/// are enough by themselves, and there are only so many registers.
const ROWS_OF_SEVERAL_SUMS: usize = 4;

/// How far ahead codes are asked for, in bytes: further than the latency of memory at the speed of one core, as what the
/// processor asks for by itself ends with each page. 4096 is a fifth faster than 1024, and 8192 no faster.
const AHEAD: usize = 4096;

/// Whether groups end where lanes of blocks do.
pub(super) fn takes(layer: &Layer<'_>) -> bool {
    let span = match layer.codes() {
        Codes::Int8(_) => <Int8 as Block<2>>::SPAN,
        Codes::Int4(_) => <Int4 as Block<4>>::SPAN,
    };
    layer.groups() == 1 || layer.group().is_multiple_of(span)
}

/// Computes a layer.
///
/// # Safety
/// The processor has AVX-512 F, BW, VL and BF16, and [`takes`] says yes.
pub(super) unsafe fn linear(pool: &Pool, layer: &Layer<'_>, out: &Output<'_>) {
    match layer.codes() {
        // SAFETY: the caller's promise.
        Codes::Int8(_) => unsafe { linear_of::<2, Int8>(pool, layer, out) },
        // SAFETY: the caller's promise.
        Codes::Int4(_) => unsafe { linear_of::<4, Int4>(pool, layer, out) },
    }
}

/// # Safety
/// As [`linear`].
unsafe fn linear_of<const V: usize, B: Block<V>>(pool: &Pool, layer: &Layer<'_>, out: &Output<'_>) {
    // SAFETY: the caller's promise.
    let operands = unsafe { Operands::<B, V>::new(layer) };
    // SAFETY: the caller's promise.
    by_outputs(pool, layer, out, 1, |part, sums| unsafe { operands.outputs(part, sums) });
}

/// 32 bf16, aligned as loads like it.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([bf16; VECTOR]);

/// What is prepared once a call.
struct Operands<'a, B, const V: usize> {
    layer: &'a Layer<'a>,
    /// `x` in the order of the codes, `[rows, blocks]`.
    x: Vec<[Line; V]>,
    /// Where there is more than one group.
    groups: Vec<BlockGroups>,
    /// The sum of the `x` of each group, `[rows, groups]`, where there are offsets.
    group_sums: Vec<f32>,
    _block: std::marker::PhantomData<B>,
}

impl<'a, const V: usize, B: Block<V>> Operands<'a, B, V> {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new(layer: &'a Layer<'a>) -> Self {
        let inputs = layer.shape.inputs;
        let blocks = inputs.div_ceil(B::INPUTS);
        let order = Order::<B, V>::of_codes();
        let mut x = vec![[Line([bf16::ZERO; VECTOR]); V]; layer.shape.rows * blocks];
        for (row, lines) in x.chunks_mut(blocks).enumerate() {
            for (index, lines) in lines.iter_mut().enumerate() {
                for (line, vector) in lines.iter_mut().zip(order.block(layer.x_row(row), index)) {
                    // SAFETY: a line is an aligned register.
                    unsafe { _mm512_store_si512((&raw mut *line).cast(), vector) };
                }
            }
        }
        let grouped = layer.groups() > 1;
        let groups = if grouped { BlockGroups::of_row::<V, B>(inputs, layer.group()) } else { Vec::new() };
        let group_sums = layer.group_sums();
        Self { layer, x, groups, group_sums, _block: std::marker::PhantomData }
    }

    /// Computes some outputs for all rows.
    ///
    /// # Safety
    /// As [`linear`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn outputs(&self, outputs: Range<usize>, sums: &mut [f32]) {
        let blocks = self.layer.shape.inputs.div_ceil(B::INPUTS);
        let width = outputs.len();
        for (column, output) in outputs.enumerate() {
            let offsets = self.layer.offsets(output);
            let mut sums = sums.iter_mut().skip(column).step_by(width);
            for (tile, x) in self.x.chunks(ROWS_AT_A_TIME * blocks).enumerate() {
                let row = tile * ROWS_AT_A_TIME;
                // SAFETY: the caller's promise; there are a block of `x` and the groups of each block of codes.
                let tile: [f32; ROWS_AT_A_TIME] = unsafe {
                    match x.len() / blocks {
                        1 => self.tile::<1>(output, x),
                        2 => self.tile::<2>(output, x),
                        3 => self.tile::<3>(output, x),
                        4 => self.tile::<4>(output, x),
                        5 => self.tile::<5>(output, x),
                        6 => self.tile::<6>(output, x),
                        7 => self.tile::<7>(output, x),
                        _ => self.tile::<ROWS_AT_A_TIME>(output, x),
                    }
                };
                let rows = x.len() / blocks;
                for (r, (sum, dot)) in sums.by_ref().take(rows).zip(tile).enumerate() {
                    let of_offsets = offsets.map_or(0.0, |offsets| self.offset(row + r, offsets));
                    *sum = dot + of_offsets;
                }
            }
        }
    }

    /// What the offsets add to a sum.
    #[inline]
    fn offset(&self, row: usize, offsets: &[f32]) -> f32 {
        let sums = self.group_sums.get(row * offsets.len()..).unwrap_or_default();
        sums.iter().zip(offsets).map(|(sum, offset)| sum * offset).sum()
    }

    /// One output for `R` rows.
    ///
    /// # Safety
    /// As [`linear`]; `x` has `R` rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn tile<const R: usize>(&self, output: usize, x: &[[Line; V]]) -> [f32; ROWS_AT_A_TIME] {
        let codes = self.layer.row(output);
        let scales = self.layer.weight.scales;
        let mut out = [0.0; ROWS_AT_A_TIME];
        if self.groups.is_empty() {
            // SAFETY: the caller's promise; an output has a scale.
            let (sums, scale) = unsafe { (of_channel::<V, R, B>(codes, x), groups::load(scales, output, 1)) };
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = _mm512_reduce_add_ps(sum) * _mm512_cvtss_f32(scale);
            }
        } else {
            let scales = (scales, output * self.layer.groups());
            // SAFETY: the caller's promise; an output has a scale for each group.
            let sums = unsafe { of_groups::<V, R, B>(codes, x, scales, &self.groups) };
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = _mm512_reduce_add_ps(sum);
            }
        }
        out
    }
}

/// Sums over all inputs of one output, where all have the same scale: without it.
///
/// # Safety
/// As [`Operands::tile`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn of_channel<const V: usize, const R: usize, B: Block<V>>(
    codes: &[u8],
    x: &[[Line; V]],
) -> [__m512; R] {
    let blocks = codes.len().div_ceil(BYTES);
    let mut sums = [[_mm512_setzero_ps(); V]; R];
    for index in 0..blocks {
        // SAFETY: there is such a block.
        let weights = unsafe { B::codes(next(codes, index)) };
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: `x` has a block for each one of codes in each row.
            let x = unsafe { x.get_unchecked(row * blocks + index) };
            for (vector, (x, weights)) in x.iter().zip(weights).enumerate() {
                let sum = &mut sums[if R <= ROWS_OF_SEVERAL_SUMS { vector } else { 0 }];
                *sum = _mm512_dpbf16_ps(*sum, as_bf16(line(x)), weights);
            }
        }
    }
    let mut totals = [_mm512_setzero_ps(); R];
    for (total, sums) in totals.iter_mut().zip(sums) {
        for sum in sums {
            *total = _mm512_add_ps(*total, sum);
        }
    }
    totals
}

/// Sums over all inputs of one output, the scales of groups with them.
///
/// # Safety
/// As [`Operands::tile`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn of_groups<const V: usize, const R: usize, B: Block<V>>(
    codes: &[u8],
    x: &[[Line; V]],
    (scales, row_scales): (Scales<'_>, usize),
    groups: &[BlockGroups],
) -> [__m512; R] {
    let blocks = codes.len().div_ceil(BYTES);
    let mut sums = [_mm512_setzero_ps(); R];
    for (index, groups) in groups.iter().enumerate() {
        // SAFETY: there is such a block.
        let weights = unsafe { B::codes(next(codes, index)) };
        // SAFETY: there is a scale for each group.
        let scales = unsafe { groups.expand(scales, row_scales) };
        for (row, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `x` has a block for each one of codes in each row.
            let x = unsafe { x.get_unchecked(row * blocks + index) };
            let mut of_block = _mm512_setzero_ps();
            for (x, weights) in x.iter().zip(weights) {
                of_block = _mm512_dpbf16_ps(of_block, as_bf16(line(x)), weights);
            }
            *sum = _mm512_fmadd_ps(of_block, scales, *sum);
        }
    }
    sums
}

/// A block of codes, with a request for one that will be needed later.
///
/// # Safety
/// As [`blocks::load`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn next(codes: &[u8], index: usize) -> __m512i {
    // Behind the end of a row is the next one; beyond the weight's end the address may be nobody's, and a prefetch of
    // it does nothing.
    _mm_prefetch::<_MM_HINT_T0>(codes.as_ptr().wrapping_add(index * BYTES + AHEAD).cast());
    // SAFETY: the caller's promise.
    unsafe { blocks::load(codes, index) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn line(line: &Line) -> __m512i {
    // SAFETY: a line is an aligned register.
    unsafe { _mm512_load_si512((&raw const *line).cast()) }
}
