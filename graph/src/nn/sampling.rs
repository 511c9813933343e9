//! Sampling and scoring: softmax, argmax, top-k, and the choice of each row's next token.

mod filters;
mod gumbel;
mod logprobs;
mod penalty;
mod per_row;
mod threefry;
mod threshold;

pub use filters::{SamplingRows, sample};
pub use gumbel::gumbel;
pub use logprobs::{TopTokens, first_non_finite, log_sum_exp, token_logit, top_logprobs};
pub use penalty::{repetition_penalty, see_token, seen_tokens};
pub use per_row::any;
pub use threefry::threefry_2x32;

use crate::op::{BinaryKind, Comparison, GatherDims};
use crate::{BuildError, DType, FunctionBuilder, Literal, Op, TensorType, ValueId};

/// Softmax along `dim`, in `x`'s own dtype; the maximum is subtracted first, so nothing overflows.
///
/// # Errors
/// If `x` is not a float tensor or has no dimension `dim`.
pub fn softmax(b: &mut FunctionBuilder<'_>, x: ValueId, dim: usize) -> Result<ValueId, BuildError> {
    let shifted = minus_max(b, x, dim)?;
    let exp = b.exp(shifted)?;
    let sum = reduce_keeping(b, exp, dim, BinaryKind::Add, 0.0)?;
    b.div(exp, sum)
}

/// Logarithm of the softmax along `dim`, computed without leaving the logarithms.
///
/// # Errors
/// If `x` is not a float tensor or has no dimension `dim`.
pub fn log_softmax(b: &mut FunctionBuilder<'_>, x: ValueId, dim: usize) -> Result<ValueId, BuildError> {
    let shifted = minus_max(b, x, dim)?;
    let exp = b.exp(shifted)?;
    let sum = reduce_keeping(b, exp, dim, BinaryKind::Add, 0.0)?;
    let log_sum = b.log(sum)?;
    b.sub(shifted, log_sum)
}

/// Index of the greatest element of `x` `[..., n]` along the last dimension, `[...]` s32; the first of
/// equal ones. NaN is never the greatest: a row of nothing else gives `i32::MAX`.
///
/// Two plain reductions, to the greatest value and to the least index that has it: where the last dimension is split
/// over devices, each is an all-reduce of its results.
///
/// # Errors
/// If `x` is a scalar or not a float tensor.
pub fn argmax(b: &mut FunctionBuilder<'_>, x: ValueId) -> Result<ValueId, BuildError> {
    let ty = b.ty(x)?;
    let last = ty.rank().saturating_sub(1);
    let number = b.compare(Comparison::Eq, x, x)?;
    let lowest = b.splat(f64::NEG_INFINITY, &ty)?;
    let numbers = b.select(number, x, lowest)?;
    let max = reduce_keeping(b, numbers, last, BinaryKind::Maximum, f64::NEG_INFINITY)?;
    let greatest = b.compare(Comparison::Eq, x, max)?;
    per_row::first(b, greatest)
}

/// The `k` greatest elements of `x` `[..., n]` along the last dimension in descending order, and their
/// indices (s32); equal elements keep their order, NaN comes first.
///
/// # Errors
/// If `x` is a scalar, or `k` exceeds its last dimension.
pub fn top_k(b: &mut FunctionBuilder<'_>, x: ValueId, k: usize) -> Result<(ValueId, ValueId), BuildError> {
    let ty = b.ty(x)?;
    let last = ty.rank().saturating_sub(1);
    let indices = b.iota(ty.with_dtype(DType::S32), last)?;
    let comparator = b.nested("descending", |b| {
        let (float, int) = (TensorType::scalar(ty.dtype), TensorType::scalar(DType::S32));
        let (lhs, rhs) = (b.param("a", float.clone()), b.param("b", float));
        b.param("a_at", int.clone());
        b.param("b_at", int);
        let op = Op::Compare { direction: Comparison::Gt, total_order: true };
        b.push(op, &[lhs, rhs])
    })?;
    let sorted = b.sort(&[x, indices], last, true, comparator)?;
    let (values, order) = (b.nth("sort", &sorted, 0)?, b.nth("sort", &sorted, 1)?);
    Ok((b.slice_dim(values, last, 0, k)?, b.slice_dim(order, last, 0, k)?))
}

/// `x[r..., index[r...], ...]`: `x` is `[rows.., n, rest..]` and `index` `[rows..]` of integers; the result
/// is `[rows.., rest..]`. An index out of range is clamped.
///
/// # Errors
/// If `index`'s dimensions are not `x`'s leading ones.
pub fn take(b: &mut FunctionBuilder<'_>, x: ValueId, index: ValueId) -> Result<ValueId, BuildError> {
    let ty = b.ty(x)?;
    let rank = b.ty(index)?.rank();
    let batching: Vec<usize> = (0..rank).collect();
    let dims = GatherDims {
        offset_dims: (rank..ty.rank().saturating_sub(1)).collect(),
        collapsed_slice_dims: vec![rank],
        operand_batching_dims: batching.clone(),
        start_indices_batching_dims: batching,
        start_index_map: vec![rank],
        index_vector_dim: rank,
    };
    let sizes: Vec<usize> = ty.dims.iter().enumerate().map(|(d, &n)| if d <= rank { 1 } else { n }).collect();
    b.gather(x, index, dims, &sizes)
}

fn minus_max(b: &mut FunctionBuilder<'_>, x: ValueId, dim: usize) -> Result<ValueId, BuildError> {
    let max = reduce_keeping(b, x, dim, BinaryKind::Maximum, f64::NEG_INFINITY)?;
    b.sub(x, max)
}

/// Reduces along `dim` and broadcasts the result back to `x`'s dimensions.
fn reduce_keeping(
    b: &mut FunctionBuilder<'_>,
    x: ValueId,
    dim: usize,
    kind: BinaryKind,
    init: f64,
) -> Result<ValueId, BuildError> {
    let ty = b.ty(x)?;
    let init = b.constant(Literal::float(ty.dtype, init))?;
    let body = b.combiner(kind, ty.dtype)?;
    let reduced = b.reduce(x, init, &[dim], body)?;
    let kept: Vec<usize> = (0..ty.rank()).filter(|&d| d != dim).collect();
    b.broadcast(reduced, &ty.dims, &kept)
}
