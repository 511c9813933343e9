//! From logits to each row's next token and what is told of it.

use lapidary_graph::nn::{self, SamplingRows, TopTokens};
use lapidary_graph::op::Comparison;
use lapidary_graph::{BuildError, FunctionBuilder, LogicalAxes, ValueId};

use super::params::Params;
use super::{Input, SamplerShape};

/// The choice of one step, one value a row.
pub(super) struct Chosen {
    /// s32 `[batch]`.
    pub(super) token: ValueId,
    /// f32 `[batch]`: its log-probability; the logit of `non_finite`, where there is such a token.
    pub(super) logprob: ValueId,
    /// The likeliest tokens, if asked for.
    pub(super) top: Option<TopTokens>,
    /// pred `[batch]`: whether there is a token without a usable logit.
    pub(super) broken: ValueId,
    /// s32 `[batch]`: the first token without a usable logit, or `i32::MAX`.
    pub(super) non_finite: ValueId,
}

/// Chooses the token at `position` (s32 `[batch]`) of each row, given its `logits` `[batch, vocab]` and, where there is a
/// repetition penalty, the tokens it has `seen` (pred `[batch, vocab]`).
pub(super) fn choose(
    b: &mut FunctionBuilder<'_>,
    params: &Params,
    shape: SamplerShape,
    logits: ValueId,
    seen: Option<ValueId>,
    position: ValueId,
) -> Result<Chosen, BuildError> {
    let logits = b.sharding_constraint(logits, LogicalAxes::of(&["batch", "vocab"]))?;
    let penalised = match seen {
        Some(seen) => {
            let penalty = params.input(Input::RepetitionPenalty);
            b.scoped("repetition_penalty", |b| nn::repetition_penalty(b, logits, seen, penalty))?
        }
        None => logits,
    };
    let rows = SamplingRows {
        temperature: params.input(Input::Temperature),
        top_k: params.input(Input::TopK),
        top_p: params.input(Input::TopP),
        min_p: params.input(Input::MinP),
        seed: params.input(Input::Seed),
        position,
    };
    let token = nn::sample(b, penalised, &rows)?;
    b.scoped("logprobs", |b| {
        let non_finite = nn::first_non_finite(b, logits)?;
        let none = b.splat(f64::from(i32::MAX), &b.ty(non_finite)?)?;
        let broken = b.compare(Comparison::Ne, non_finite, none)?;
        let told = b.select(broken, non_finite, token)?;
        let logit = nn::token_logit(b, logits, told)?;
        let total = nn::log_sum_exp(b, logits)?;
        let logprob = b.sub(logit, total)?;
        Ok(Chosen {
            token,
            logprob: b.select(broken, logit, logprob)?,
            top: match shape.top_logprobs {
                0 => None,
                n => Some(nn::top_logprobs(b, logits, total, n)?),
            },
            broken,
            non_finite,
        })
    })
}
