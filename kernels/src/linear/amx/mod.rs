//! Layers of many rows, as products of tiles.
//!
//! Of a tile product's two operands one has to lie in pairs of elements. That one is `x`, which is small and
//! [turned](turned) once a call, so that the weight is read where it lies. Products are therefore the result's columns
//! by its rows, and are turned when they are rounded.

mod narrow;
mod turned;
mod wide;

use half::bf16;

use super::{Element, LinearShape};
use crate::Pool;
use crate::pool::Address;
use crate::tiles::{STEP, TILE};

pub(crate) use wide::{Band, Bands};

/// Rows of the weight that are worked on at a time: two tiles.
pub(crate) const BAND: usize = 2 * TILE;

/// Rows of `x` that are worked on at a time where there are many.
const X_ROWS: usize = 512;

/// Whether the shape consists of whole tiles.
pub(super) fn takes(shape: LinearShape) -> bool {
    shape.inputs.is_multiple_of(STEP) && shape.outputs >= BAND
}

/// Where a layer's result goes.
struct Out<O> {
    start: Address<O>,
    rows: usize,
    outputs: usize,
}

/// Computes a layer.
///
/// # Safety
/// The processor has AMX with bf16 and AVX-512, the process may use both, the slices are of the shape's sizes, and
/// [`takes`] says yes.
pub(super) unsafe fn linear<O: Element>(
    pool: &Pool,
    shape: LinearShape,
    x: &[bf16],
    weight: &[bf16],
    out: &mut [O],
) {
    let LinearShape { inputs, outputs, .. } = shape;
    for (x, out) in x.chunks(X_ROWS * inputs).zip(out.chunks_mut(X_ROWS * outputs)) {
        let rows = x.len() / inputs;
        let out = Out { start: Address(out.as_mut_ptr()), rows, outputs };
        // SAFETY: the caller's promise, passed on.
        unsafe {
            match rows <= narrow::MAX_ROWS {
                true => narrow::linear(pool, inputs, x, weight, &out),
                false => wide::linear(pool, inputs, x, &wide::Plain { weight, inputs }, &out),
            }
        }
    }
}

/// Computes a layer whose weight's rows are made as they are needed.
///
/// # Safety
/// As [`linear()`]; `weight` has as many rows and columns as the shape says.
pub(super) unsafe fn linear_of_bands<O: Element>(
    pool: &Pool,
    shape: LinearShape,
    x: &[bf16],
    weight: &impl Bands,
    out: &mut [O],
) {
    let LinearShape { inputs, outputs, .. } = shape;
    for (x, out) in x.chunks(X_ROWS * inputs).zip(out.chunks_mut(X_ROWS * outputs)) {
        let out = Out { start: Address(out.as_mut_ptr()), rows: x.len() / inputs, outputs };
        // SAFETY: the caller's promise, passed on.
        unsafe { wide::linear(pool, inputs, x, weight, &out) };
    }
}
