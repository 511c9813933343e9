//! Rotary position embedding.

use crate::element::Scalar;
use crate::{BuildError, DType, FunctionBuilder, Literal, ValueId};

/// Cosines and sines of a program's positions, shared by its layers: both `[batch, seq, head_dim / 2]` f32.
#[derive(Clone, Copy, Debug)]
pub struct RopeTables {
    /// Cosines.
    pub cos: ValueId,
    /// Sines.
    pub sin: ValueId,
}

/// Angles `position * theta^(-2i / head_dim)` in f32 for `positions` `[batch, seq]`.
///
/// The frequencies are computed here in f64 and rounded once: an error of one unit in the last place of
/// a frequency grows with the position. Source: Su et al., arXiv 2104.09864, equation 15.
///
/// # Errors
/// If `positions` is not a matrix.
pub fn rope_tables(
    b: &mut FunctionBuilder<'_>,
    positions: ValueId,
    head_dim: usize,
    theta: f64,
) -> Result<RopeTables, BuildError> {
    let half = head_dim / 2;
    let frequency = |i: usize| Scalar::Float(theta.powf(-2.0 * i as f64 / head_dim as f64));
    let frequencies = b.constant(Literal::vector(DType::F32, (0..half).map(frequency)))?;

    let mut dims = b.ty(positions)?.dims;
    let leading: Vec<usize> = (0..dims.len()).collect();
    dims.push(half);
    let positions = b.convert(positions, DType::F32)?;
    let positions = b.broadcast(positions, &dims, &leading)?;
    let frequencies = b.broadcast(frequencies, &dims, &[leading.len()])?;
    let angles = b.mul(positions, frequencies)?;
    Ok(RopeTables { cos: b.cosine(angles)?, sin: b.sine(angles)? })
}

/// Rotates pairs `(x[i], x[i + head_dim/2])` of `x` `[batch, seq, heads, head_dim]` by the tables' angles,
/// in f32, rounded once to `x`'s dtype. This is the half-split form that Gemma checkpoints are stored for.
///
/// # Errors
/// If `x` and the tables do not belong together.
pub fn rope(b: &mut FunctionBuilder<'_>, x: ValueId, tables: RopeTables) -> Result<ValueId, BuildError> {
    let ty = b.ty(x)?;
    let width = ty.dims.last().copied().unwrap_or(0);
    let last = ty.rank().saturating_sub(1);
    let half = width / 2;
    let x = b.convert(x, DType::F32)?;
    let first = b.slice_dim(x, last, 0, half)?;
    let second = b.slice_dim(x, last, half, width)?;

    let half_dims = b.ty(first)?.dims;
    let cos = b.broadcast(tables.cos, &half_dims, &[0, 1, 3])?;
    let sin = b.broadcast(tables.sin, &half_dims, &[0, 1, 3])?;
    let (first_cos, second_sin) = (b.mul(first, cos)?, b.mul(second, sin)?);
    let (second_cos, first_sin) = (b.mul(second, cos)?, b.mul(first, sin)?);
    let rotated_first = b.sub(first_cos, second_sin)?;
    let rotated_second = b.add(second_cos, first_sin)?;
    let rotated = b.concatenate(&[rotated_first, rotated_second], last)?;
    b.convert(rotated, ty.dtype)
}
