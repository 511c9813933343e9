//! How fast the devices multiply matrices.

use lapidary_graph::{DType, TensorType, nn};

use super::program::ProbeProgram;
use crate::bench::BenchError;
use crate::engine::{Kernels, Placement};

/// A twentieth of a second at 300 GFLOP/s. Both the compiler's own product and that of the kernels, either of which may be the
/// faster one.
pub(super) fn on_cpu(placement: &Placement, dtype: DType) -> Result<[ProbeProgram; 2], BenchError> {
    Ok([
        product(placement, Kernels::OFF, dtype, 512, 4096)?,
        product(placement, Kernels::AUTO, dtype, 512, 4096)?,
    ])
}

/// A millisecond at 1000 TFLOP/s, so that starting the program is nothing beside it.
pub(super) fn on_accelerator(placement: &Placement, dtype: DType) -> Result<ProbeProgram, BenchError> {
    product(placement, Kernels::OFF, dtype, 8192, 8192)
}

/// `x · wᵀ` of x `[rows, size]` and w `[size, size]` with an f32 result: as a linear layer, lowered in the form that
/// the target's compiler makes the best code of.
fn product(
    placement: &Placement,
    kernels: Kernels,
    dtype: DType,
    rows: usize,
    size: usize,
) -> Result<ProbeProgram, BenchError> {
    let operands = [TensorType::new(dtype, [rows, size]), TensorType::new(dtype, [size, size])];
    let flops = 2.0 * rows as f64 * size as f64 * size as f64;
    ProbeProgram::new(placement, kernels, "matrix_peak", &operands, flops, |b, values| match values {
        [x, w] => nn::linear(b, *x, *w, DType::F32),
        _ => b.splat(0.0, &TensorType::scalar(DType::F32)),
    })
}
