//! Rotary position embedding.

use crate::element::Scalar;
use crate::{BuildError, DType, FunctionBuilder, Literal, ValueId};

/// Cosines and sines of a program's positions, shared by its layers: both `[batch, seq, head_dim]` f32.
///
/// The tables are as wide as a head and not as half of one because a concatenation is what no compiler
/// computes again in every consumer: XLA's CPU compiler fused the sines and cosines themselves into each
/// layer's products, once for each head.
#[derive(Clone, Copy, Debug)]
pub struct RopeTables {
    /// Cosines, the same in both halves.
    pub cos: ValueId,
    /// Sines, negative in the first half.
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
    let (cos, sin) = (b.cosine(angles)?, b.sine(angles)?);
    let negative = b.neg(sin)?;
    let last = leading.len();
    Ok(RopeTables { cos: b.concatenate(&[cos, cos], last)?, sin: b.concatenate(&[negative, sin], last)? })
}

/// Rotates pairs `(x[i], x[i + head_dim/2])` of `x` `[batch, seq, heads, head_dim]` by the tables' angles,
/// in f32, rounded once to `x`'s dtype. This is the half-split form that Gemma checkpoints are stored for.
///
/// It is a composite named `lapidary.rope` of `[x, cos, sin]`.
///
/// # Errors
/// If `x` and the tables do not belong together.
pub fn rope(b: &mut FunctionBuilder<'_>, x: ValueId, tables: RopeTables) -> Result<ValueId, BuildError> {
    let RopeTables { cos, sin } = tables;
    b.composite("lapidary.rope", Vec::new(), [x, cos, sin], |b, [x, cos, sin]| {
        rotated(b, x, RopeTables { cos, sin })
    })
}

fn rotated(b: &mut FunctionBuilder<'_>, x: ValueId, tables: RopeTables) -> Result<ValueId, BuildError> {
    let ty = b.ty(x)?;
    let width = ty.dims.last().copied().unwrap_or(0);
    let last = ty.rank().saturating_sub(1);
    let half = width / 2;
    let x = b.convert(x, DType::F32)?;
    let first = b.slice_dim(x, last, 0, half)?;
    let second = b.slice_dim(x, last, half, width)?;
    let swapped = b.concatenate(&[second, first], last)?;

    let dims = b.ty(x)?.dims;
    let cos = b.broadcast(tables.cos, &dims, &[0, 1, 3])?;
    let sin = b.broadcast(tables.sin, &dims, &[0, 1, 3])?;
    let (straight, crossed) = (b.mul(x, cos)?, b.mul(swapped, sin)?);
    let rotated = b.add(straight, crossed)?;
    b.convert(rotated, ty.dtype)
}
