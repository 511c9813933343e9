//! What a layer does to rows between its products: norms, rotations, the gate of the feed-forward, and residual sums.
//!
//! A compiler makes several loops of each, which costs little to run and much to load: most of the operations of a program
//! on disk were these. They are kernels all together or not at all: of a sum that follows a call, XLA makes a part of
//! every loop after it, so that each layer would add up all branches before it again.

mod geglu;
mod norm;
mod residual;
mod rope;
#[cfg(test)]
mod tests;

use half::bf16;

#[cfg(target_arch = "x86_64")]
use crate::Instructions;
use crate::{Features, Pool};

pub use geglu::geglu;
pub use norm::{RmsNormShape, rms_norm};
pub use residual::residual_add;
pub use rope::{RopeShape, RopeTables, rope};

/// A slice that is not of the size that the shape says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{operand}: {found} elements, not {expected}")]
pub struct RowsError {
    operand: &'static str,
    expected: usize,
    found: usize,
}

/// The first of some operands that has not the size it should have, each given as name, expected and found.
fn check(sizes: impl IntoIterator<Item = (&'static str, usize, usize)>) -> Result<(), RowsError> {
    match sizes.into_iter().find(|(_, expected, found)| expected != found) {
        Some((operand, expected, found)) => Err(RowsError { operand, expected, found }),
        None => Ok(()),
    }
}

/// How rows of a result are computed, in loops that the compiler makes vectors of.
trait Rows: Sync {
    /// Computes row `row`. To be inlined into callers with different instructions, which is what makes it several kernels.
    fn compute(&self, row: usize, out: &mut [bf16]);
}

/// Elements that are worth a thread's while.
const ELEMENTS_A_PART: usize = 1 << 14;

/// Elements of a row where rows are no more than a way to cut what is computed element by element.
const ELEMENTS_A_ROW: usize = 1024;

/// Computes `out` in rows of `width` elements, of which the last may be shorter.
fn compute(pool: &Pool, features: Features, rows: &impl Rows, width: usize, out: &mut [bf16]) {
    if width == 0 {
        return;
    }
    let rows_a_part = (ELEMENTS_A_PART / width).max(1);
    pool.each_chunk(out, rows_a_part * width, &|part, out| {
        let out = Part { first: part * rows_a_part, width, out };
        #[cfg(target_arch = "x86_64")]
        if features.has(Instructions::Avx512Bf16) {
            // SAFETY: the processor has it.
            return unsafe { part_avx512(rows, out) };
        }
        #[cfg(target_arch = "x86_64")]
        if features.has(Instructions::Avx2) {
            // SAFETY: the processor has it.
            return unsafe { part_avx2(rows, out) };
        }
        // The vectors of other architectures are those that every processor of them has.
        let _: Features = features;
        out.compute(rows);
    });
}

/// Consecutive rows of a result.
struct Part<'o> {
    first: usize,
    width: usize,
    out: &'o mut [bf16],
}

impl Part<'_> {
    #[inline(always)]
    fn compute(self, rows: &impl Rows) {
        for (i, out) in self.out.chunks_mut(self.width).enumerate() {
            rows.compute(self.first + i, out);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn part_avx512(rows: &impl Rows, part: Part<'_>) {
    part.compute(rows);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn part_avx2(rows: &impl Rows, part: Part<'_>) {
    part.compute(rows);
}
