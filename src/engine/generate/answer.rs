//! One answer in the making.

use lapidary_models::tokenizer::{TextStream, Tokenizer};

use super::{FinishReason, GenerateOptions, Generation};
use crate::engine::batch::SampledRow;
use crate::engine::{Choice, EngineError, StopMatcher};

/// A prompt's answer so far, and what words its tokens.
pub(super) struct Answer<'t> {
    /// Index of the prompt.
    pub(super) prompt: usize,
    /// Prompt and answer so far.
    history: Vec<u32>,
    prompt_len: usize,
    logprobs: Option<Vec<Choice>>,
    stream: Option<TextStream<'t>>,
    stop: StopMatcher,
    text: String,
    finished: Option<FinishReason>,
}

/// What a token adds to an answer.
pub(super) struct Accepted {
    /// Text that became certain with it.
    pub(super) text: String,
    /// Whether it is the last.
    pub(super) ended: bool,
}

impl<'t> Answer<'t> {
    pub(super) fn new(
        prompt: usize,
        tokens: &[u32],
        tokenizer: Option<&'t Tokenizer>,
        options: &GenerateOptions,
    ) -> Self {
        Self {
            prompt,
            history: tokens.to_vec(),
            prompt_len: tokens.len(),
            logprobs: options.logprobs.map(|_| Vec::new()),
            stream: tokenizer.map(Tokenizer::stream),
            stop: StopMatcher::new(&options.stop),
            text: String::new(),
            finished: None,
        }
    }

    /// What the answer's row reads and how it goes on, when its cache holds `length` tokens.
    pub(super) fn row(&self, options: &GenerateOptions, length: usize, context: usize) -> SampledRow<'_> {
        let left = options.max_new_tokens.saturating_sub(self.new_tokens());
        SampledRow {
            sequence: &self.history,
            sampling: options.sampling,
            remaining: left.min(context.saturating_sub(length)),
            stop_at_eos: !options.ignore_eos,
        }
    }

    /// Tokens of prompt and answer so far.
    pub(super) fn length(&self) -> usize {
        self.history.len()
    }

    /// The error of a `logit` that no token can be chosen by.
    pub(super) fn broken(&self, (token, value): (usize, f32)) -> EngineError {
        EngineError::NonFiniteLogit { row: self.prompt, position: self.length(), token, value }
    }

    pub(super) fn new_tokens(&self) -> usize {
        self.history.len() - self.prompt_len
    }

    /// Takes a token, which may be an end-of-sequence token, or the last that there is room for.
    pub(super) fn accept(&mut self, choice: Choice, eos: bool, full: bool) -> Result<Accepted, EngineError> {
        let token = choice.token;
        self.history.push(token);
        if let Some(logprobs) = &mut self.logprobs {
            logprobs.push(choice);
        }
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
        Ok(Accepted { text: passed.text, ended: self.finished.is_some() })
    }

    /// The text that was held back, once the answer has ended.
    pub(super) fn take_held(&mut self) -> Result<String, EngineError> {
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

    /// The answer as far as it came, when the caller has had enough.
    pub(super) fn cancel(mut self) -> Result<Generation, EngineError> {
        self.finished = Some(FinishReason::Cancelled);
        self.take_held()?;
        Ok(self.into_generation())
    }

    pub(super) fn into_generation(self) -> Generation {
        Generation {
            token_ids: self.history.get(self.prompt_len..).unwrap_or_default().to_vec(),
            text: self.text,
            logprobs: self.logprobs,
            finish_reason: self.finished.unwrap_or(FinishReason::Length),
        }
    }
}
