//! Generation: prompts in, streamed answers out.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use lapidary_models::program::Phase;
use lapidary_models::tokenizer::{TextStream, Tokenizer};

use super::sequences::longest;
use super::{Batch, Engine, EngineError, NonFiniteLogit, Sampler, Sampling, StopMatcher, check_sequences};

/// How to generate.
#[derive(Clone, PartialEq, Debug)]
pub struct GenerateOptions {
    /// Most new tokens a row.
    pub max_new_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Text that ends an answer and is not part of it. Needs a tokenizer.
    pub stop: Vec<String>,
    /// Go on after end-of-sequence tokens, until `max_new_tokens`.
    pub ignore_eos: bool,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self { max_new_tokens: 256, sampling: Sampling::default(), stop: Vec::new(), ignore_eos: false }
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FinishReason {
    /// The model said so.
    Eos,
    /// A stop string.
    Stop,
    /// As many tokens as were asked for, or the context is full.
    Length,
    /// The caller had enough.
    Cancelled,
}

impl FinishReason {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eos => "eos",
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A new token of a row and the text that became certain with it.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Index of the prompt.
    pub row: usize,
    /// The token; `None` when only held-back text is delivered at the end.
    pub token: Option<u32>,
    /// Text, empty without a tokenizer.
    pub text: &'a str,
}

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Generation {
    /// New tokens, an end-of-sequence token included.
    pub token_ids: Vec<u32>,
    /// Their text without special tokens and stop strings; empty without a tokenizer.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// Where a generation's time went. Compilation is not in it: see [`Engine::compile_time`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timings {
    /// From the prompt to the first logits.
    pub prefill: Duration,
    /// From the first logits to the last token.
    pub decode: Duration,
    /// Prompt tokens of all rows.
    pub prefill_tokens: usize,
    /// Tokens that decode steps produced, of all rows.
    pub decode_tokens: usize,
}

impl Engine {
    /// Answers each prompt, all as one batch. `on_piece` sees every token as it comes and may stop all rows.
    ///
    /// # Errors
    /// If there is no prompt, or one is empty, too long for the context, or has an unknown token; if a sampling
    /// parameter is out of range, or there are stop strings and no tokenizer; if logits are not finite; or if the
    /// device fails.
    pub fn generate(
        &self,
        prompts: &[Vec<u32>],
        tokenizer: Option<&Tokenizer>,
        options: &GenerateOptions,
        on_piece: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<(Vec<Generation>, Timings), EngineError> {
        options.sampling.check()?;
        check_sequences(&self.config, prompts)?;
        if tokenizer.is_none() && !options.stop.is_empty() {
            return Err(EngineError::StopWithoutTokenizer);
        }
        let mut rows: Vec<Row<'_>> =
            prompts.iter().map(|prompt| Row::new(prompt, tokenizer, options)).collect();
        if options.max_new_tokens == 0 {
            return Ok((rows.into_iter().map(Row::into_generation).collect(), Timings::default()));
        }
        self.prepare_generation(prompts, options.max_new_tokens)?;
        let mut batch = self.batch(prompts.len(), positions(prompts, options.max_new_tokens))?;

        let started = Instant::now();
        let sequences: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let mut logits = batch.prefill(&sequences)?;
        let prefilled = Instant::now();
        let mut timings = Timings {
            prefill: prefilled - started,
            prefill_tokens: sequences.iter().map(|s| s.len()).sum(),
            ..Timings::default()
        };
        loop {
            let next = self.choose(&mut rows, &mut logits, &batch, options, on_piece)?;
            let going = next.iter().flatten().count();
            if going == 0 {
                break;
            }
            logits = batch.decode(&next)?;
            timings.decode_tokens += going;
        }
        timings.decode = prefilled.elapsed();
        Ok((rows.into_iter().map(Row::into_generation).collect(), timings))
    }

    /// Compiles the programs that [`generate`](Self::generate) will run for these prompts, which otherwise does
    /// so itself.
    ///
    /// # Errors
    /// If the prompts are not such as the model can take, or a program does not compile.
    pub fn prepare_generation(&self, prompts: &[Vec<u32>], max_new_tokens: usize) -> Result<(), EngineError> {
        check_sequences(&self.config, prompts)?;
        if max_new_tokens == 0 {
            return Ok(());
        }
        let capacity = self.capacity(positions(prompts, max_new_tokens));
        let shape = |phase, tokens| self.shape(phase, prompts.len(), tokens, capacity);
        let mut shapes = vec![shape(Phase::Decode, 1)];
        shapes.extend(self.steps(Phase::Prefill, prompts.len(), longest(prompts), capacity));
        self.prepare(&shapes)
    }

    /// The token that each unfinished row goes on with; rows that end here get none.
    fn choose(
        &self,
        rows: &mut [Row<'_>],
        logits: &mut [Vec<f32>],
        batch: &Batch<'_>,
        options: &GenerateOptions,
        on_piece: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Option<u32>>, EngineError> {
        let mut next = vec![None; rows.len()];
        let mut cancelled = false;
        for (index, ((row, logits), next)) in rows.iter_mut().zip(logits).zip(&mut next).enumerate() {
            if row.finished.is_some() {
                continue;
            }
            let position = batch.length(index);
            let broken = |NonFiniteLogit { token, value }| EngineError::NonFiniteLogit {
                row: index,
                position,
                token,
                value,
            };
            let token = row.sampler.sample(logits, &row.history).map_err(broken)?;
            let eos = self.config.eos_token_ids.contains(&token) && !options.ignore_eos;
            let full = row.new_tokens() + 1 >= options.max_new_tokens || position >= self.config.context;
            let text = row.accept(token, eos, full)?;
            cancelled |= on_piece(Piece { row: index, token: Some(token), text: &text }).is_break();
            if row.finished.is_some() {
                let held = row.take_held()?;
                if !held.is_empty() {
                    cancelled |= on_piece(Piece { row: index, token: None, text: &held }).is_break();
                }
            } else {
                *next = Some(token);
            }
        }
        if cancelled {
            for row in rows.iter_mut().filter(|row| row.finished.is_none()) {
                row.finished = Some(FinishReason::Cancelled);
                row.take_held()?;
            }
            next.fill(None);
        }
        Ok(next)
    }
}

/// Positions that a row needs at most.
fn positions(prompts: &[Vec<u32>], max_new_tokens: usize) -> usize {
    longest(prompts).saturating_add(max_new_tokens)
}

/// One answer in the making.
struct Row<'t> {
    /// Prompt and answer so far.
    history: Vec<u32>,
    prompt_len: usize,
    sampler: Sampler,
    stream: Option<TextStream<'t>>,
    stop: StopMatcher,
    text: String,
    finished: Option<FinishReason>,
}

impl<'t> Row<'t> {
    fn new(prompt: &[u32], tokenizer: Option<&'t Tokenizer>, options: &GenerateOptions) -> Self {
        Self {
            history: prompt.to_vec(),
            prompt_len: prompt.len(),
            sampler: Sampler::new(options.sampling),
            stream: tokenizer.map(Tokenizer::stream),
            stop: StopMatcher::new(&options.stop),
            text: String::new(),
            finished: None,
        }
    }

    fn new_tokens(&self) -> usize {
        self.history.len() - self.prompt_len
    }

    /// Takes a token, returning the text that it made certain.
    fn accept(&mut self, token: u32, eos: bool, full: bool) -> Result<String, EngineError> {
        self.history.push(token);
        let piece = match &mut self.stream {
            Some(stream) if !eos => stream.push(token)?,
            Some(_) | None => String::new(),
        };
        let passed = self.stop.push(&piece);
        self.text.push_str(&passed.text);
        if passed.stopped {
            self.finished = Some(FinishReason::Stop);
            self.stream = None;
        } else if eos {
            self.finished = Some(FinishReason::Eos);
        } else if full {
            self.finished = Some(FinishReason::Length);
        }
        Ok(passed.text)
    }

    /// The text that was held back, once the answer has ended.
    fn take_held(&mut self) -> Result<String, EngineError> {
        let tail = self.stream.take().map(TextStream::finish).transpose()?.unwrap_or_default();
        let passed = self.stop.push(&tail);
        let mut held = passed.text;
        if passed.stopped {
            self.finished = Some(FinishReason::Stop);
        } else {
            held.push_str(&self.stop.finish());
        }
        self.text.push_str(&held);
        Ok(held)
    }

    fn into_generation(self) -> Generation {
        Generation {
            token_ids: self.history.get(self.prompt_len..).unwrap_or_default().to_vec(),
            text: self.text,
            finish_reason: self.finished.unwrap_or(FinishReason::Length),
        }
    }
}
