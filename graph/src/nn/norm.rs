//! Normalisation.

use crate::op::BinaryKind;
use crate::{Attr, BuildError, DType, FunctionBuilder, Literal, ValueId};

/// Gemma's RMSNorm over the last dimension: `x / sqrt(mean(x^2) + eps) * (1 + weight)`.
///
/// `x` is `[..., d]` and `weight` `[d]`. Everything is f32 until the one rounding to `x`'s dtype: folding
/// the `1 +` into a stored bf16 weight would lose bits of it.
///
/// It is a composite named `lapidary.rms_norm` of `[x, weight]` with the attribute `eps`.
///
/// # Errors
/// If `weight` does not fit `x`'s last dimension.
pub fn rms_norm(
    b: &mut FunctionBuilder<'_>,
    x: ValueId,
    weight: ValueId,
    eps: f64,
) -> Result<ValueId, BuildError> {
    let attributes = vec![("eps".to_string(), Attr::Float(eps))];
    b.composite("lapidary.rms_norm", attributes, [x, weight], |b, [x, weight]| normed(b, x, weight, eps))
}

fn normed(b: &mut FunctionBuilder<'_>, x: ValueId, weight: ValueId, eps: f64) -> Result<ValueId, BuildError> {
    let ty = b.ty(x)?;
    let wide = ty.with_dtype(DType::F32);
    let leading: Vec<usize> = (0..ty.rank().saturating_sub(1)).collect();
    let last = leading.len();
    let width = ty.dims.last().copied().unwrap_or(1);

    let x = b.convert(x, DType::F32)?;
    let squares = b.mul(x, x)?;
    let zero = b.constant(Literal::float(DType::F32, 0.0))?;
    let add = b.combiner(BinaryKind::Add, DType::F32)?;
    let sum = b.reduce(squares, zero, &[last], add)?;
    let sums = b.ty(sum)?;
    let reciprocal_width = b.splat(1.0 / width as f64, &sums)?;
    let mean = b.mul(sum, reciprocal_width)?;
    let eps = b.splat(eps, &sums)?;
    let mean = b.add(mean, eps)?;
    let inverse = b.rsqrt(mean)?;
    let inverse = b.broadcast(inverse, &wide.dims, &leading)?;
    let normalised = b.mul(x, inverse)?;

    let weight = b.convert(weight, DType::F32)?;
    let weight_ty = b.ty(weight)?;
    let one = b.splat(1.0, &weight_ty)?;
    let gain = b.add(weight, one)?;
    let gain = b.broadcast(gain, &wide.dims, &[last])?;
    let scaled = b.mul(normalised, gain)?;
    b.convert(scaled, ty.dtype)
}
