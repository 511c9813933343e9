//! Log-probabilities of chosen and of likely tokens, and logits that make none.

use super::per_row::{self, spread};
use crate::op::Comparison;
use crate::{BuildError, DType, FunctionBuilder, Literal, ValueId};

/// Likely tokens of each row, likeliest first; of equal ones the lower id comes first.
#[derive(Clone, Copy, Debug)]
pub struct TopTokens {
    /// Ids, s32 `[batch, n]`.
    pub tokens: ValueId,
    /// Their log-probabilities, f32 `[batch, n]`.
    pub logprobs: ValueId,
}

/// Logarithm of each row's sum of e to the `logits` `[batch, vocab]`: `[batch]`.
///
/// # Errors
/// If `logits` is not a float matrix.
pub fn log_sum_exp(b: &mut FunctionBuilder<'_>, logits: ValueId) -> Result<ValueId, BuildError> {
    let ty = b.ty(logits)?;
    let max = per_row::greatest(b, logits)?;
    let maxima = spread(b, max, &ty)?;
    let distance = b.sub(logits, maxima)?;
    let exp = b.exp(distance)?;
    let sum = per_row::sum(b, exp)?;
    let log = b.log(sum)?;
    b.add(max, log)
}

/// The logit of one `token` (s32 `[batch]`) a row, `[batch]`, given `logits` `[batch, vocab]`.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn token_logit(
    b: &mut FunctionBuilder<'_>,
    logits: ValueId,
    token: ValueId,
) -> Result<ValueId, BuildError> {
    per_row::element(b, logits, token)
}

/// The `n` likeliest tokens of each row of `logits` `[batch, vocab]`, whose [`log_sum_exp`] is given; one pass each over
/// the vocabulary, in which the next token is sought below the last.
///
/// # Errors
/// If the shapes do not fit each other, or there are no `n` tokens.
pub fn top_logprobs(
    b: &mut FunctionBuilder<'_>,
    logits: ValueId,
    log_sum_exp: ValueId,
    n: usize,
) -> Result<TopTokens, BuildError> {
    let ty = b.ty(logits)?;
    let batch = ty.dims.first().copied().unwrap_or(0);
    let lowest = b.splat(f64::NEG_INFINITY, &ty)?;
    let int = ty.with_dtype(DType::S32);
    let ids = b.iota(int.clone(), 1)?;
    let everything = b.constant(Literal::pred(true))?;
    let mut left = b.broadcast(everything, &ty.dims, &[])?;
    let (mut tokens, mut logprobs) = (Vec::with_capacity(n), Vec::with_capacity(n));
    for _ in 0..n {
        let rest = b.select(left, logits, lowest)?;
        let value = per_row::greatest(b, rest)?;
        let values = spread(b, value, &ty)?;
        let equal = b.compare(Comparison::Eq, logits, values)?;
        let next = b.and(left, equal)?;
        let token = per_row::first(b, next)?;
        let logprob = b.sub(value, log_sum_exp)?;
        tokens.push(b.reshape(token, &[batch, 1])?);
        logprobs.push(b.reshape(logprob, &[batch, 1])?);

        let token = spread(b, token, &int)?;
        let less = b.compare(Comparison::Lt, logits, values)?;
        let later = b.compare(Comparison::Gt, ids, token)?;
        let later = b.and(equal, later)?;
        left = b.or(less, later)?;
    }
    Ok(TopTokens { tokens: b.concatenate(&tokens, 1)?, logprobs: b.concatenate(&logprobs, 1)? })
}

/// The first token of each row whose logit is NaN or positive infinity, which make no distribution: s32 `[batch]`,
/// `i32::MAX` where there is none. (Negative infinity excludes a token.)
///
/// # Errors
/// If `logits` is not a float matrix.
pub fn first_non_finite(b: &mut FunctionBuilder<'_>, logits: ValueId) -> Result<ValueId, BuildError> {
    let infinity = b.splat(f64::INFINITY, &b.ty(logits)?)?;
    let nan = b.compare(Comparison::Ne, logits, logits)?;
    let infinite = b.compare(Comparison::Eq, logits, infinity)?;
    let broken = b.or(nan, infinite)?;
    per_row::first(b, broken)
}
