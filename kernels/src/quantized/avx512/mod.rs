//! Few rows with AVX-512: products of bytes with `VPDPBUSD`, of the codes as they are and of `x` as [fixed-point
//! numbers](super::fixed). The codes are read once, from one end of the weight to the other, at the speed of memory.

pub(super) mod bytes;
pub(super) mod digits;
pub(super) mod groups;
mod scales;

use std::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm512_add_epi32, _mm512_cvtepi32_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_reduce_add_epi32, _mm512_reduce_add_ps, _mm512_setzero_ps,
    _mm512_setzero_si512,
};
use std::marker::PhantomData;
use std::ops::Range;

use super::fixed::{DIGIT, DIGITS};
use super::layer::Layer;
use super::output::Output;
use super::{Codes, by_outputs};
use crate::Pool;
use bytes::{BYTES, Bytes, Int4, Int8};
use digits::{Digits, FixedPoint, Line, products};
use groups::BlockGroups;
use scales::RowsOfScales;

/// Rows of `x` that share a look at the codes.
const ROWS_AT_A_TIME: usize = 4;

/// Outputs that share a look at `x`, where it has one row.
const OUTPUTS_AT_A_TIME: usize = 4;

/// How far ahead codes are asked for, in bytes, twice: to be in the second-level cache, further than the latency of memory at
/// the speed of one core and into the next pages, as what the processor asks for by itself ends with each page; and to be
/// in the first, which has few requests under way at a time.
const FAR_AHEAD: usize = 8192;
const AHEAD: usize = 1024;

/// Inputs up to which the sum of products of biased codes and digits of a whole row is less than `2^31`.
pub(super) const MAX_INPUTS: usize = 1 << 16;

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
    by_outputs(pool, layer, out, OUTPUTS_AT_A_TIME, |part, sums| unsafe { operands.outputs(part, sums) });
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
        let rows = self.layer.shape.rows;
        let mut scales = RowsOfScales::new(self.layer);
        let mut output = outputs.start;
        while output < outputs.end {
            // SAFETY: the caller's promise: there are so many rows and outputs from these on.
            unsafe {
                let scales = scales.row(output, outputs.end);
                let mut out = Column { sums, width: outputs.len(), column: output - outputs.start };
                if rows == 1 && output + OUTPUTS_AT_A_TIME <= outputs.end {
                    self.tile::<1, OUTPUTS_AT_A_TIME>(0, output, scales, &mut out);
                    output += OUTPUTS_AT_A_TIME;
                    continue;
                }
                for row in (0..rows).step_by(ROWS_AT_A_TIME) {
                    match rows - row {
                        1 => self.tile::<1, 1>(row, output, scales, &mut out),
                        2 => self.tile::<2, 1>(row, output, scales, &mut out),
                        3 => self.tile::<3, 1>(row, output, scales, &mut out),
                        _ => self.tile::<ROWS_AT_A_TIME, 1>(row, output, scales, &mut out),
                    }
                }
                output += 1;
            }
        }
    }

    /// `O` outputs from `output` on for `R` rows from `row` on.
    ///
    /// # Safety
    /// As [`linear`]; there are so many, and `scales` are those of the outputs, and a register more.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn tile<const R: usize, const O: usize>(
        &self,
        row: usize,
        output: usize,
        scales: &[f32],
        out: &mut Column<'_>,
    ) {
        let (mut codes, all_scales, mut scales) = ([&[][..]; O], scales, [&[][..]; O]);
        for (o, (codes, scales)) in codes.iter_mut().zip(&mut scales).enumerate() {
            *codes = self.layer.row(output + o);
            *scales = all_scales.get(o * self.layer.groups()..).unwrap_or_default();
        }
        let rows = row * self.blocks..(row + R) * self.blocks;
        let x = self.x.blocks.get(rows.clone()).unwrap_or_default();
        let of_rows = self.x.rows.get(row..row + R).unwrap_or_default();
        // Loops, as closures would not be inlined here: their callers are compiled for other processors.
        let mut dots = [[0.0; R]; O];
        if self.groups.is_empty() {
            // SAFETY: the caller's promise.
            let totals = unsafe { of_channel::<V, R, O, E>(codes, x, self.blocks) };
            for ((dots, totals), scales) in dots.iter_mut().zip(totals).zip(scales) {
                let scale = scales.first().copied().unwrap_or(0.0);
                for ((dot, total), row) in dots.iter_mut().zip(totals).zip(of_rows) {
                    *dot = ((total + row.unbias) as f64 * row.unit) as f32 * scale;
                }
            }
        } else {
            let unbias = self.x.unbias.get(rows).unwrap_or_default();
            // SAFETY: the caller's promise.
            let sums = unsafe { of_groups::<V, R, O, E>(codes, x, unbias, scales, &self.groups) };
            for (dots, sums) in dots.iter_mut().zip(sums) {
                for ((dot, sum), row) in dots.iter_mut().zip(sums).zip(of_rows) {
                    *dot = (f64::from(_mm512_reduce_add_ps(sum)) * row.unit) as f32;
                }
            }
        }
        for (o, dots) in dots.iter().enumerate() {
            for (r, dot) in dots.iter().enumerate() {
                out.set(row + r, o, dot + self.layer.offsets_times(&self.group_sums, row + r, output + o));
            }
        }
    }
}

