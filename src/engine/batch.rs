//! A batch: sequences that share steps, each in a row of the KV cache with a position of its own.

use std::collections::HashMap;

use lapidary_models::program::{Input, Output, ParamRole, Phase, ProgramShape, ResultRole, StateKind};
use lapidary_runtime::{Argument, Buffer, ElementType};

use super::compile::CompiledProgram;
use super::sequences::{check_tokens, longest};
use super::{Engine, EngineError, dtype};

/// Rows of sequences on one device.
///
/// A row takes no notice of the others: which rows are in a batch, how prompts are padded and when others
/// end make no difference to its answer beyond rounding.
#[derive(Debug)]
pub struct Batch<'e> {
    engine: &'e Engine,
    capacity: usize,
    /// Tokens that each row's cache holds.
    lengths: Vec<usize>,
    state: HashMap<(usize, StateKind), Buffer>,
}

/// The tokens that each row takes in one step.
pub(super) struct Step<'t> {
    pub(super) tokens: Vec<&'t [u32]>,
    /// The token that follows each token, when scoring.
    pub(super) targets: Vec<&'t [u32]>,
}

/// What a step answers, by role.
pub(super) struct StepOutputs(HashMap<Output, Buffer>);

impl<'e> Batch<'e> {
    pub(super) fn new(engine: &'e Engine, rows: usize, capacity: usize) -> Result<Self, EngineError> {
        let mut batch = Self { engine, capacity, lengths: vec![0; rows], state: HashMap::new() };
        batch.clear()?;
        Ok(batch)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.lengths.len()
    }

    /// Positions that each row has.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Tokens that a row's cache holds.
    pub fn length(&self, row: usize) -> usize {
        self.lengths.get(row).copied().unwrap_or(0)
    }

    /// Empties all rows.
    ///
    /// # Errors
    /// If the device has no room for the KV cache.
    pub fn clear(&mut self) -> Result<(), EngineError> {
        let Engine { client, device, config, .. } = self.engine;
        let shape = self.engine.shape(Phase::Decode, self.rows(), 1, self.capacity);
        self.lengths.fill(0);
        self.state.clear();
        let bytes = shape.cache_bytes(config);
        let (rows, positions) = (shape.batch, shape.capacity);
        let mut zeros: Vec<u8> = Vec::new();
        for (layer, &kind) in config.layer_kinds.iter().enumerate() {
            let dims = shape.cache_dims(config, kind);
            // A context may be so long that the cache is larger than memory, which must not abort.
            let len = dims.iter().try_fold(shape.dtype.byte_width(), |len, dim| len.checked_mul(*dim));
            let missing = len.map(|len| (len, zeros.try_reserve_exact(len.saturating_sub(zeros.len()))));
            let Some((len, Ok(()))) = missing else {
                return Err(EngineError::CacheSize { bytes, rows, positions });
            };
            zeros.resize(len, 0);
            for kind in StateKind::ALL {
                let buffer = client
                    .buffer_from_host(&zeros, dtype::element_type(shape.dtype), &dims, device)
                    .map_err(|source| EngineError::Cache {
                        bytes,
                        rows,
                        positions,
                        source: Box::new(source),
                    })?;
                self.state.insert((layer, kind), buffer);
            }
        }
        Ok(())
    }

    pub(super) fn shape(&self, phase: Phase, tokens: usize) -> ProgramShape {
        self.engine.shape(phase, self.rows(), tokens, self.capacity)
    }

