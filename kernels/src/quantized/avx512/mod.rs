//! Few rows with AVX-512: products of bytes with `VPDPBUSD`, of the codes as they are and of `x` as [fixed-point
//! numbers](fixed). The codes are read once, from one end of the weight to the other, at the speed of memory.

pub(super) mod bytes;
mod fixed;
pub(super) mod groups;
mod scales;

use std::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm512_add_epi32, _mm512_cvtepi32_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_reduce_add_epi32, _mm512_reduce_add_ps, _mm512_setzero_ps,
    _mm512_setzero_si512,
};
use std::marker::PhantomData;
use std::ops::Range;

use super::layer::Layer;
use super::output::Output;
use super::{Codes, by_outputs};
use crate::Pool;
use bytes::{BYTES, Bytes, Int4, Int8};
use fixed::{DIGITS, Digits, FixedPoint, Line, products};
use groups::BlockGroups;
use scales::RowsOfScales;

/// Rows of `x` that share a look at the codes.
const ROWS_AT_A_TIME: usize = 4;

/// How far ahead codes are asked for, in bytes, twice: to be in the second-level cache, further than the latency of memory at
/// the speed of one core and into the next pages, as what the processor asks for by itself ends with each page; and to be
/// in the first, which has few requests under way at a time.
const FAR_AHEAD: usize = 8192;
const AHEAD: usize = 1024;

/// Inputs up to which the sum of products of biased codes and digits of a whole row is less than `2^31`.
const MAX_INPUTS: usize = 1 << 16;

/// Whether the products of a lane are all of one group.
pub(super) fn lanes_have_one_group(layer: &Layer<'_>) -> bool {
    let span = match layer.codes() {
        Codes::Int8(_) => <Int8 as Bytes<1>>::SPAN,
        Codes::Int4(_) => <Int4 as Bytes<2>>::SPAN,
    };
    layer.groups() == 1 || layer.group().is_multiple_of(span)
}

/// Whether this is a way for the layer.
pub(super) fn takes(layer: &Layer<'_>) -> bool {
    lanes_have_one_group(layer) && layer.shape.inputs <= MAX_INPUTS
}

/// Computes a layer, or says that it did not, because an element of `x` is NaN or infinite.
///
/// # Safety
/// The processor has AVX-512 F, BW, VL and VNNI, and [`takes`] says yes.
pub(super) unsafe fn linear(pool: &Pool, layer: &Layer<'_>, out: &Output<'_>) -> bool {
    match layer.codes() {
        // SAFETY: the caller's promise.
        Codes::Int8(_) => unsafe { linear_of::<1, Int8>(pool, layer, out) },
        // SAFETY: the caller's promise.
        Codes::Int4(_) => unsafe { linear_of::<2, Int4>(pool, layer, out) },
    }
}

/// # Safety
/// As [`linear`].
unsafe fn linear_of<const V: usize, E: Bytes<V>>(pool: &Pool, layer: &Layer<'_>, out: &Output<'_>) -> bool {
    // SAFETY: the caller's promise.
    let Some(operands) = (unsafe { Operands::<E, V>::new(layer) }) else {
        return false;
    };
    // SAFETY: the caller's promise.
    by_outputs(pool, layer, out, 1, |part, sums| unsafe { operands.outputs(part, sums) });
    true
}

/// What is prepared once a call.
struct Operands<'a, E, const V: usize> {
    layer: &'a Layer<'a>,
    x: FixedPoint<V>,
    /// Blocks of a row.
    blocks: usize,
    /// Where there is more than one group.
    groups: Vec<BlockGroups>,
    /// The sum of the `x` of each group, `[rows, groups]`, where there are offsets.
    group_sums: Vec<f32>,
    _encoding: PhantomData<E>,
}

