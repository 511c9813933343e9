//! Some rows, and codes of a byte with one scale for each output: tiles of codes as they lie are multiplied by the digits
//! of `x` as [fixed-point numbers](crate::quantized::fixed). Nothing is decoded.
//!
//! A tile of `x` has 16 columns, each one digit of a row, in words of four neighbouring elements.

use std::arch::x86_64::{
    __m256, __m512, __m512d, __m512i, _mm256_castps_pd, _mm512_castpd_ps, _mm512_castps_pd,
    _mm512_castps256_ps512, _mm512_castsi512_si256, _mm512_cvtepi32_pd, _mm512_cvtpd_ps,
    _mm512_extracti64x4_epi64, _mm512_fmadd_pd, _mm512_insertf64x4, _mm512_load_si512, _mm512_mul_pd,
    _mm512_mul_ps, _mm512_set1_pd, _mm512_setzero_si512, _mm512_storeu_ps,
};
use std::ops::RangeInclusive;

use crate::Pool;
use crate::quantized::avx512::MAX_INPUTS;
use crate::quantized::avx512::bytes::{BYTES, Int8};
use crate::quantized::avx512::digits::{FixedPoint, Line, Row};
use crate::quantized::avx512::groups;
use crate::quantized::fixed::{DIGIT, DIGITS};
use crate::quantized::layer::Layer;
use crate::quantized::output::Output;
use crate::quantized::{Codes, by_outputs};
use crate::tiles::stream::{MAX_SIDE, OfBytes, Strip, stream};
use crate::tiles::{Registers, Sums, TILE, transpose};

/// Rows of `x` that this is the way for: one alone is faster by products of vectors, and of more than these the digits are
/// the columns of more tiles than sums have registers for.
const ROWS: RangeInclusive<usize> = 2..=MAX_SIDE * TILE / DIGITS;

/// Whether this is a way for the layer, unless an element of `x` is NaN or infinite.
pub(super) fn takes(layer: &Layer<'_>) -> bool {
    let shape = layer.shape;
    matches!(layer.codes(), Codes::Int8(_))
        && layer.groups() == 1
        && layer.weight.offsets.is_none()
        && ROWS.contains(&shape.rows)
        && shape.inputs.is_multiple_of(BYTES)
        && shape.inputs <= MAX_INPUTS
        && shape.outputs >= TILE
}

/// The `x` of a layer, or `None` if an element of it is NaN or infinite.
///
/// # Safety
/// The processor has AVX-512 F, BW and VNNI; [`takes`] says yes.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn digits(layer: &Layer<'_>) -> Option<FixedPoint<1>> {
    // SAFETY: the caller's promise.
    unsafe { FixedPoint::of::<Int8>(layer) }
}

/// Computes a layer with such an `x`.
///
/// # Safety
/// As [`super::linear`]; [`takes`] says yes; `x` is the layer's.
pub(super) unsafe fn linear(pool: &Pool, layer: &Layer<'_>, x: &FixedPoint<1>, out: &Output<'_>) {
    // SAFETY: the caller's promise.
    unsafe {
        match (layer.shape.rows * DIGITS).div_ceil(TILE) {
            1 => linear_of::<1>(pool, layer, x, out),
            2 => linear_of::<2>(pool, layer, x, out),
            3 => linear_of::<3>(pool, layer, x, out),
            _ => linear_of::<MAX_SIDE>(pool, layer, x, out),
        }
    }
}

/// # Safety
/// As [`linear`]; `SIDE` tiles have all digits of all rows.
unsafe fn linear_of<const SIDE: usize>(pool: &Pool, layer: &Layer<'_>, x: &FixedPoint<1>, out: &Output<'_>) {
    // SAFETY: the caller's promise.
    let operands = unsafe { Operands::<SIDE>::new(layer, x) };
    by_outputs(pool, layer, out, TILE, |part, sums| {
        // SAFETY: the processor has tiles, and this thread no others.
        let registers = unsafe { Registers::configure() };
        for output in part.clone().step_by(TILE) {
            // Fewer than 16 are the last ones of those before them, which are computed again and not stored.
            let first = output.min(layer.shape.outputs - TILE);
            let next = (first + TILE).min(part.end - TILE);
            // SAFETY: the caller's promise: there are 16 outputs from both on.
            let found = unsafe { operands.compute(first, next) };
            for (sums, found) in sums.chunks_mut(part.len()).zip(found) {
                let sums = sums.iter_mut().skip(output - part.start);
                sums.zip(&found[output - first..]).for_each(|(sum, found)| *sum = *found);
            }
        }
        drop(registers);
    });
}