    /// Appends a sequence to each row (possibly none to some) and returns each row's logits after its last
    /// token, `[vocab]`; empty for a row that got no token.
    ///
    /// # Errors
    /// If a token does not exist, a row would exceed its capacity, or the device fails.
    pub fn prefill(&mut self, sequences: &[&[u32]]) -> Result<Vec<Vec<f32>>, EngineError> {
        self.check(sequences)?;
        let mut logits = vec![Vec::new(); self.rows()];
        let mut rest: Vec<&[u32]> = sequences.to_vec();
        while let remaining @ 1.. = longest(&rest) {
            let program =
                self.engine.program(self.shape(Phase::Prefill, Engine::bucket(remaining, self.capacity)))?;
            let chunk = take_chunk(&mut rest, program.shape.tokens);
            let ending = chunk.iter().zip(&rest).map(|(chunk, rest)| !chunk.is_empty() && rest.is_empty());
            let ending: Vec<bool> = ending.collect();
            let outputs = self.step(&program, &Step { tokens: chunk, targets: Vec::new() })?;
            if ending.contains(&true) {
                let answers = outputs.logits(&program)?;
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
        self.check(&sequences)?;
        let program = self.engine.program(self.shape(Phase::Decode, 1))?;
        let outputs = self.step(&program, &Step { tokens: sequences, targets: Vec::new() })?;
        let mut logits = outputs.logits(&program)?;
        logits.iter_mut().zip(tokens).filter(|(_, token)| token.is_none()).for_each(|(l, _)| l.clear());
        Ok(logits)
    }

    /// Checks token ids and lengths before anything runs.
    fn check(&self, sequences: &[&[u32]]) -> Result<(), EngineError> {
        let (rows, got) = (self.rows(), sequences.len());
        if rows != got {
            return Err(EngineError::RowCount { rows, got });
        }
        for (row, (sequence, length)) in sequences.iter().zip(&self.lengths).enumerate() {
            check_tokens(&self.engine.config, row, sequence)?;
            let (tokens, limit) = (length + sequence.len(), self.capacity);
            if tokens > limit {
                let full = limit == self.engine.config.context;
                let what = if full { "the model's context" } else { "this batch's cache" };
                return Err(EngineError::TooLong { row, tokens, what, limit });
            }
        }
        Ok(())
    }

    /// Runs one step. The KV cache is given to the program and taken back from its results.
    pub(super) fn step(
        &mut self,
        program: &CompiledProgram,
        step: &Step<'_>,
    ) -> Result<StepOutputs, EngineError> {
        let failed = |source| EngineError::Execute { program: program.shape, source: Box::new(source) };
        let inputs = self.inputs(program, step).map_err(failed)?;
        let mut arguments: Vec<Argument<'_>> = Vec::with_capacity(program.signature.params.len());
        for param in &program.signature.params {
            arguments.push(match &param.role {
                ParamRole::Weight(spec) => self.engine.weights.get(&spec.name)?.into(),
                ParamRole::Input(input) => inputs.get(input).ok_or(EngineError::StateLost)?.into(),
                ParamRole::State { layer, kind } => {
                    self.state.remove(&(*layer, *kind)).ok_or(EngineError::StateLost)?.into()
                }
            });
        }
        let results = program.executable.run(arguments).map_err(failed)?;
        let mut outputs = HashMap::new();
        for (result, buffer) in program.signature.results.iter().zip(results) {
            match result.role {
                ResultRole::Output(output) => {
                    outputs.insert(output, buffer);
                }
                ResultRole::State { layer, kind } => {
                    self.state.insert((layer, kind), buffer);
                }
            }
        }
        for (length, tokens) in self.lengths.iter_mut().zip(&step.tokens) {
            *length += tokens.len();
        }
        Ok(StepOutputs(outputs))
    }

    fn inputs(
        &self,
        program: &CompiledProgram,
        step: &Step<'_>,
    ) -> lapidary_runtime::Result<HashMap<Input, Buffer>> {
        let Engine { client, device, config, .. } = self.engine;
        let width = program.shape.tokens;
        let mut inputs = HashMap::new();
        for param in &program.signature.params {
            let ParamRole::Input(input) = param.role else { continue };
            let values: Vec<i32> = match input {
                Input::Tokens => padded(&step.tokens, width, config.pad_token_id),
                Input::Targets => padded(&step.targets, width, config.pad_token_id),
                Input::Start => self.lengths.iter().map(|&length| length as i32).collect(),
                Input::Count => step.tokens.iter().map(|tokens| tokens.len() as i32).collect(),
            };
            let bytes = bytemuck::cast_slice(&values);
            let buffer = client.buffer_from_host(bytes, ElementType::S32, &param.ty.dims, device)?;
            inputs.insert(input, buffer);
        }
        Ok(inputs)
    }
}

impl StepOutputs {
    /// An output's elements, those of one row after the other; [`split_rows`] finds them. Logits of a whole
    /// chunk can take hundreds of MB, so they are not copied apart here.
    pub(super) fn values(&self, program: &CompiledProgram, output: Output) -> Result<Vec<f32>, EngineError> {
        let buffer = self.0.get(&output).ok_or(EngineError::StateLost)?;
        let failed = |source| EngineError::Execute { program: program.shape, source: Box::new(source) };
        buffer.to_vec::<f32>().map_err(failed)
    }

    /// The logits of each row, where there is one position a row.
    fn logits(&self, program: &CompiledProgram) -> Result<Vec<Vec<f32>>, EngineError> {
        let values = self.values(program, Output::Logits)?;
        Ok(split_rows(&values, program.shape.batch).map(<[f32]>::to_vec).collect())
    }
}

/// Values split evenly over the rows.
pub(super) fn split_rows(values: &[f32], rows: usize) -> impl Iterator<Item = &[f32]> {
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

/// Rows of `width` ids, padded at the end.
fn padded(rows: &[&[u32]], width: usize, pad: u32) -> Vec<i32> {
    let pad = std::iter::repeat(&pad);
    rows.iter().flat_map(|row| row.iter().chain(pad.clone()).take(width).map(|&id| id as i32)).collect()
}
