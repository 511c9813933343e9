//! A batch: sequences that share steps, each in a row of the KV cache with a position of its own.

mod growth;
mod prepare;
mod rewind;
mod sampled;

use std::collections::HashMap;

use lapidary_models::program::{Output, ParamRole, Phase, ProgramShape, ResultRole};
use lapidary_runtime::{Argument, Element, Execution};

use super::inputs::RowChoice;
use super::placement::Placement;
use super::programs::CompiledProgram;
use super::sequences::{check_tokens, longest};
use super::sharded_buffer::ShardedBuffer;
use super::state::{self, State};
use super::{Engine, EngineError, inputs, lock};

pub use growth::CacheGrowth;
pub use sampled::Choice;
pub(crate) use sampled::{Chosen, SampledRow};

/// Rows of sequences, side by side on the devices of an engine.
///
/// A row takes no notice of the others: which rows are in a batch, how prompts are padded and when others
/// end make no difference to its answer beyond rounding. So a row whose sequence has ended can take another
/// ([`reset_row`](Self::reset_row)) while the others go on.
///
/// The KV cache has room for a [`capacity`](Self::capacity) of tokens a row, and grows when a row takes more, up to the
/// model's context.
#[derive(Debug)]
pub struct Batch<'e> {
    engine: &'e Engine,
    capacity: usize,
    /// Tokens that each row's cache holds.
    lengths: Vec<usize>,
    /// Tokens that each row's cache held at most since it was empty: where its rings are.
    written: Vec<usize>,
    state: State,
}

/// The tokens that each row takes in one step.
#[derive(Default)]
pub(super) struct Step<'t> {
    pub(super) tokens: Vec<&'t [u32]>,
    /// The token that follows each token, when scoring.
    pub(super) targets: Vec<&'t [u32]>,
    /// How each row's next tokens are chosen, when the program does so.
    pub(super) choices: Vec<RowChoice<'t>>,
}

/// What a step answers, by role.
pub(super) struct StepOutputs<'e> {
    placement: &'e Placement,
    outputs: HashMap<Output, ShardedBuffer>,
}

impl<'e> Batch<'e> {
    pub(super) fn new(engine: &'e Engine, rows: usize, capacity: usize) -> Result<Self, EngineError> {
        let mut batch =
            Self { engine, capacity, lengths: vec![0; rows], written: vec![0; rows], state: State::new() };
        batch.clear()?;
        Ok(batch)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.lengths.len()
    }

    /// Positions that each row has now.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Tokens that a row's cache holds.
    pub fn length(&self, row: usize) -> usize {
        self.lengths.get(row).copied().unwrap_or(0)
    }

    /// Empties a row, so that it takes another sequence. The others keep theirs.
    pub fn reset_row(&mut self, row: usize) {
        // Positions of slots are computed from the row's length: what they still hold is never seen.
        for counts in [&mut self.lengths, &mut self.written] {
            if let Some(count) = counts.get_mut(row) {
                *count = 0;
            }
        }
    }

    /// Empties all rows, with new buffers: also after a failed step. The capacity stays.
    ///
    /// # Errors
    /// If the devices have no room for the KV cache.
    pub fn clear(&mut self) -> Result<(), EngineError> {
        self.lengths.fill(0);
        self.written.fill(0);
        // The old cache goes first: there may be no room for both.
        self.state.clear();
        self.state = state::empty(self.engine, &self.shape(Phase::Decode, 1))?;
        Ok(())
    }

    /// The next step of `phase` for rows with up to `tokens` tokens to go.
    pub(super) fn next_step(&self, phase: Phase, tokens: usize) -> ProgramShape {
        self.engine.step(phase, self.rows(), tokens, self.capacity)
    }

    pub(super) fn shape(&self, phase: Phase, tokens: usize) -> ProgramShape {
        self.engine.shape(phase, self.rows(), tokens, self.capacity)
    }

    /// Appends a sequence to each row (possibly none to some) and returns each row's logits after its last
    /// token, `[vocab]`; empty for a row that got no token.
    ///
    /// # Errors
    /// If a token does not exist, a row would exceed the model's context, the cache cannot grow, or the device fails.
    pub fn prefill(&mut self, sequences: &[&[u32]]) -> Result<Vec<Vec<f32>>, EngineError> {
        self.make_room(sequences)?;
        let mut logits = vec![Vec::new(); self.rows()];
        let mut rest: Vec<&[u32]> = sequences.to_vec();
        while let remaining @ 1.. = longest(&rest) {
            let program = self.engine.program(self.next_step(Phase::Prefill, remaining))?;
            let chunk = take_chunk(&mut rest, program.shape.tokens);
            let ending = chunk.iter().zip(&rest).map(|(chunk, rest)| !chunk.is_empty() && rest.is_empty());
            let ending: Vec<bool> = ending.collect();
            let outputs = self.step(&program, &Step { tokens: chunk, ..Step::default() })?;
            if ending.contains(&true) {
                let answers = outputs.logits(&program, self.rows())?;
                let ended = logits.iter_mut().zip(answers).zip(ending).filter(|(_, ending)| *ending);
                ended.for_each(|((logits, answer), _)| *logits = answer);
            }
        }
        Ok(logits)
    }