/// What is prepared once a call.
struct Operands<'a, const SIDE: usize> {
    layer: &'a Layer<'a>,
    /// For each step of 64 elements, the digits of all rows; zeros behind them.
    x: Vec<[[Line; TILE]; SIDE]>,
    rows: &'a [Row],
}

impl<'a, const SIDE: usize> Operands<'a, SIDE> {
    #[target_feature(enable = "avx512f")]
    fn new(layer: &'a Layer<'a>, x: &'a FixedPoint<1>) -> Self {
        let steps = layer.shape.inputs / BYTES;
        let mut tiles = vec![[[Line::ZERO; TILE]; SIDE]; steps];
        for (step, tiles) in tiles.iter_mut().enumerate() {
            for (side, tile) in tiles.iter_mut().enumerate() {
                let columns = std::array::from_fn(|column| {
                    let (row, digit) = ((side * TILE + column) / DIGITS, (side * TILE + column) % DIGITS);
                    match x.blocks.get(row * steps + step) {
                        Some(digits) => digits[digit][0].load(),
                        None => _mm512_setzero_si512(),
                    }
                });
                for (line, words) in tile.iter_mut().zip(transpose(columns)) {
                    line.store(words);
                }
            }
        }
        Self { layer, x: tiles, rows: &x.rows }
    }

    /// For each row, the 16 outputs from `output` on; asks for the beginning of those from `next` on.
    ///
    /// # Safety
    /// As [`linear`]; the layer has these outputs; tiles are configured.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn compute(&self, output: usize, next: usize) -> Vec<[f32; TILE]> {
        let codes = self.layer.row(output);
        let row_bytes = codes.len();
        let strip = Strip { start: codes.as_ptr(), row_bytes, to_next: (next - output) * row_bytes };
        let mut sums = [Sums([[0; TILE]; TILE]); SIDE];
        // SAFETY: the caller's promise: 16 rows of codes, and `SIDE` tiles for each step of them.
        unsafe { stream::<OfBytes, SIDE>(strip, self.x.as_ptr().cast(), &mut sums) };
        // SAFETY: there are scales of these outputs.
        let scales = unsafe { groups::load(self.layer.weight.scales, output, u16::MAX) };
        let columns = sums.each_ref().map(|sums| turned(sums));
        let columns = columns.as_flattened().chunks_exact(DIGITS);
        let rows = self.rows.iter().zip(columns);
        rows.map(|(row, digits)| {
            let mut found = [0.0; TILE];
            let totals = _mm512_mul_ps(together(digits, row.unit), scales);
            // SAFETY: 16 f32 are a register.
            unsafe { _mm512_storeu_ps(found.as_mut_ptr(), totals) };
            found
        })
        .collect()
    }
}

/// The columns of a tile.
#[inline]
#[target_feature(enable = "avx512f")]
fn turned(sums: &Sums<i32>) -> [__m512i; TILE] {
    transpose(std::array::from_fn(|row| {
        // SAFETY: a row of a tile is 64 bytes and aligned to them.
        unsafe { _mm512_load_si512(sums.0[row].as_ptr().cast()) }
    }))
}

/// The numbers whose digits these are, times `unit`, rounded once.
#[inline]
#[target_feature(enable = "avx512f")]
fn together(digits: &[__m512i], unit: f64) -> __m512 {
    let base = _mm512_set1_pd(f64::from(1u32 << DIGIT));
    let (mut lower, mut upper) = (_mm512_set1_pd(0.0), _mm512_set1_pd(0.0));
    for &digit in digits {
        lower = _mm512_fmadd_pd(lower, base, _mm512_cvtepi32_pd(_mm512_castsi512_si256(digit)));
        upper = _mm512_fmadd_pd(upper, base, _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64::<1>(digit)));
    }
    let rounded =
        |numbers: __m512d| -> __m256 { _mm512_cvtpd_ps(_mm512_mul_pd(numbers, _mm512_set1_pd(unit))) };
    let lower = _mm512_castps_pd(_mm512_castps256_ps512(rounded(lower)));
    _mm512_castpd_ps(_mm512_insertf64x4::<1>(lower, _mm256_castps_pd(rounded(upper))))
}
