//! Values of a row: reductions over its vocabulary, and their way back.
//!
//! Everything that sampling computes of a whole row is a reduction to one number a row, so that a vocabulary that is
//! split over devices costs a few numbers a row and never a gather of logits.

use crate::op::{BinaryKind, Comparison};
use crate::{BuildError, DType, FunctionBuilder, Literal, TensorType, ValueId};

type Built = Result<ValueId, BuildError>;

/// `value` `[batch]` along the other dimensions of `ty` `[batch, ...]`.
pub(super) fn spread(b: &mut FunctionBuilder<'_>, value: ValueId, ty: &TensorType) -> Built {
    b.broadcast(value, &ty.dims, &[0])
}

/// The greatest element along the last dimension.
pub(super) fn greatest(b: &mut FunctionBuilder<'_>, x: ValueId) -> Built {
    let lowest = Literal::float(b.ty(x)?.dtype, f64::NEG_INFINITY);
    reduce(b, x, BinaryKind::Maximum, lowest)
}

/// The sum along the last dimension.
pub(super) fn sum(b: &mut FunctionBuilder<'_>, x: ValueId) -> Built {
    let zero = Literal::float(b.ty(x)?.dtype, 0.0);
    reduce(b, x, BinaryKind::Add, zero)
}

/// How many elements of the predicate hold along the last dimension, s32.
pub(super) fn count(b: &mut FunctionBuilder<'_>, pred: ValueId) -> Built {
    let ones = b.convert(pred, DType::S32)?;
    sum(b, ones)
}

/// Whether `pred`, a vector, holds anywhere: a scalar.
///
/// # Errors
/// If it is no predicate.
pub fn any(b: &mut FunctionBuilder<'_>, pred: ValueId) -> Built {
    reduce(b, pred, BinaryKind::Or, Literal::pred(false))
}

/// The least index along the last dimension where the predicate holds, s32; `i32::MAX` where it holds nowhere.
pub(super) fn first(b: &mut FunctionBuilder<'_>, pred: ValueId) -> Built {
    let ty = b.ty(pred)?.with_dtype(DType::S32);
    let indices = b.iota(ty.clone(), ty.rank().saturating_sub(1))?;
    let nowhere = b.splat(f64::from(i32::MAX), &ty)?;
    let indices = b.select(pred, indices, nowhere)?;
    reduce(b, indices, BinaryKind::Minimum, Literal::int(DType::S32, i64::from(i32::MAX)))
}

/// The element of each row of `x` `[batch, n]` at `index` `[batch]`; the lowest value of an index out of range.
pub(super) fn element(b: &mut FunctionBuilder<'_>, x: ValueId, index: ValueId) -> Built {
    let ty = b.ty(x)?;
    let indices = b.iota(ty.with_dtype(DType::S32), 1)?;
    let index = spread(b, index, &ty)?;
    let here = b.compare(Comparison::Eq, indices, index)?;
    let lowest = b.splat(f64::NEG_INFINITY, &ty)?;
    let only = b.select(here, x, lowest)?;
    greatest(b, only)
}

fn reduce(b: &mut FunctionBuilder<'_>, x: ValueId, kind: BinaryKind, init: Literal) -> Built {
    let ty = b.ty(x)?;
    let init = b.constant(init)?;
    let body = b.combiner(kind, ty.dtype)?;
    b.reduce(x, init, &[ty.rank().saturating_sub(1)], body)
}
