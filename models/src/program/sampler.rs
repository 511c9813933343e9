//! From logits to each row's next token and what is told of it.

use lapidary_graph::nn::{self, SamplingRows, TopTokens};
use lapidary_graph::{BuildError, FunctionBuilder, LogicalAxes, ValueId};

use super::params::Params;
use super::{Input, SamplerShape};

/// The choice of one step, one value a row.
pub(super) struct Chosen {
    /// s32 `[batch]`.
    pub(super) token: ValueId,
    /// f32 `[batch]`.
    pub(super) logprob: ValueId,
    /// The likeliest tokens, if asked for.
    pub(super) top: Option<TopTokens>,
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
        let total = nn::log_sum_exp(b, logits)?;
        Ok(Chosen {
            token,
            logprob: nn::token_logprob(b, logits, total, token)?,
            top: match shape.top_logprobs {
                0 => None,
                n => Some(nn::top_logprobs(b, logits, total, n)?),
            },
            non_finite: nn::first_non_finite(b, logits)?,
        })
    })
}
