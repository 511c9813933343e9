//! Rows of bf16 as products with many of them take them: in f32, a register of rows for each column.

use std::arch::x86_64::{
    __m256, _mm_loadu_si128, _mm256_castsi256_ps, _mm256_cvtepu16_epi32, _mm256_setzero_ps,
    _mm256_slli_epi32, _mm256_storeu_ps,
};

use half::bf16;

use super::{LANES, transpose};
use crate::dot::wide;

/// Registers of rows in a panel.
pub(crate) const VECTORS: usize = 2;

/// Rows of a panel.
pub(crate) const ROWS: usize = VECTORS * LANES;

/// A column of a panel.
pub(crate) type Column = [[f32; LANES]; VECTORS];

/// Writes as many columns as there is room for. `row` gives the elements of a row, as many; of a row that is none, nothing, which
/// becomes zeros.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn fill<'a>(row: impl Fn(usize) -> &'a [bf16], columns: &mut [Column]) {
    let (eights, rest) = columns.as_chunks_mut::<LANES>();
    let whole = eights.len() * LANES;
    for vector in 0..VECTORS {
        let rows: [&[bf16]; LANES] = std::array::from_fn(|lane| row(vector * LANES + lane));
        for (index, eight) in eights.iter_mut().enumerate() {
            let mut lanes = [_mm256_setzero_ps(); LANES];
            for (lane, row) in lanes.iter_mut().zip(rows) {
                if let Some(eight) = row.get(index * LANES..).and_then(|row| row.first_chunk()) {
                    *lane = widened(eight);
                }
            }
            for (column, to) in transpose(lanes).into_iter().zip(eight) {
                // SAFETY: eight f32.
                unsafe { _mm256_storeu_ps(to[vector].as_mut_ptr(), column) };
            }
        }
        for (index, column) in rest.iter_mut().enumerate() {
            for (to, row) in column[vector].iter_mut().zip(rows) {
                *to = row.get(whole + index).map_or(0.0, |x| wide(*x));
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn widened(eight: &[bf16; LANES]) -> __m256 {
    // SAFETY: eight bf16 are 128 bits.
    let bits = unsafe { _mm_loadu_si128(eight.as_ptr().cast()) };
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(bits)))
}
