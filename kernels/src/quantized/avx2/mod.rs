//! AVX2: products in f32, which hold those of a code and an element of `x` exactly, or of bytes.

mod bytes;
mod decoded;
mod form;

use std::ops::Range;

use super::layer::Layer;
use super::ordered::{self, Operands};
use super::output::Output;
use super::{by_outputs, plain};
use crate::linear::linear_of_weights;
use crate::{LinearResult, Pool};
use decoded::Decoded;
use form::Avx2;

/// Rows up to which weights are decoded in registers; beyond, once for all rows, in memory.
const FEW_ROWS: usize = 8;

/// Computes a layer.
///
/// # Safety
/// The processor has AVX2 and FMA, and the result is the layer's.
pub(super) unsafe fn linear(pool: &Pool, layer: &Layer<'_>, out: LinearResult<'_>) {
    if layer.shape.rows > FEW_ROWS {
        // SAFETY: the caller's promise; a layer's slices are of its shape's sizes.
        return unsafe { linear_of_weights(pool, layer.shape, layer.x, &Decoded(layer), out) };
    }
    let out = Output::new(out, layer.shape);
    if bytes::takes(layer)
        // SAFETY: the caller's promise.
        && let Some(operands) = unsafe { bytes::Operands::new(layer) }
    {
        // SAFETY: the caller's promise.
        by_outputs(pool, layer, &out, 1, |part, sums| unsafe { operands.outputs(part, sums) });
        return;
    }
    if ordered::takes(layer) {
        let operands = Operands::new(layer);
        // SAFETY: the caller's promise.
        by_outputs(pool, layer, &out, 1, |part, sums| unsafe { outputs(&operands, part, sums) });
    } else {
        // SAFETY: the caller's promise.
        by_outputs(pool, layer, &out, 1, |part, sums| unsafe { plain::outputs_avx2(layer, part, sums) });
    }
}

#[target_feature(enable = "avx2,fma")]
fn outputs(operands: &Operands<'_, Avx2>, part: Range<usize>, sums: &mut [f32]) {
    // SAFETY: the processor has what is asked for.
    unsafe { operands.outputs(part, sums) };
}
