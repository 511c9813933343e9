//! Tiles of sums of products: some outputs by a panel of rows, which stay in registers while they are added to.

use std::arch::x86_64::{
    __m256, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::panel::{Column, VECTORS};
use super::{LANES, transpose};

/// Outputs of a tile, each with a register of sums for each of a panel: as many as there are beside what they are made of.
pub(crate) const OUTPUTS: usize = 6;

/// A tile: for each output, a column of sums.
pub(crate) type Tile = [Column; OUTPUTS];

/// A tile before anything is added.
pub(crate) const ZERO: Tile = [[[0.0; LANES]; VECTORS]; OUTPUTS];

/// Inputs after which [`multiply`] calls what is done meanwhile: a cache line of bf16.
pub(crate) const INPUTS_AT_A_TIME: usize = 32;

/// Adds the products of a panel's columns, one for each input, and weights that lie `OUTPUT` elements apart from output to
/// output and `INPUT` from input to input, or begins the sums with them. Every [`INPUTS_AT_A_TIME`] inputs, calls `meanwhile`
/// with the first of them.
///
/// # Safety
/// The processor has AVX2 and FMA; `weights` has those of [`OUTPUTS`] outputs for as many inputs as there are columns.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn multiply<const OUTPUT: usize, const INPUT: usize>(
    columns: &[Column],
    weights: &[f32],
    tile: &mut Tile,
    begins: bool,
    meanwhile: impl Fn(usize),
) {
    debug_assert!(columns.is_empty() || (OUTPUTS - 1) * OUTPUT + (columns.len() - 1) * INPUT < weights.len());
    let mut sums = [[_mm256_setzero_ps(); VECTORS]; OUTPUTS];
    if !begins {
        for (sum, from) in sums.as_flattened_mut().iter_mut().zip(tile.as_flattened()) {
            // SAFETY: eight f32.
            *sum = unsafe { _mm256_loadu_ps(from.as_ptr()) };
        }
    }
    for (chunk, columns) in columns.chunks(INPUTS_AT_A_TIME).enumerate() {
        meanwhile(chunk * INPUTS_AT_A_TIME);
        for (index, column) in columns.iter().enumerate() {
            let mut rows: [__m256; VECTORS] = [_mm256_setzero_ps(); VECTORS];
            for (rows, column) in rows.iter_mut().zip(column) {
                // SAFETY: eight f32.
                *rows = unsafe { _mm256_loadu_ps(column.as_ptr()) };
            }
            let input = chunk * INPUTS_AT_A_TIME + index;
            for (output, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                let weight = unsafe { weights.get_unchecked(output * OUTPUT + input * INPUT) };
                let weight = _mm256_broadcast_ss(weight);
                for (sum, rows) in sums.iter_mut().zip(rows) {
                    *sum = _mm256_fmadd_ps(weight, rows, *sum);
                }
            }
        }
    }
    for (sum, to) in sums.as_flattened().iter().zip(tile.as_flattened_mut()) {
        // SAFETY: eight f32.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), *sum) };
    }
}

/// Calls `row` with the number of each row, of an output, and the sums of this output and the seven after it. Of outputs beyond
/// the last tile, sums are zero.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn each_row(tiles: &[Tile], rows: usize, mut row: impl FnMut(usize, usize, [f32; LANES])) {
    let outputs = tiles.as_flattened();
    for vector in 0..rows.div_ceil(LANES).min(VECTORS) {
        for (index, eight) in outputs.chunks(LANES).enumerate() {
            let mut columns = [_mm256_setzero_ps(); LANES];
            for (column, sums) in columns.iter_mut().zip(eight) {
                // SAFETY: eight f32.
                *column = unsafe { _mm256_loadu_ps(sums[vector].as_ptr()) };
            }
            let first = vector * LANES;
            for (lane, sums) in transpose(columns).into_iter().enumerate().take(rows - first) {
                let mut values = [0.0; LANES];
                // SAFETY: eight f32.
                unsafe { _mm256_storeu_ps(values.as_mut_ptr(), sums) };
                row(first + lane, index * LANES, values);
            }
        }
    }
}
