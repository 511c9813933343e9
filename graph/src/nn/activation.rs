//! Activation functions.

use crate::{BuildError, DType, FunctionBuilder, ValueId};

/// Soft capping, `cap * tanh(x / cap)`: bounds `x` to (-cap, cap) in its own dtype.
///
/// Source: Gemma 2 report (arXiv 2408.00118), section 2.
///
/// # Errors
/// If `x` is not a float tensor.
pub fn softcap(b: &mut FunctionBuilder<'_>, x: ValueId, cap: f64) -> Result<ValueId, BuildError> {
    let ty = b.ty(x)?;
    let cap = b.splat(cap, &ty)?;
    let ratio = b.div(x, cap)?;
    let squashed = b.tanh(ratio)?;
    b.mul(squashed, cap)
}

/// GELU in its tanh approximation, `x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))`.
///
/// Source: Hendrycks and Gimpel, arXiv 1606.08415.
///
/// # Errors
/// If `x` is not a float tensor.
pub fn gelu_tanh(b: &mut FunctionBuilder<'_>, x: ValueId) -> Result<ValueId, BuildError> {
    let ty = b.ty(x)?;
    let square = b.mul(x, x)?;
    let cube = b.mul(square, x)?;
    let coefficient = b.splat(0.044715, &ty)?;
    let correction = b.mul(cube, coefficient)?;
    let sum = b.add(x, correction)?;
    let slope = b.splat(std::f64::consts::FRAC_2_PI.sqrt(), &ty)?;
    let inner = b.mul(sum, slope)?;
    let tanh = b.tanh(inner)?;
    let one = b.splat(1.0, &ty)?;
    let gate = b.add(tanh, one)?;
    let half = b.splat(0.5, &ty)?;
    let half_x = b.mul(x, half)?;
    b.mul(half_x, gate)
}

/// The gated unit `gelu_tanh(gate) * up`, computed in f32 and rounded once to the operands' dtype.
///
/// `gate` and `up` are `[..., ffn]`. It is a composite named `lapidary.geglu` of `[gate, up]`. Source: Shazeer, arXiv
/// 2002.05202.
///
/// # Errors
/// If the operands differ in type or are not floats.
pub fn geglu(b: &mut FunctionBuilder<'_>, gate: ValueId, up: ValueId) -> Result<ValueId, BuildError> {
    b.composite("lapidary.geglu", Vec::new(), [gate, up], |b, [gate, up]| gated(b, gate, up))
}

fn gated(b: &mut FunctionBuilder<'_>, gate: ValueId, up: ValueId) -> Result<ValueId, BuildError> {
    let dtype = b.ty(gate)?.dtype;
    let gate = b.convert(gate, DType::F32)?;
    let up = b.convert(up, DType::F32)?;
    let activated = gelu_tanh(b, gate)?;
    let product = b.mul(activated, up)?;
    b.convert(product, dtype)
}
