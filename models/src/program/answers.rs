//! What a dispatch has answered so far: tokens and what is told of them.

use lapidary_graph::op::Comparison;
use lapidary_graph::{BuildError, DType, FunctionBuilder, Literal, TensorType, ValueId};

use super::results::Results;
use super::sampler::Chosen;
use super::{Output, SamplerShape};

/// The answers, filled column by column.
pub(super) struct Answers {
    values: Vec<(Output, ValueId)>,
}

impl Answers {
    /// Of `batch` rows before their first of `steps` steps.
    pub(super) fn empty(
        b: &mut FunctionBuilder<'_>,
        batch: usize,
        steps: usize,
        sampler: SamplerShape,
    ) -> Result<Self, BuildError> {
        let top = sampler.top_logprobs;
        let mut empty = vec![
            (Output::Tokens, DType::S32, vec![batch, steps], -1),
            (Output::Counts, DType::S32, vec![batch], 0),
            (Output::Logprobs, DType::F32, vec![batch, steps], 0),
            (Output::NonFinite, DType::S32, vec![batch], i32::MAX),
        ];
        if top > 0 {
            empty.push((Output::TopTokens, DType::S32, vec![batch, steps, top], -1));
            empty.push((Output::TopLogprobs, DType::F32, vec![batch, steps, top], 0));
        }
        let values = empty.into_iter().map(|(output, dtype, dims, value)| {
            Ok((output, b.splat(f64::from(value), &TensorType::new(dtype, dims))?))
        });
        Ok(Self { values: values.collect::<Result<_, _>>()? })
    }

    pub(super) fn values(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.values.iter().map(|&(_, value)| value)
    }

    /// The same answers under other values: those that a loop carries in their stead.
    pub(super) fn under(&self, values: &[ValueId]) -> Self {
        let outputs = self.values.iter().map(|&(output, _)| output);
        Self { values: outputs.zip(values.iter().copied()).collect() }
    }

    /// With what `step` (scalar s32) chose for the rows that are `active` (pred `[batch]`), and of these `taken`: the
    /// others have logits that nothing can be chosen by.
    pub(super) fn with_step(
        &self,
        b: &mut FunctionBuilder<'_>,
        step: ValueId,
        chosen: &Chosen,
        active: ValueId,
        taken: ValueId,
    ) -> Result<Self, BuildError> {
        let next = self.values.iter().map(|&(output, old)| {
            let new = match output {
                Output::Tokens => with_column(b, old, chosen.token, step, taken)?,
                Output::Logprobs => with_column(b, old, chosen.logprob, step, active)?,
                Output::TopTokens | Output::TopLogprobs => match (chosen.top, output) {
                    (Some(top), Output::TopTokens) => with_column(b, old, top.tokens, step, taken)?,
                    (Some(top), _) => with_column(b, old, top.logprobs, step, taken)?,
                    (None, _) => old,
                },
                Output::Counts => {
                    let one = b.convert(taken, DType::S32)?;
                    b.add(old, one)?
                }
                Output::NonFinite => b.select(active, chosen.non_finite, old)?,
                Output::Logits | Output::Nll => old,
            };
            Ok((output, new))
        });
        Ok(Self { values: next.collect::<Result<_, _>>()? })
    }

    pub(super) fn add_to(self, results: &mut Results) {
        for (output, value) in self.values {
            let axes: &[&str] = match output {
                Output::Counts | Output::NonFinite => &["batch"],
                Output::TopTokens | Output::TopLogprobs => &["batch", "step", "candidate"],
                Output::Tokens | Output::Logprobs | Output::Logits | Output::Nll => &["batch", "step"],
            };
            results.output(output, value, axes);
        }
    }
}

/// `table` `[batch, steps, ...]` with `column` `[batch, ...]` at `step`, in the rows that are `taken`.
fn with_column(
    b: &mut FunctionBuilder<'_>,
    table: ValueId,
    column: ValueId,
    step: ValueId,
    taken: ValueId,
) -> Result<ValueId, BuildError> {
    let ty = b.ty(table)?;
    let steps = b.iota(ty.with_dtype(DType::S32), 1)?;
    let step = b.broadcast(step, &ty.dims, &[])?;
    let here = b.compare(Comparison::Eq, steps, step)?;
    let taken = b.broadcast(taken, &ty.dims, &[0])?;
    let here = b.and(here, taken)?;
    let along: Vec<usize> = (0..ty.rank()).filter(|&dim| dim != 1).collect();
    let column = b.broadcast(column, &ty.dims, &along)?;
    b.select(here, column, table)
}

/// A scalar s32.
pub(super) fn int(b: &mut FunctionBuilder<'_>, value: usize) -> Result<ValueId, BuildError> {
    b.constant(Literal::int(DType::S32, value as i64))
}
