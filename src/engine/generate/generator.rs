//! Prompts through the rows of a batch.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use lapidary_models::tokenizer::Tokenizer;

use super::answer::{Accepted, Answer};
use super::{FinishReason, GenerateOptions, Generation, Piece, Timings};
use crate::engine::{Batch, Engine, EngineError};

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
        let mut next = vec![None; rows];
        loop {
            while let Some(sequences) = self.admit(&mut queue, &mut timings) {
                let logits = prefill.time(|| self.batch.prefill(&sequences))?;
                decode.time(|| self.choose(&mut queue, logits, &mut next))?;
            }
            let going = next.iter().flatten().count();
            if going == 0 {
                break;
            }
            decode.time(|| {
                let logits = self.batch.decode(&next)?;
                next.fill(None);
                self.choose(&mut queue, logits, &mut next)
            })?;
            timings.decode_tokens += going;
        }
        (timings.prefill, timings.decode) = (prefill.elapsed, decode.elapsed);
        Ok((queue.into_generations(), timings))
    }

    /// Gives waiting prompts to free rows: the tokens that each row is to read, if there are any.
    fn admit(&self, queue: &mut Queue<'g>, timings: &mut Timings) -> Option<Vec<&'g [u32]>> {
        if queue.cancelled {
            return None;
        }
        let mut sequences: Vec<&[u32]> = vec![&[]; queue.rows.len()];
        for (row, (slot, sequence)) in queue.rows.iter_mut().zip(&mut sequences).enumerate() {
            if slot.is_some() {
                continue;
            }
            let Some(index) = queue.waiting.next() else { break };
            let prompt = queue.prompts.get(index).copied().unwrap_or_default();
            *slot = Some(Answer::new(index, prompt, self.tokenizer, self.options));
            let held = self.batch.length(row);
            *sequence = prompt.get(held..).unwrap_or_default();
            timings.reused_tokens += held;
            timings.prefill_tokens += sequence.len();
        }
        sequences.iter().any(|sequence| !sequence.is_empty()).then_some(sequences)
    }

    /// Chooses a token for each row that has logits, and tells of it. `next` has the tokens of the rows that go on; a row
    /// whose answer ends here becomes free.
    fn choose(
        &mut self,
        queue: &mut Queue<'g>,
        logits: Vec<Vec<f32>>,
        next: &mut [Option<u32>],
    ) -> Result<(), EngineError> {
        for (row, (mut logits, next)) in logits.into_iter().zip(&mut *next).enumerate() {
            let Some(slot) = queue.rows.get_mut(row).filter(|_| !logits.is_empty()) else { continue };
            let Some(answer) = slot else { continue };
            let position = self.batch.length(row);
            let token = answer.choose(&mut logits, position)?;
            let config = self.engine.config();
            let eos = config.eos_token_ids.contains(&token) && !self.options.ignore_eos;
            let full = answer.new_tokens() + 1 >= self.options.max_new_tokens || position >= config.context;
            let Accepted { text, ended } = answer.accept(token, eos, full)?;
            let prompt = answer.prompt;
            queue.cancelled |=
                (self.on_piece)(Piece { row: prompt, token: Some(token), text: &text }).is_break();
            if !ended {
                *next = Some(token);
                continue;
            }
            let held = answer.take_held()?;
            if !held.is_empty() {
                queue.cancelled |=
                    (self.on_piece)(Piece { row: prompt, token: None, text: &held }).is_break();
            }
            if let Some((answered, answer)) = queue.answered.get_mut(prompt).zip(slot.take()) {
                *answered = Some(answer.into_generation());
            }
            // The last answers' caches are left to the caller.
            if !queue.waiting.is_empty() {
                self.batch.reset_row(row);
            }
        }
        if queue.cancelled {
            next.fill(None);
            for answer in queue.rows.iter_mut().filter_map(Option::take) {
                if let Some(answered) = queue.answered.get_mut(answer.prompt) {
                    *answered = Some(answer.cancel()?);
                }
            }
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
