//! AVX2: products in f32, which are exact for bf16, with weights widened in registers or a block at a time.

mod few;
mod many;
mod transposed;

use half::bf16;

use super::{Element, LinearShape};
use crate::Pool;
use crate::dot::wide;

pub(crate) use many::Weights;
pub(super) use many::linear as linear_of_weights;

/// Computes a layer.
///
/// # Safety
/// The processor has AVX2 and FMA, and the slices are of the shape's sizes.
pub(super) unsafe fn linear<O: Element>(
    pool: &Pool,
    shape: LinearShape,
    x: &[bf16],
    weight: &[bf16],
    out: &mut [O],
) {
    // SAFETY: the caller's promise, passed on.
    unsafe {
        match shape.rows <= few::MAX_ROWS {
            true => few::linear(pool, shape, x, weight, out),
            false => many::linear(pool, shape, x, &Plain { weight, inputs: shape.inputs }, out),
        }
    }
}

/// A weight in bf16, row by row.
struct Plain<'a> {
    weight: &'a [bf16],
    inputs: usize,
}

impl Weights for Plain<'_> {
    #[inline(always)]
    fn read(&self, output: usize, input: usize, to: &mut [f32]) {
        let weight = self.weight.get(output * self.inputs + input..).unwrap_or_default();
        for (to, weight) in to.iter_mut().zip(weight) {
            *to = wide(*weight);
        }
    }

    #[inline(always)]
    fn place(&self, output: usize, input: usize) -> *const u8 {
        self.weight.as_ptr().wrapping_add(output * self.inputs + input).cast()
    }
}
