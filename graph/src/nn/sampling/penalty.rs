//! Repetition penalty, and which tokens a row has seen.

use super::per_row::spread;
use crate::op::{BinaryKind, Comparison, ScatterDims};
use crate::{BuildError, DType, FunctionBuilder, Literal, TensorType, ValueId};

/// `logits` `[batch, vocab]` where those of `seen` tokens (pred `[batch, vocab]`) are divided by the row's `penalty`
/// (f32 `[batch]`) if positive and else multiplied by it.
///
/// Source: Keskar et al., "CTRL", arXiv:1909.05858, section 4.1.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn repetition_penalty(
    b: &mut FunctionBuilder<'_>,
    logits: ValueId,
    seen: ValueId,
    penalty: ValueId,
) -> Result<ValueId, BuildError> {
    let ty = b.ty(logits)?;
    let penalty = spread(b, penalty, &ty)?;
    let zero = b.splat(0.0, &ty)?;
    let positive = b.compare(Comparison::Gt, logits, zero)?;
    let (divided, multiplied) = (b.div(logits, penalty)?, b.mul(logits, penalty)?);
    let penalised = b.select(positive, divided, multiplied)?;
    b.select(seen, penalised, logits)
}

/// Which of `vocab` tokens are among the first `count` (s32 `[batch]`) of each row's `tokens` (s32 `[batch, n]`): pred
/// `[batch, vocab]`.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn seen_tokens(
    b: &mut FunctionBuilder<'_>,
    tokens: ValueId,
    count: ValueId,
    vocab: usize,
) -> Result<ValueId, BuildError> {
    let ty = b.ty(tokens)?;
    let batch = ty.dims.first().copied().unwrap_or(0);
    let (index, count) = (b.iota(ty.clone(), 1)?, spread(b, count, &ty)?);
    let real = b.compare(Comparison::Lt, index, count)?;
    // Out of range, so dropped.
    let nowhere = b.splat(vocab as f64, &ty)?;
    let tokens = b.select(real, tokens, nowhere)?;

    let nothing = b.splat(0.0, &TensorType::new(DType::Pred, [batch, vocab]))?;
    let yes = b.constant(Literal::pred(true))?;
    let yes = b.broadcast(yes, &ty.dims, &[])?;
    let body = b.combiner(BinaryKind::Or, DType::Pred)?;
    let dims = ScatterDims {
        update_window_dims: Vec::new(),
        inserted_window_dims: vec![1],
        input_batching_dims: vec![0],
        scatter_indices_batching_dims: vec![0],
        scatter_dims_to_operand_dims: vec![1],
        index_vector_dim: 2,
    };
    b.scatter(nothing, tokens, yes, dims, false, body)
}

/// `seen` (pred `[batch, vocab]`) with one more token a row (s32 `[batch]`); an id out of range adds none.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn see_token(b: &mut FunctionBuilder<'_>, seen: ValueId, token: ValueId) -> Result<ValueId, BuildError> {
    let ty = b.ty(seen)?.with_dtype(DType::S32);
    let (ids, token) = (b.iota(ty.clone(), 1)?, spread(b, token, &ty)?);
    let here = b.compare(Comparison::Eq, ids, token)?;
    b.or(seen, here)
}
