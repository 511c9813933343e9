//! Layers of more than one row, as products of tiles.

mod blocks;
mod bytes;
mod inputs;
mod narrow;
mod wide;

use super::Codes;
use super::avx512::bytes::{Int4, Int8};
use super::layer::Layer;
use super::output::Output;
use crate::{LinearResult, Pool};
use blocks::Block;

/// Rows of `x` up to which tiles are no faster where codes are decoded for them.
const FEW_ROWS: usize = 3;

/// Whether tiles are the way for a layer.
pub(super) fn takes(layer: &Layer<'_>) -> bool {
    bytes::takes(layer) || decoded(layer)
}

/// Whether tiles are that with codes that become bf16.
fn decoded(layer: &Layer<'_>) -> bool {
    layer.shape.rows > FEW_ROWS && (narrow::takes(layer) || wide::takes(layer))
}

/// Computes a layer.
///
/// # Safety
/// The processor has AMX with bf16 and AVX-512 F, BW, VL and BF16; [`takes`] says yes; `out` is the layer's.
pub(super) unsafe fn linear(pool: &Pool, layer: &Layer<'_>, out: LinearResult<'_>) {
    // SAFETY: the caller's promise.
    if let Some(x) = bytes::takes(layer).then(|| unsafe { bytes::digits(layer) }).flatten() {
        // SAFETY: the caller's promise.
        unsafe { bytes::linear(pool, layer, &x, &Output::new(out, layer.shape)) };
        return;
    }
    match layer.codes() {
        // SAFETY: the caller's promise.
        Codes::Int8(_) => unsafe { linear_of::<2, Int8>(pool, layer, out) },
        // SAFETY: the caller's promise.
        Codes::Int4(_) => unsafe { linear_of::<4, Int4>(pool, layer, out) },
    }
}

/// # Safety
/// As [`linear`].
unsafe fn linear_of<const V: usize, B: Block<V>>(pool: &Pool, layer: &Layer<'_>, out: LinearResult<'_>) {
    if narrow::takes(layer) {
        // SAFETY: the caller's promise.
        unsafe { narrow::linear::<V, B>(pool, layer, &Output::new(out, layer.shape)) };
    } else {
        // SAFETY: the caller's promise.
        unsafe { wide::linear::<V, B>(pool, layer, out) };
    }
}
