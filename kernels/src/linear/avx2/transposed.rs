//! `x` as the products of many rows take it.

use std::arch::x86_64::{
    __m256, _mm_loadu_si128, _mm256_castsi256_ps, _mm256_cvtepu16_epi32, _mm256_setzero_ps,
    _mm256_slli_epi32, _mm256_storeu_ps,
};
use std::cell::RefCell;

use half::bf16;

use crate::Pool;
use crate::avx2::{LANES, transpose};
use crate::dot::wide;

/// Registers of rows in a panel.
pub(super) const VECTORS: usize = 2;

/// `x` in f32, its columns cut in blocks of `depth`; in a block, its rows in panels of [`VECTORS`] registers; in a panel, column
/// by column. Rows that `x` lacks for a whole panel are zero.
pub(super) struct Transposed<'t> {
    columns: &'t [[[f32; LANES]; VECTORS]],
    pub(super) panels: usize,
    inputs: usize,
    depth: usize,
}

impl Transposed<'_> {
    /// Transposes `x` and calls `then` with it.
    ///
    /// # Safety
    /// The processor has AVX2.
    pub(super) unsafe fn with(
        pool: &Pool,
        x: &[bf16],
        inputs: usize,
        depth: usize,
        then: impl FnOnce(&Transposed<'_>),
    ) {
        thread_local! {
            // Kept from call to call: fresh memory costs a fault a page.
            static COLUMNS: RefCell<Vec<[f32; LANES]>> = const { RefCell::new(Vec::new()) };
        }
        COLUMNS.with_borrow_mut(|columns| {
            let panels = (x.len() / inputs).div_ceil(VECTORS * LANES);
            let count = panels * inputs * VECTORS;
            columns.resize(count.max(columns.len()), [0.0; LANES]);
            let columns = columns.get_mut(..count).unwrap_or_default().as_chunks_mut::<VECTORS>().0;
            pool.each_chunk(columns, panels * depth, &|block, columns| {
                for (panel, columns) in columns.chunks_mut(columns.len() / panels).enumerate() {
                    // SAFETY: the caller's promise.
                    unsafe { fill(x, inputs, panel * VECTORS * LANES, block * depth, columns) };
                }
            });
            then(&Transposed { columns, panels, inputs, depth });
        });
    }

    /// The columns of a panel from the first of a block on.
    pub(super) fn panel(&self, block: usize, panel: usize) -> &[[[f32; LANES]; VECTORS]] {
        let first = block * self.depth;
        let width = self.depth.min(self.inputs - first);
        let start = first * self.panels + panel * width;
        self.columns.get(start..start + width).unwrap_or_default()
    }
}

/// Writes as many columns as there is room for, of the rows from `row` on and the columns from `column` on.
#[target_feature(enable = "avx2")]
fn fill(x: &[bf16], inputs: usize, row: usize, column: usize, columns: &mut [[[f32; LANES]; VECTORS]]) {
    let (eights, rest) = columns.as_chunks_mut::<LANES>();
    let whole = eights.len() * LANES;
    for vector in 0..VECTORS {
        let rows: [&[bf16]; LANES] = std::array::from_fn(|lane| {
            let at = (row + vector * LANES + lane) * inputs + column;
            x.get(at..at + whole + rest.len()).unwrap_or_default()
        });
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
