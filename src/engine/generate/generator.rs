//! Prompts through the rows of a batch.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use lapidary_models::tokenizer::Tokenizer;

use super::answer::{Accepted, Answer};
use super::{FinishReason, GenerateOptions, Generation, Piece, Timings};
use crate::engine::batch::{Chosen, SampledRow};
use crate::engine::{Batch, Choice, Engine, EngineError};

/// Answers prompts in the rows of a batch. A row whose answer has ended takes the next prompt that waits, while the
/// other rows go on (continuous batching).
pub(super) struct Generator<'g, 'e> {
    pub(super) engine: &'e Engine,
    pub(super) batch: &'g mut Batch<'e>,
    pub(super) tokenizer: Option<&'g Tokenizer>,
    pub(super) options: &'g GenerateOptions,
    pub(super) on_piece: &'g mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
}

/// Where each prompt is: waiting, in a row, or answered.
struct Queue<'g> {
    prompts: &'g [&'g [u32]],
    /// Indices of the prompts that no row has taken.
    waiting: Range<usize>,
    rows: Vec<Option<Answer<'g>>>,
    answered: Vec<Option<Generation>>,
    cancelled: bool,
}

impl<'g> Generator<'g, '_> {
    /// The answers in the order of the prompts. What a row's cache holds already is taken to be the beginning of the
    /// row's first prompt, which is then read only from there.
    pub(super) fn run(mut self, prompts: &'g [&'g [u32]]) -> Result<(Vec<Generation>, Timings), EngineError> {
        let rows = self.batch.rows();
        let mut queue = Queue {
            prompts,
            waiting: 0..prompts.len(),
            rows: std::iter::repeat_with(|| None).take(rows).collect(),
            answered: vec![None; prompts.len()],
            cancelled: false,
        };
        let mut timings = Timings::default();
        let (mut prefill, mut decode) = (Stopwatch::of(self.engine), Stopwatch::of(self.engine));
        loop {
            while let Some(admitted) = self.admit(&mut queue, &mut timings) {
                let reading = self.rows(&queue, |row| admitted.contains(&row));
                let chosen = prefill.time(|| self.batch.sampled_prefill(&reading, self.options.sampler()))?;
                decode.time(|| self.take(&mut queue, chosen))?;
            }
            let going = self.rows(&queue, |_| true);
            if going.iter().all(Option::is_none) {
                break;
            }
            let (sampler, steps) = (self.options.sampler(), self.engine.steps_per_dispatch(self.options));
            let chosen = decode.time(|| self.batch.sampled_decode(&going, sampler, steps))?;
            timings.decode_tokens += decode.time(|| self.take(&mut queue, chosen))?;
        }
        (timings.prefill, timings.decode) = (prefill.elapsed, decode.elapsed);
        Ok((queue.into_generations(), timings))
    }

    /// Gives waiting prompts to free rows, and tells which rows these are; `None` if there are none.
    fn admit(&self, queue: &mut Queue<'g>, timings: &mut Timings) -> Option<Vec<usize>> {
        if queue.cancelled {
            return None;
        }
        let mut admitted = Vec::new();
        for (row, slot) in queue.rows.iter_mut().enumerate().filter(|(_, slot)| slot.is_none()) {
            let Some(index) = queue.waiting.next() else { break };
            let prompt = queue.prompts.get(index).copied().unwrap_or_default();
            *slot = Some(Answer::new(index, prompt, self.tokenizer, self.options));
            let held = self.batch.length(row);
            timings.reused_tokens += held;
            timings.prefill_tokens += prompt.len().saturating_sub(held);
            admitted.push(row);
        }
        (!admitted.is_empty()).then_some(admitted)
    }

    /// What the rows read and how they go on; those that are not wanted have no part in it.
    fn rows<'q>(&self, queue: &'q Queue<'g>, wanted: impl Fn(usize) -> bool) -> Vec<Option<SampledRow<'q>>> {
        let context = self.engine.config().context;
        let row = |(row, slot): (usize, &'q Option<Answer<'g>>)| {
            let answer = slot.as_ref().filter(|_| wanted(row))?;
            Some(answer.row(self.options, self.batch.length(row), context))
        };
        queue.rows.iter().enumerate().map(row).collect()
    }

    /// Takes what was chosen for the rows, step by step as if each step had come by itself, and tells of it. What lies
    /// beyond the end of an answer is dropped; its row becomes free. Returns how many tokens were taken.
    fn take(&mut self, queue: &mut Queue<'g>, chosen: Vec<Chosen>) -> Result<usize, EngineError> {
        let mut taken = 0;
        let steps = chosen.iter().map(|chosen| chosen.choices.len()).max().unwrap_or(0);
        let (mut choices, broken): (Vec<_>, Vec<_>) =
            chosen.into_iter().map(|chosen| (chosen.choices.into_iter(), chosen.non_finite)).unzip();
        for _ in 0..steps {
            for (row, choices) in choices.iter_mut().enumerate() {
                if queue.cancelled {
                    break;
                }
                if let (Some(choice), Some(Some(_))) = (choices.next(), queue.rows.get(row)) {
                    self.take_choice(queue, row, choice)?;
                    taken += 1;
                }
            }
        }
        for (slot, broken) in queue.rows.iter().zip(broken) {
            if let (Some(answer), Some(broken)) = (slot, broken) {
                return Err(answer.broken(broken));
            }
        }
        if queue.cancelled {
            for (row, slot) in queue.rows.iter_mut().enumerate() {
                let Some(answer) = slot.take() else { continue };
                self.batch.keep(row, answer.length().saturating_sub(1));
                if let Some(answered) = queue.answered.get_mut(answer.prompt) {
                    *answered = Some(answer.cancel()?);
                }
            }
        }
        Ok(taken)
    }

    /// Adds a token to the answer of a row, and tells of it.
    fn take_choice(&mut self, queue: &mut Queue<'g>, row: usize, choice: Choice) -> Result<(), EngineError> {
        let Some(slot) = queue.rows.get_mut(row) else { return Ok(()) };
        let Some(answer) = slot else { return Ok(()) };
        let config = self.engine.config();
        let (token, prompt) = (choice.token, answer.prompt);
        let eos = config.eos_token_ids.contains(&token) && !self.options.ignore_eos;
        let full =
            answer.new_tokens() + 1 >= self.options.max_new_tokens || answer.length() >= config.context;
        let Accepted { text, ended } = answer.accept(choice, eos, full)?;
        queue.cancelled |= (self.on_piece)(Piece { row: prompt, token: Some(token), text: &text }).is_break();
        if !ended {
            return Ok(());
        }
        let held = answer.take_held()?;
        if !held.is_empty() {
            queue.cancelled |= (self.on_piece)(Piece { row: prompt, token: None, text: &held }).is_break();
        }
        // The last token is not read; those after it, if the program went on, are taken back.
        self.batch.keep(row, answer.length().saturating_sub(1));
        if let Some((answered, answer)) = queue.answered.get_mut(prompt).zip(slot.take()) {
            *answered = Some(answer.into_generation());
        }
        // The last answers' caches are left to the caller.
        if !queue.waiting.is_empty() {
            self.batch.reset_row(row);
        }
        Ok(())
    }
}

impl Queue<'_> {
    /// The answers; prompts that nobody came to have empty ones.
    fn into_generations(self) -> Vec<Generation> {
        let none = || Generation { finish_reason: FinishReason::Cancelled, ..Generation::none() };
        self.answered.into_iter().map(|answered| answered.unwrap_or_else(none)).collect()
    }
}

/// Adds up time, except that in which the engine compiled.
struct Stopwatch<'e> {
    engine: &'e Engine,
    elapsed: Duration,
}

impl<'e> Stopwatch<'e> {
    fn of(engine: &'e Engine) -> Self {
        Self { engine, elapsed: Duration::ZERO }
    }

    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (started, compiled) = (Instant::now(), self.engine.compile_time());
        let result = work();
        let compiling = self.engine.compile_time().saturating_sub(compiled);
        self.elapsed += started.elapsed().saturating_sub(compiling);
        result
    }
}