/// The sums `[rows, width]` of a part's outputs, from one of them on.
struct Column<'a> {
    sums: &'a mut [f32],
    width: usize,
    column: usize,
}

impl Column<'_> {
    #[inline]
    fn set(&mut self, row: usize, behind: usize, sum: f32) {
        if let Some(to) = self.sums.get_mut(row * self.width + self.column + behind) {
            *to = sum;
        }
    }
}

/// Sums over all inputs of `O` outputs, each with one scale: without it, in units of `x`, and with the bias.
///
/// # Safety
/// As [`Operands::tile`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn of_channel<const V: usize, const R: usize, const O: usize, E: Bytes<V>>(
    codes: [&[u8]; O],
    x: &[Digits<V>],
    blocks: usize,
) -> [[i64; R]; O] {
    // A sum for each digit and vector, so that additions need not wait for each other.
    let mut sums = [[[[_mm512_setzero_si512(); V]; DIGITS]; R]; O];
    for index in 0..blocks {
        for (codes, sums) in codes.iter().zip(&mut sums) {
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
    }
    let mut totals = [[0; R]; O];
    for (total, digits) in totals.iter_mut().flatten().zip(sums.iter().flatten()) {
        for vectors in digits {
            let mut lanes = _mm512_setzero_si512();
            for vector in vectors {
                lanes = _mm512_add_epi32(lanes, *vector);
            }
            *total = (*total << DIGIT) + i64::from(_mm512_reduce_add_epi32(lanes));
        }
    }
    totals
}

/// Sums over all inputs of `O` outputs, the scales of groups with them, in units of `x`.
///
/// # Safety
/// As [`Operands::tile`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn of_groups<const V: usize, const R: usize, const O: usize, E: Bytes<V>>(
    codes: [&[u8]; O],
    x: &[Digits<V>],
    unbias: &[Line],
    scales: [&[f32]; O],
    groups: &[BlockGroups],
) -> [[__m512; R]; O] {
    let blocks = groups.len();
    let mut sums = [[_mm512_setzero_ps(); R]; O];
    for (index, groups) in groups.iter().enumerate() {
        for ((codes, scales), sums) in codes.iter().zip(scales).zip(&mut sums) {
            // SAFETY: there is such a block, and a scale for each group, and a register more.
            let (bytes, scales) = unsafe { (E::bytes(next(codes, index)), groups.pick(scales)) };
            for (row, sum) in sums.iter_mut().enumerate() {
                let at = row * blocks + index;
                // SAFETY: `x` has a block for each one of codes in each row.
                let (x, unbias) = unsafe { (x.get_unchecked(at), unbias.get_unchecked(at)) };
                // SAFETY: the processor has AVX-512 with VNNI.
                let of_lanes = unsafe { products(bytes, x, unbias.load()) };
                *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(of_lanes), scales, *sum);
            }
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
