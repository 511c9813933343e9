//! Generation: prompts in, streamed answers out.

mod answer;
mod generator;
mod prefix_cache;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Duration;

use lapidary_models::program::{Phase, ProgramShape, SamplerShape};
use lapidary_models::tokenizer::Tokenizer;

pub use prefix_cache::PrefixCache;

use super::sequences::longest;
use super::{Choice, Engine, EngineError, Sampling, check_sequences};
use generator::Generator;

/// New tokens that a row has room for at first, unless fewer are asked for: a shorter answer does not grow its cache.
const FIRST_ROOM: usize = 64;

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
    /// Most prompts that are answered at a time; the others wait until one of these is answered. `None` is all.
    pub batch: Option<NonZeroUsize>,
    /// Report the log-probability of each token, and this many of the likeliest tokens with theirs. `None` is nothing.
    pub logprobs: Option<usize>,
    /// Most tokens that a row goes forward before the host sees them, up to [`MAX_STEPS_PER_DISPATCH`]. `None` is what suits
    /// the device.
    pub steps_per_dispatch: Option<NonZeroUsize>,
}

/// Most steps in one dispatch: what they choose has to be held, and waited for.
pub const MAX_STEPS_PER_DISPATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_new_tokens: 256,
            sampling: Sampling::default(),
            stop: Vec::new(),
            ignore_eos: false,
            batch: None,
            logprobs: None,
            steps_per_dispatch: None,
        }
    }
}

impl GenerateOptions {
    /// Rows of the batch that answers some number of prompts.
    fn rows(&self, prompts: usize) -> usize {
        self.batch.map_or(prompts, |batch| prompts.min(batch.get()))
    }

    /// What the programs compute of each token.
    pub(crate) fn sampler(&self) -> SamplerShape {
        SamplerShape {
            top_logprobs: self.logprobs.unwrap_or(0),
            repetition_penalty: self.sampling.repetition_penalty != 1.0,
        }
    }

    pub(super) fn prefill_phase(&self) -> Phase {
        Phase::SampledPrefill(self.sampler())
    }

    /// Positions that rows are given at first. Answers may end long before they have `max_new_tokens`, and the cache
    /// grows when they do not; only what nothing can end is given all that it will take.
    fn first_positions<P: AsRef<[u32]>>(&self, prompts: &[P]) -> usize {
        let endless = self.ignore_eos && self.stop.is_empty();
        let room = if endless { self.max_new_tokens } else { self.max_new_tokens.min(FIRST_ROOM) };
        longest(prompts).saturating_add(room)
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
    /// The choice of each token, if log-probabilities were asked for.
    pub logprobs: Option<Vec<Choice>>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

impl Generation {
    /// The answer of no tokens, where none were asked for.
    fn none() -> Self {
        Self {
            token_ids: Vec::new(),
            text: String::new(),
            logprobs: None,
            finish_reason: FinishReason::Length,
        }
    }
}

/// Where a generation's time went. Compilation is not in it: see [`Engine::compile_time`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timings {
    /// Reading prompts.
    pub prefill: Duration,
    /// Everything else: decode steps, and choosing tokens.
    pub decode: Duration,
    /// Prompt tokens that were read, of all prompts.
    pub prefill_tokens: usize,
    /// Prompt tokens that a [`PrefixCache`] held already.
    pub reused_tokens: usize,
    /// Tokens that decode steps produced, of all prompts.
    pub decode_tokens: usize,
}

impl Engine {
    /// Answers each prompt, all as one batch or [as many at a time](GenerateOptions::batch) as the options say.
    /// `on_piece` sees every token as it comes and may stop everything. Answers come in the order of the prompts.
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
        let sequences: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        self.check_request(&sequences, tokenizer, options)?;
        if options.max_new_tokens == 0 {
            return Ok((vec![Generation::none(); prompts.len()], Timings::default()));
        }
        self.prepare_generation(prompts, options)?;
        let mut batch = self.batch(self.rows(options, prompts.len()), options.first_positions(prompts))?;
        Generator { engine: self, batch: &mut batch, tokenizer, options, on_piece }.run(&sequences)
    }

    /// Compiles the programs that [`generate`](Self::generate) reads these prompts with, which otherwise does so itself.
    /// That of the answers' further tokens is begun, and waited for when the first tokens are there; those of a longer
    /// cache are begun when an answer comes near the end of this one.
    ///
    /// # Errors
    /// If the prompts are not such as the model can take, or a program does not compile.
    pub fn prepare_generation(
        &self,
        prompts: &[Vec<u32>],
        options: &GenerateOptions,
    ) -> Result<(), EngineError> {
        check_sequences(&self.config, prompts)?;
        if options.max_new_tokens == 0 {
            return Ok(());
        }
        let (rows, capacity) =
            (self.rows(options, prompts.len()), self.capacity(options.first_positions(prompts)));
        let (first, waiting) = prompts.split_at(rows);
        // Prompts that wait are read one by one, or the longest of several sets the steps.
        let lengths = std::iter::once(longest(first)).chain(waiting.iter().map(Vec::len));
        let steps = lengths.flat_map(|tokens| self.steps(options.prefill_phase(), rows, tokens, capacity));
        let prefills: Vec<ProgramShape> = steps.collect();
        let decode = self.decode_phase(options).map(|decode| self.shape(decode, rows, 1, capacity));
        self.prepare(&prefills, decode.as_slice())
    }

    /// Most tokens that a row goes forward in one dispatch.
    pub(crate) fn steps_per_dispatch(&self, options: &GenerateOptions) -> NonZeroUsize {
        let steps = options.steps_per_dispatch.unwrap_or_else(|| self.source.decode_steps());
        steps.min(MAX_STEPS_PER_DISPATCH)
    }

    /// What decodes; `None` where the prefill chooses all tokens that are asked for.
    pub(super) fn decode_phase(&self, options: &GenerateOptions) -> Option<Phase> {
        let steps = self.steps_per_dispatch(options).get();
        (options.max_new_tokens > 1).then_some(Phase::SampledDecode { steps, sampler: options.sampler() })
    }

    /// Rows of the batch that answers some number of prompts: no more than there are programs for.
    fn rows(&self, options: &GenerateOptions, prompts: usize) -> usize {
        self.rows_at_a_time(options.rows(prompts))
    }

    fn check_request(
        &self,
        prompts: &[&[u32]],
        tokenizer: Option<&Tokenizer>,
        options: &GenerateOptions,
    ) -> Result<(), EngineError> {
        options.sampling.check()?;
        check_sequences(&self.config, prompts)?;
        if tokenizer.is_none() && !options.stop.is_empty() {
            return Err(EngineError::StopWithoutTokenizer);
        }
        Ok(())
    }
}
