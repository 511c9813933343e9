//! Steps whose programs choose the next tokens.

use std::num::NonZeroUsize;

use lapidary_models::program::{Output, Phase, SamplerShape};

use super::{Batch, Step, StepOutputs, split_rows, take_chunk};
use crate::engine::inputs::RowChoice;
use crate::engine::programs::CompiledProgram;
use crate::engine::sequences::longest;
use crate::engine::{EngineError, Sampling};

/// A token that a program chose.
#[derive(Clone, PartialEq, Debug)]
pub struct Choice {
    /// The token.
    pub token: u32,
    /// Its log-probability in nats by the model's own distribution, before penalty, temperature and filters.
    pub logprob: f32,
    /// The likeliest tokens and their log-probabilities, likeliest first, as many as were asked for.
    pub top: Vec<(u32, f32)>,
}

/// What a row reads, and how it goes on.
#[derive(Clone, Copy)]
pub(crate) struct SampledRow<'t> {
    /// All tokens of the row's sequence so far.
    pub(crate) sequence: &'t [u32],
    pub(crate) sampling: Sampling,
    /// Most tokens to choose.
    pub(crate) remaining: usize,
    pub(crate) stop_at_eos: bool,
}

/// What was chosen for a row.
#[derive(Clone, Default)]
pub(crate) struct Chosen {
    pub(crate) choices: Vec<Choice>,
    /// The first token whose logit, after these, is NaN or positive infinity, and the logit. Nothing was chosen then.
    pub(crate) non_finite: Option<(usize, f32)>,
}

impl Batch<'_> {
    /// Reads what the rows' caches lack of their sequences, and chooses one token for each row that read any. `None` is
    /// a row that has no part in it.
    ///
    /// # Errors
    /// If a token does not exist, a row would exceed the model's context, the cache cannot grow, or the device fails.
    pub(crate) fn sampled_prefill(
        &mut self,
        rows: &[Option<SampledRow<'_>>],
        sampler: SamplerShape,
    ) -> Result<Vec<Chosen>, EngineError> {
        let mut rest = self.unread(rows);
        self.make_room(&rest)?;
        let mut chosen = vec![Chosen::default(); self.rows()];
        while let remaining @ 1.. = longest(&rest) {
            let program = self.engine.program(self.next_step(Phase::SampledPrefill(sampler), remaining))?;
            let tokens = take_chunk(&mut rest, program.shape.tokens);
            let ending = tokens.iter().zip(&rest).map(|(chunk, rest)| !chunk.is_empty() && rest.is_empty());
            let ending: Vec<bool> = ending.collect();
            let outputs = self.step(&program, &Step { tokens, choices: choices(rows), ..Step::default() })?;
            if ending.contains(&true) {
                let answers = outputs.chosen(&program)?;
                let ended = chosen.iter_mut().zip(answers).zip(ending).filter(|(_, ending)| *ending);
                ended.for_each(|((chosen, answer), _)| *chosen = answer);
            }
        }
        Ok(chosen)
    }

    /// Reads the last token of each row's sequence, and chooses up to `steps` more, fewer where the row ends before. The
    /// caches then hold all tokens but the last that was chosen.
    ///
    /// # Errors
    /// As [`sampled_prefill`](Self::sampled_prefill).
    pub(crate) fn sampled_decode(
        &mut self,
        rows: &[Option<SampledRow<'_>>],
        sampler: SamplerShape,
        steps: NonZeroUsize,
    ) -> Result<Vec<Chosen>, EngineError> {
        let steps = steps.get();
        let tokens = self.unread(rows);
        self.make_room(&tokens)?;
        let ends = rows
            .iter()
            .zip(&self.lengths)
            .filter_map(|(row, length)| row.as_ref().map(|row| length + row.remaining.min(steps)));
        self.reserve(ends.max().unwrap_or(0))?;
        let phase = Phase::SampledDecode { steps, sampler };
        self.prepare_to_grow(rows, phase)?;
        let program = self.engine.program(self.shape(phase, 1))?;
        let outputs = self.step(&program, &Step { tokens, choices: choices(rows), ..Step::default() })?;
        let chosen = outputs.chosen(&program)?;
        // Beyond the token that was given, those that were chosen are read, but for the last: unless nothing could be
        // chosen after it.
        let read = |chosen: &Chosen| chosen.choices.len() + usize::from(chosen.non_finite.is_some());
        self.advance(chosen.iter().map(|chosen| read(chosen).saturating_sub(1)));
        Ok(chosen)
    }

    /// The tokens of each row that its cache does not hold.
    fn unread<'t>(&self, rows: &[Option<SampledRow<'t>>]) -> Vec<&'t [u32]> {
        let unread = |(row, &length): (&Option<SampledRow<'t>>, &usize)| {
            row.and_then(|row| row.sequence.get(length..)).unwrap_or_default()
        };
        rows.iter().zip(&self.lengths).map(unread).collect()
    }
}

fn choices<'t>(rows: &[Option<SampledRow<'t>>]) -> Vec<RowChoice<'t>> {
    let choice = |row: &Option<SampledRow<'t>>| match *row {
        Some(SampledRow { sequence, sampling, remaining, stop_at_eos }) => {
            RowChoice { sampling, history: sequence, remaining, stop_at_eos }
        }
        None => RowChoice::IDLE,
    };
    rows.iter().map(choice).collect()
}

impl StepOutputs<'_> {
    /// What was chosen for each row of the program.
    fn chosen(&self, program: &CompiledProgram) -> Result<Vec<Chosen>, EngineError> {
        let rows = program.shape.batch;
        let steps = program.shape.phase.steps();
        let top = program.shape.phase.sampler().unwrap_or_default().top_logprobs;
        let tokens: Vec<i32> = self.values(program, Output::Tokens)?;
        let counts: Vec<i32> = self.values(program, Output::Counts)?;
        let logprobs: Vec<f32> = self.values(program, Output::Logprobs)?;
        let non_finite: Vec<i32> = self.values(program, Output::NonFinite)?;
        let (top_tokens, top_logprobs): (Vec<i32>, Vec<f32>) = match top {
            0 => Default::default(),
            _ => (self.values(program, Output::TopTokens)?, self.values(program, Output::TopLogprobs)?),
        };
        let likely = |row: usize, step: usize| {
            let at = (row * steps + step) * top;
            let tokens = top_tokens.get(at..at + top).unwrap_or_default();
            let logprobs = top_logprobs.get(at..at + top).unwrap_or_default();
            tokens.iter().map(|&token| token as u32).zip(logprobs.iter().copied()).collect()
        };
        let by_row = split_rows(&tokens, rows).zip(split_rows(&logprobs, rows)).zip(counts).zip(non_finite);
        let chosen = by_row.enumerate().map(|(row, (((tokens, logprobs), count), broken))| {
            let count = usize::try_from(count).unwrap_or(0);
            let taken = tokens.iter().zip(logprobs).take(count).enumerate();
            let choice = |(step, (&token, &logprob)): (usize, (&i32, &f32))| Choice {
                token: token as u32,
                logprob,
                top: likely(row, step),
            };
            let logit = logprobs.get(count).copied().unwrap_or(f32::NAN);
            let non_finite =
                usize::try_from(broken).ok().filter(|_| broken != i32::MAX).map(|token| (token, logit));
            Chosen { choices: taken.map(choice).collect(), non_finite }
        });
        Ok(chosen.collect())
    }
}
