//! Temperature, top-k, top-p and min-p.

use super::gumbel::gumbel;
use super::per_row::{self, spread};
use super::threshold::{order_keys, threshold};
use crate::op::Comparison;
use crate::{BuildError, FunctionBuilder, ValueId};

/// How each row's token is chosen: one value a row.
///
/// The filters apply in the order of the fields, each to what the one before it left. Tokens that are as likely as the
/// last one that a filter keeps are kept with it, so that which of them stays does not depend on their numbers.
#[derive(Clone, Copy, Debug)]
pub struct SamplingRows {
    /// f32 `[batch]`: logits are divided by this; 0 takes the likeliest token, whatever the filters say.
    pub temperature: ValueId,
    /// s32 `[batch]`: keep this many of the likeliest tokens; 0 keeps all.
    pub top_k: ValueId,
    /// f32 `[batch]`: keep the likeliest tokens, as few as have this share of what top-k left; 1 keeps all.
    pub top_p: ValueId,
    /// f32 `[batch]`: keep tokens at least this many times as likely as the likeliest one; 0 keeps all.
    pub min_p: ValueId,
    /// u32 `[batch, 2]`, low word first: what the row's noise is made of, together with position and token.
    pub seed: ValueId,
    /// s32 `[batch]`: position of the token to be chosen.
    pub position: ValueId,
}

impl SamplingRows {
    const COUNT: usize = 6;

    fn values(self) -> [ValueId; Self::COUNT] {
        [self.temperature, self.top_k, self.top_p, self.min_p, self.seed, self.position]
    }

    fn of([temperature, top_k, top_p, min_p, seed, position]: [ValueId; Self::COUNT]) -> Self {
        Self { temperature, top_k, top_p, min_p, seed, position }
    }
}

/// Each row's next token, s32 `[batch]`, given its `logits`, f32 `[batch, vocab]`. Of equal candidates it is the first.
///
/// Rows draw with noise of their own ([`gumbel`](super::gumbel()) noise), so that a row's token does not depend on its
/// neighbours. If no row draws, none of that is computed.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn sample(
    b: &mut FunctionBuilder<'_>,
    logits: ValueId,
    rows: &SamplingRows,
) -> Result<ValueId, BuildError> {
    let zero = b.splat(0.0, &b.ty(rows.temperature)?)?;
    let draws = b.compare(Comparison::Gt, rows.temperature, zero)?;
    let any = per_row::any(b, draws)?;
    let args: Vec<ValueId> = [logits, draws].into_iter().chain(rows.values()).collect();
    // Both branches end with tokens: of scores, the compiler would gather all shards as the result.
    let draw = |b: &mut FunctionBuilder<'_>, args: &[ValueId]| match *args {
        [logits, draws, temperature, top_k, top_p, min_p, seed, position] => {
            let rows = SamplingRows::of([temperature, top_k, top_p, min_p, seed, position]);
            let scores = noisy_scores(b, logits, draws, &rows)?;
            let draws = spread(b, draws, &b.ty(logits)?)?;
            let scores = b.select(draws, scores, logits)?;
            super::argmax(b, scores)
        }
        _ => b.nth("if", args, SamplingRows::COUNT + 1),
    };
    b.if_with("draw", any, &args, draw, |b, args| {
        let logits = b.nth("if", args, 0)?;
        super::argmax(b, logits)
    })
}

/// Scores whose greatest one is a draw: of the tokens that the filters keep, the scaled logit and its noise.
fn noisy_scores(
    b: &mut FunctionBuilder<'_>,
    logits: ValueId,
    draws: ValueId,
    rows: &SamplingRows,
) -> Result<ValueId, BuildError> {
    let ty = b.ty(logits)?;
    let vocab = ty.dims.get(1).copied().unwrap_or(0);
    let max = per_row::greatest(b, logits)?;
    let max = spread(b, max, &ty)?;
    let (zero, lowest) = (b.splat(0.0, &ty)?, b.splat(f64::NEG_INFINITY, &ty)?);
    // The likeliest tokens are at 0 whatever the temperature: a tiny one, or infinite logits, would make NaN of them.
    let likeliest = b.compare(Comparison::Eq, logits, max)?;
    let distance = b.sub(logits, max)?;
    let temperature = spread(b, rows.temperature, &ty)?;
    let scaled = b.div(distance, temperature)?;
    let scaled = b.select(likeliest, zero, scaled)?;
    let weights = b.exp(scaled)?;

    let keys = order_keys(b, logits)?;
    let kept = b.scoped("top_k", |b| {
        let least = top_k_threshold(b, keys, draws, rows.top_k, vocab)?;
        at_least(b, keys, least)
    })?;
    let weights = b.select(kept, weights, zero)?;
    let kept = b.scoped("top_p", |b| {
        let least = top_p_threshold(b, keys, weights, draws, rows.top_p)?;
        let above = at_least(b, keys, least)?;
        b.and(kept, above)
    })?;
    let min_p = spread(b, rows.min_p, &ty)?;
    let likely = b.compare(Comparison::Ge, weights, min_p)?;
    let kept = b.and(kept, likely)?;

    let noise = b.scoped("noise", |b| gumbel(b, rows.seed, rows.position, vocab))?;
    let scores = b.add(scaled, noise)?;
    b.select(kept, scores, lowest)
}

fn at_least(b: &mut FunctionBuilder<'_>, keys: ValueId, least: ValueId) -> Result<ValueId, BuildError> {
    let least = spread(b, least, &b.ty(keys)?)?;
    b.compare(Comparison::Ge, keys, least)
}

/// The key of the `top_k`-th likeliest token.
fn top_k_threshold(
    b: &mut FunctionBuilder<'_>,
    keys: ValueId,
    draws: ValueId,
    top_k: ValueId,
    vocab: usize,
) -> Result<ValueId, BuildError> {
    let ty = b.ty(top_k)?;
    let (none, all) = (b.splat(0.0, &ty)?, b.splat(vocab as f64, &ty)?);
    let some = b.compare(Comparison::Gt, top_k, none)?;
    let not_all = b.compare(Comparison::Lt, top_k, all)?;
    let wanted = b.and(some, not_all)?;
    let wanted = b.and(wanted, draws)?;
    threshold(b, keys, None, top_k, wanted)
}

/// The key of the last token that `top_p` of the weight needs.
fn top_p_threshold(
    b: &mut FunctionBuilder<'_>,
    keys: ValueId,
    weights: ValueId,
    draws: ValueId,
    top_p: ValueId,
) -> Result<ValueId, BuildError> {
    let one = b.splat(1.0, &b.ty(top_p)?)?;
    let not_all = b.compare(Comparison::Lt, top_p, one)?;
    let wanted = b.and(not_all, draws)?;
    let total = per_row::sum(b, weights)?;
    let share = b.mul(top_p, total)?;
    let least = threshold(b, keys, Some(weights), share, wanted)?;
    // A share that rounds to nothing is reached above the likeliest token.
    let greatest = per_row::greatest(b, keys)?;
    b.min(least, greatest)
}
