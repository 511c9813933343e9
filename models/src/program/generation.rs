//! Steps that choose tokens: one, or a loop of them on the device.

use lapidary_graph::op::Comparison;
use lapidary_graph::{BuildError, DType, FunctionBuilder, ValueId, nn};

use super::answers::{Answers, int};
use super::params::Params;
use super::results::Results;
use super::sampler::choose;
use super::step::{Model, States};
use super::{Input, SamplerShape};

/// Adds up to `steps` steps and their answers to `results`; the state afterwards.
///
/// One step is no loop. A loop carries everything: parameters that do not change pass through, which compilers keep where
/// they are, and each cache is updated in place.
pub(super) fn build(
    b: &mut FunctionBuilder<'_>,
    model: &Model<'_>,
    sampler: SamplerShape,
    steps: usize,
    results: &mut Results,
) -> Result<States, BuildError> {
    let first = Progress::start(b, model, sampler, steps)?;
    let (answers, states) = if steps == 1 {
        let (next, states) = first.step(b, model, sampler)?;
        (next.answers, states)
    } else {
        run_loop(b, model, &first, sampler, steps)?
    };
    answers.add_to(results);
    Ok(states)
}

fn run_loop(
    b: &mut FunctionBuilder<'_>,
    model: &Model<'_>,
    first: &Progress,
    sampler: SamplerShape,
    steps: usize,
) -> Result<(Answers, States), BuildError> {
    let mut layout = States::new();
    let more = |b: &mut FunctionBuilder<'_>, carried: &[ValueId]| {
        let progress = first.under(carried);
        let steps = int(b, steps)?;
        let left = b.compare(Comparison::Lt, progress.step, steps)?;
        b.and(progress.running, left)
    };
    let carried = first.values();
    let ended = b.while_with("decode_step", &carried, more, |b, carried| {
        let progress = first.under(carried);
        let (next, states) = progress.step(b, model, sampler)?;
        layout = states;
        Ok(next.values())
    })?;
    let ended = first.under(&ended);
    let states = layout.into_iter().map(|(layer, kind, _)| (layer, kind, ended.params.state(layer, kind)));
    let states = states.collect();
    Ok((ended.answers, states))
}

/// What one step hands to the next.
struct Progress {
    /// Number of the step, scalar s32.
    step: ValueId,
    /// Whether any row goes on, scalar pred.
    running: ValueId,
    /// Tokens that each row has seen, pred `[batch, vocab]`, where there is a repetition penalty.
    seen: Option<ValueId>,
    answers: Answers,
    params: Params,
}

impl Progress {
    fn start(
        b: &mut FunctionBuilder<'_>,
        model: &Model<'_>,
        sampler: SamplerShape,
        steps: usize,
    ) -> Result<Self, BuildError> {
        let params = model.params;
        let (start, count) = (params.input(Input::Start), params.input(Input::Count));
        let active = is_positive(b, count)?;
        let seen = if sampler.repetition_penalty {
            let end = b.add(start, count)?;
            let history = params.input(Input::History);
            let vocab = model.config.live_vocab_size();
            Some(b.scoped("seen_tokens", |b| nn::seen_tokens(b, history, end, vocab))?)
        } else {
            None
        };
        Ok(Self {
            step: int(b, 0)?,
            running: nn::any(b, active)?,
            seen,
            answers: Answers::empty(b, model.shape.batch, steps, sampler)?,
            params: params.clone(),
        })
    }

    fn values(&self) -> Vec<ValueId> {
        let own = [self.step, self.running].into_iter().chain(self.seen).chain(self.answers.values());
        own.chain(self.params.values().iter().copied()).collect()
    }

    /// The same under other values, in the order of [`values`](Self::values).
    fn under(&self, values: &[ValueId]) -> Self {
        let mut rest = values.iter().copied();
        let mut next = || rest.next().unwrap_or(ValueId::new(usize::MAX));
        let (step, running) = (next(), next());
        let seen = self.seen.map(|_| next());
        let answers: Vec<ValueId> = self.answers.values().map(|_| next()).collect();
        let params: Vec<ValueId> = rest.collect();
        let (answers, params) = (self.answers.under(&answers), self.params.under(&params));
        Self { step, running, seen, answers, params }
    }

    /// Runs the rows' tokens through the model and chooses the ones that follow.
    fn step(
        &self,
        b: &mut FunctionBuilder<'_>,
        model: &Model<'_>,
        sampler: SamplerShape,
    ) -> Result<(Self, States), BuildError> {
        let params = &self.params;
        let model = model.under(params);
        let (hidden, states) = model.step(b)?;
        let logits = model.last_logits(b, hidden)?;
        b.scoped("sampling", |b| {
            let (start, count) = (params.input(Input::Start), params.input(Input::Count));
            let end = b.add(start, count)?;
            let chosen = choose(b, params, sampler, logits, self.seen, end)?;

            let active = is_positive(b, count)?;
            let whole = b.not(chosen.broken)?;
            let taken = b.and(active, whole)?;
            let answers = self.answers.with_step(b, self.step, &chosen, active, taken)?;
            if model.shape.phase.steps() == 1 {
                return Ok((Self { answers, params: params.clone(), ..*self }, states));
            }

            let remaining = params.input(Input::Remaining);
            let one = b.convert(taken, DType::S32)?;
            let remaining = b.sub(remaining, one)?;
            let left = is_positive(b, remaining)?;
            let ended = self.ends_sequence(b, &model, chosen.token)?;
            let goes_on = b.not(ended)?;
            let goes_on = b.and(goes_on, left)?;
            let goes_on = b.and(goes_on, taken)?;

            let tokens = params.input(Input::Tokens);
            let token = b.reshape(chosen.token, &b.ty(tokens)?.dims)?;
            let count = b.convert(goes_on, DType::S32)?;
            let inputs = [
                (Input::Tokens, token),
                (Input::Start, end),
                (Input::Count, count),
                (Input::Remaining, remaining),
            ];
            let one = int(b, 1)?;
            let next = Self {
                step: b.add(self.step, one)?,
                running: nn::any(b, goes_on)?,
                seen: self.seen.map(|seen| nn::see_token(b, seen, chosen.token)).transpose()?,
                answers,
                params: params.under(&params.next(&inputs, &states)),
            };
            Ok((next, states))
        })
    }

    /// Whether a row ends with this token.
    fn ends_sequence(
        &self,
        b: &mut FunctionBuilder<'_>,
        model: &Model<'_>,
        token: ValueId,
    ) -> Result<ValueId, BuildError> {
        let ty = b.ty(token)?;
        let mut is_end = b.splat(0.0, &ty.with_dtype(DType::Pred))?;
        for &id in &model.config.eos_token_ids {
            let id = b.splat(f64::from(id), &ty)?;
            let same = b.compare(Comparison::Eq, token, id)?;
            is_end = b.or(is_end, same)?;
        }
        b.and(is_end, self.params.input(Input::StopAtEos))
    }
}

fn is_positive(b: &mut FunctionBuilder<'_>, x: ValueId) -> Result<ValueId, BuildError> {
    let zero = b.splat(0.0, &b.ty(x)?)?;
    b.compare(Comparison::Gt, x, zero)
}
