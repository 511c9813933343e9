//! A KV cache that outlives an answer.

use std::ops::ControlFlow;

use lapidary_models::tokenizer::Tokenizer;

use super::{GenerateOptions, Generation, Generator, Piece, Timings};
use crate::engine::{Batch, Engine, EngineError, check_sequences};

/// Answers one prompt after the other, reading of each only what follows the tokens that it shares with the prompt and
/// answer before: for the turns of a conversation.
#[derive(Debug)]
pub struct PrefixCache<'e> {
    engine: &'e Engine,
    /// `None` before the first prompt.
    held: Option<Held<'e>>,
}

/// A row and what it holds.
#[derive(Debug)]
struct Held<'e> {
    batch: Batch<'e>,
    tokens: Vec<u32>,
}

impl<'e> PrefixCache<'e> {
    /// A cache that holds nothing, and takes no memory on the devices yet.
    pub fn new(engine: &'e Engine) -> Self {
        Self { engine, held: None }
    }

    /// Tokens that it holds.
    pub fn length(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.tokens.len())
    }

    /// Bytes that it takes on all devices together, what a mesh holds in copies counted once.
    pub fn cache_bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.batch.cache_bytes())
    }

    /// Gives its memory back. The next prompt is read from its beginning.
    pub fn clear(&mut self) {
        self.held = None;
    }

    /// Compiles the programs that [`generate`](Self::generate) reads this prompt with, which otherwise does so itself, and
    /// begins that of the answer.
    ///
    /// # Errors
    /// If the prompt is not such as the model can take, a program does not compile, or the devices have no room for the
    /// cache.
    pub fn prepare(&mut self, prompt: &[u32], options: &GenerateOptions) -> Result<(), EngineError> {
        check_sequences(self.engine.config(), &[prompt])?;
        if options.max_new_tokens == 0 {
            return Ok(());
        }
        let batch = &self.recall(prompt, options)?.batch;
        let unread = prompt.len().saturating_sub(batch.length(0));
        batch.prepare_generation(&[unread], options)
    }

    /// Answers a prompt. [`Timings::reused_tokens`] tells how much of it was there.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    pub fn generate(
        &mut self,
        prompt: &[u32],
        tokenizer: Option<&Tokenizer>,
        options: &GenerateOptions,
        on_piece: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<(Generation, Timings), EngineError> {
        let engine = self.engine;
        engine.check_request(&[prompt], tokenizer, options)?;
        if options.max_new_tokens == 0 {
            return Ok((Generation::none(), Timings::default()));
        }
        self.prepare(prompt, options)?;
        let held = self.recall(prompt, options)?;
        let generator = Generator { engine, batch: &mut held.batch, tokenizer, options, on_piece };
        match generator.run(&[prompt]) {
            Ok((generations, timings)) => {
                let generation = generations.into_iter().next().unwrap_or_else(Generation::none);
                held.tokens = [prompt, &generation.token_ids].concat();
                // The last token was chosen, but not read.
                held.tokens.truncate(held.batch.length(0));
                Ok((generation, timings))
            }
            Err(error) => {
                // A step that fails takes the cache with it.
                self.clear();
                Err(error)
            }
        }
    }

    /// The row, with as much of the beginning of `prompt` as it holds and room for the rest. The prompt's last token is
    /// read in any case, for what follows it.
    fn recall(&mut self, prompt: &[u32], options: &GenerateOptions) -> Result<&mut Held<'e>, EngineError> {
        let positions = options.first_positions(&[prompt]);
        let mut held = match self.held.take() {
            Some(held) => held,
            None => Held { batch: self.engine.batch(1, positions)?, tokens: Vec::new() },
        };
        let (_, beginning) = prompt.split_last().unwrap_or((&0, &[]));
        let common = held.tokens.iter().zip(beginning).take_while(|(held, token)| held == token).count();
        if !held.batch.rewind(common) {
            // A local layer's ring has moved on too far: everything is read again.
            held.batch.reset_row(0);
        }
        held.tokens.truncate(held.batch.length(0));
        held.batch.reserve(positions)?;
        Ok(self.held.insert(held))
    }
}