impl<'a, const V: usize, E: Bytes<V>> Operands<'a, E, V> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn new(layer: &'a Layer<'a>) -> Option<Self> {
        let inputs = layer.shape.inputs;
        // SAFETY: the processor has AVX-512.
        let x = unsafe { FixedPoint::of::<E>(layer) }?;
        let grouped = layer.groups() > 1;
        let groups = if grouped { BlockGroups::of_row(inputs, layer.group(), E::INPUTS) } else { Vec::new() };
        let blocks = inputs.div_ceil(E::INPUTS);
        Some(Self { layer, x, blocks, groups, group_sums: layer.group_sums(), _encoding: PhantomData })
    }

    /// Computes some outputs for all rows.
    ///
    /// # Safety
    /// As [`linear`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn outputs(&self, outputs: Range<usize>, sums: &mut [f32]) {
        let width = outputs.len();
        let mut scales = RowsOfScales::new(self.layer);
        for (column, output) in outputs.clone().enumerate() {
            // SAFETY: the caller's promise.
            let scales = unsafe { scales.row(output, outputs.end) };
            let mut sums = sums.iter_mut().skip(column).step_by(width);
            for row in (0..self.layer.shape.rows).step_by(ROWS_AT_A_TIME) {
                let rows = (self.layer.shape.rows - row).min(ROWS_AT_A_TIME);
                // SAFETY: the caller's promise; there are so many rows from this one on.
                let tile: [f32; ROWS_AT_A_TIME] = unsafe {
                    match rows {
                        1 => self.tile::<1>(output, row, scales),
                        2 => self.tile::<2>(output, row, scales),
                        3 => self.tile::<3>(output, row, scales),
                        _ => self.tile::<ROWS_AT_A_TIME>(output, row, scales),
                    }
                };
                for (r, (sum, dot)) in sums.by_ref().take(rows).zip(tile).enumerate() {
                    *sum = dot + self.offset(output, row + r);
                }
            }
        }
    }

    /// What the offsets add to a sum.
    #[inline]
    fn offset(&self, output: usize, row: usize) -> f32 {
        let Some(offsets) = self.layer.offsets(output) else { return 0.0 };
        let sums = self.group_sums.get(row * offsets.len()..).unwrap_or_default();
        sums.iter().zip(offsets).map(|(sum, offset)| sum * offset).sum()
    }

    /// One output for `R` rows from `row` on.
    ///
    /// # Safety
    /// As [`linear`]; `x` has so many rows, and `scales` are those of the output, and a register more.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn tile<const R: usize>(
        &self,
        output: usize,
        row: usize,
        scales: &[f32],
    ) -> [f32; ROWS_AT_A_TIME] {
        let codes = self.layer.row(output);
        let rows = row * self.blocks..(row + R) * self.blocks;
        let x = self.x.blocks.get(rows.clone()).unwrap_or_default();
        let of_rows = self.x.rows.get(row..row + R).unwrap_or_default();
        let mut out = [0.0; ROWS_AT_A_TIME];
        // SAFETY: the caller's promise.
        unsafe {
            if self.groups.is_empty() {
                let scale = scales.first().copied().unwrap_or(0.0);
                let totals = of_channel::<V, R, E>(codes, x, self.blocks);
                for ((out, total), row) in out.iter_mut().zip(totals).zip(of_rows) {
                    *out = ((total + row.unbias) as f64 * row.unit) as f32 * scale;
                }
            } else {
                let unbias = self.x.unbias.get(rows).unwrap_or_default();
                let sums = of_groups::<V, R, E>(codes, x, unbias, scales, &self.groups);
                for ((out, sum), row) in out.iter_mut().zip(sums).zip(of_rows) {
                    *out = (f64::from(_mm512_reduce_add_ps(sum)) * row.unit) as f32;
                }
            }
        }
        out
    }
}

/// Sums over all inputs of one output, where all have the same scale: without it, in units of `x`, and with the bias.
///
/// # Safety
/// As [`Operands::tile`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn of_channel<const V: usize, const R: usize, E: Bytes<V>>(
    codes: &[u8],
    x: &[Digits<V>],
    blocks: usize,
) -> [i64; R] {
    // A sum for each digit and vector, so that additions need not wait for each other.
    let mut sums = [[[_mm512_setzero_si512(); V]; DIGITS]; R];
    for index in 0..blocks {
        // SAFETY: there is such a block.
        let bytes = unsafe { E::bytes(next(codes, index)) };
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: `x` has a block for each one of codes in each row.
            let x = unsafe { x.get_unchecked(row * blocks + index) };
            for (sums, digits) in sums.iter_mut().zip(x) {
                for ((sum, bytes), digit) in sums.iter_mut().zip(bytes).zip(digits) {
                    *sum = _mm512_dpbusd_epi32(*sum, bytes, digit.load());
                }
            }
        }
    }
    sums.map(|sums| {
        sums.iter().fold(0, |total, vectors| {
            let lanes =
                vectors.iter().fold(_mm512_setzero_si512(), |sum, vector| _mm512_add_epi32(sum, *vector));
            (total << fixed::DIGIT) + i64::from(_mm512_reduce_add_epi32(lanes))
        })
    })
}

/// Sums over all inputs of one output, the scales of groups with them, in units of `x`.
///
/// # Safety
/// As [`Operands::tile`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn of_groups<const V: usize, const R: usize, E: Bytes<V>>(
    codes: &[u8],
    x: &[Digits<V>],
    unbias: &[Line],
    scales: &[f32],
    groups: &[BlockGroups],
) -> [__m512; R] {
    let blocks = groups.len();
    let mut sums = [_mm512_setzero_ps(); R];
    for (index, groups) in groups.iter().enumerate() {
        // SAFETY: there is such a block.
        let bytes = unsafe { E::bytes(next(codes, index)) };
        // SAFETY: there is a scale for each group, and a register more.
        let scales = unsafe { groups.pick(scales) };
        for (row, sum) in sums.iter_mut().enumerate() {
            let at = row * blocks + index;
            // SAFETY: `x` has a block for each one of codes in each row.
            let (x, unbias) = unsafe { (x.get_unchecked(at), unbias.get_unchecked(at)) };
            // SAFETY: the processor has AVX-512 with VNNI.
            let of_lanes = _mm512_add_epi32(unsafe { products(bytes, x) }, unbias.load());
            *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(of_lanes), scales, *sum);
        }
    }
    sums
}

/// A block of codes, with requests for what will be needed later.
///
/// # Safety
/// As [`bytes::load`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn next(codes: &[u8], index: usize) -> __m512i {
    // Behind the end of a row is the next one; beyond the weight's end the address may be nobody's, and a prefetch of
    // it does nothing.
    let at = codes.as_ptr().wrapping_add(index * BYTES);
    _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(FAR_AHEAD).cast());
    _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
    // SAFETY: the caller's promise.
    unsafe { bytes::load(codes, index) }
}