    /// Appends one token to each row that has one and returns the logits after it, `[vocab]`; empty for the
    /// other rows.
    ///
    /// # Errors
    /// As [`Batch::prefill`].
    pub fn decode(&mut self, tokens: &[Option<u32>]) -> Result<Vec<Vec<f32>>, EngineError> {
        let sequences: Vec<&[u32]> = tokens.iter().map(|token| token.as_slice()).collect();
        self.make_room(&sequences)?;
        let program = self.engine.program(self.shape(Phase::Decode, 1))?;
        let outputs = self.step(&program, &Step { tokens: sequences, ..Step::default() })?;
        let mut logits = outputs.logits(&program, self.rows())?;
        logits.iter_mut().zip(tokens).filter(|(_, token)| token.is_none()).for_each(|(l, _)| l.clear());
        Ok(logits)
    }

    /// Checks token ids and lengths before anything runs, and grows the cache if the sequences need it.
    fn make_room(&mut self, sequences: &[&[u32]]) -> Result<(), EngineError> {
        let (rows, got) = (self.rows(), sequences.len());
        if rows != got {
            return Err(EngineError::RowCount { rows, got });
        }
        let limit = self.engine.config.context;
        let mut positions = 0;
        for (row, (sequence, length)) in sequences.iter().zip(&self.lengths).enumerate() {
            check_tokens(&self.engine.config, row, sequence)?;
            let tokens = length + sequence.len();
            if tokens > limit {
                return Err(EngineError::TooLong { row, tokens, limit });
            }
            positions = positions.max(tokens);
        }
        self.reserve(positions)
    }

    /// Runs one step. The KV cache is given to the program and taken back from its results.
    pub(super) fn step(
        &mut self,
        program: &CompiledProgram,
        step: &Step<'_>,
    ) -> Result<StepOutputs<'e>, EngineError> {
        let failed = |source| EngineError::Execute { program: program.shape, source: Box::new(source) };
        let Engine { placement, config, weights, .. } = self.engine;
        let inputs =
            inputs::upload(placement, program, &self.lengths, step, config.pad_token_id).map_err(failed)?;
        let mut arguments: Vec<Vec<Argument<'_>>> =
            placement.addressable_devices().map(|_| Vec::new()).collect();
        for (param, _) in program.params() {
            match &param.role {
                ParamRole::Weight(spec) => weights.get(&spec.name)?.lend(&mut arguments),
                ParamRole::Input(input) => {
                    inputs.get(input).ok_or(EngineError::StateLost)?.lend(&mut arguments);
                }
                ParamRole::State { layer, kind } => {
                    let state = self.state.remove(&(*layer, *kind)).ok_or(EngineError::StateLost)?;
                    state.give(&mut arguments);
                }
            }
        }
        let launched = {
            let _turn = lock(&self.engine.launch);
            program.executable.execute(arguments)
        };
        let results = launched.and_then(Execution::wait).map_err(failed)?;
        let mut by_device: Vec<_> = results.into_iter().map(Vec::into_iter).collect();
        let mut outputs = HashMap::new();
        for (result, _) in program.results() {
            let shards = ShardedBuffer::new(by_device.iter_mut().filter_map(Iterator::next).collect());
            match result.role {
                ResultRole::Output(output) => {
                    outputs.insert(output, shards);
                }
                ResultRole::State { layer, kind } => {
                    self.state.insert((layer, kind), shards);
                }
            }
        }
        self.advance(step.tokens.iter().map(|tokens| tokens.len()));
        Ok(StepOutputs { placement, outputs })
    }

    /// Counts tokens that each row has taken.
    fn advance(&mut self, tokens: impl Iterator<Item = usize>) {
        for ((length, written), tokens) in self.lengths.iter_mut().zip(&mut self.written).zip(tokens) {
            *length += tokens;
            *written = (*written).max(*length);
        }
    }
}

impl StepOutputs<'_> {
    /// An output's elements, those of one row after the other; [`split_rows`] finds them. Logits of a whole
    /// chunk can take hundreds of MB, so they are not copied apart here.
    pub(super) fn values<T: Element>(
        &self,
        program: &CompiledProgram,
        output: Output,
    ) -> Result<Vec<T>, EngineError> {
        let role = ResultRole::Output(output);
        let result = program.results().find(|(result, _)| result.role == role);
        let (result, sharding) = result.ok_or(EngineError::StateLost)?;
        let shards = self.outputs.get(&output).ok_or(EngineError::StateLost)?;
        let failed = |source| EngineError::Execute { program: program.shape, source: Box::new(source) };
        shards.to_host(self.placement, sharding, &result.ty.dims).map_err(failed)
    }

    /// The logits of the first `rows` rows, where there is one position a row; the others are idle.
    fn logits(&self, program: &CompiledProgram, rows: usize) -> Result<Vec<Vec<f32>>, EngineError> {
        let values: Vec<f32> = self.values(program, Output::Logits)?;
        Ok(split_rows(&values, program.shape.batch).take(rows).map(<[f32]>::to_vec).collect())
    }
}

/// Values split evenly over the rows.
pub(super) fn split_rows<T>(values: &[T], rows: usize) -> impl Iterator<Item = &[T]> {
    values.chunks((values.len() / rows.max(1)).max(1))
}

/// The next at most `width` tokens of each row, which `rest` loses.
pub(super) fn take_chunk<'t>(rest: &mut [&'t [u32]], width: usize) -> Vec<&'t [u32]> {
    rest.iter_mut()
        .map(|rest| {
            let (chunk, after) = rest.split_at(width.min(rest.len()));
            *rest = after;
            chunk
        })
        .collect()
}
