//! A batch of rows whose steps the interpreter runs, bound by signature as an engine would.

// Every test binary compiles this module, and none uses all of it.
#![allow(dead_code)]

use std::collections::HashMap;

use lapidary_graph::interp::{Tensor, evaluate};
use lapidary_graph::{DType, TensorType, verify_program};
use lapidary_models::checkpoint::Checkpoint;
use lapidary_models::config::GemmaConfig;
use lapidary_models::dtype::StoredDtype;
use lapidary_models::program::{
    Input, KvCache, Output, ParamRole, ParamSpec, Phase, Program, ProgramShape, ResultRole, StateKind, build,
};

/// Rows of sequences and their KV cache, in f32.
pub struct Rows {
    config: GemmaConfig,
    weights: HashMap<String, Tensor>,
    /// The cache; empty (zeros) until the first step.
    state: HashMap<(usize, StateKind), Tensor>,
    lengths: Vec<usize>,
    capacity: usize,
    kv_cache: KvCache,
    programs: HashMap<ProgramShape, Program>,
}

/// How a row's tokens are chosen, where a program does so.
#[derive(Clone, Debug)]
pub struct RowChoice {
    pub temperature: f32,
    pub top_k: i32,
    pub top_p: f32,
    pub min_p: f32,
    pub seed: u64,
    pub repetition_penalty: f32,
    /// The row's tokens, those of the step included.
    pub history: Vec<u32>,
    pub remaining: i32,
    pub stop_at_eos: bool,
}

impl Rows {
    pub fn new(checkpoint: &Checkpoint, rows: usize, capacity: usize) -> Self {
        let weights = checkpoint.tensors().iter().map(|tensor| {
            let mut bytes = vec![0; 4 * tensor.element_count()];
            tensor.convert_into(StoredDtype::F32, &mut bytes).unwrap();
            let ty = TensorType::new(DType::F32, tensor.dims());
            (tensor.name().to_string(), Tensor::from_bytes(ty, &bytes).unwrap())
        });
        let weights = weights.collect();
        let (state, programs) = (HashMap::new(), HashMap::new());
        let (config, kv_cache) = (checkpoint.config().clone(), KvCache::Dense);
        Self { config, weights, state, lengths: vec![0; rows], capacity, kv_cache, programs }
    }

    /// The same rows, whose KV cache is held in another form.
    pub fn with_kv_cache(mut self, kv_cache: KvCache) -> Self {
        self.kv_cache = kv_cache;
        self
    }

    /// The same rows of a model whose sequences end with another token.
    pub fn ending_with(mut self, eos: u32) -> Self {
        self.config.eos_token_ids = vec![eos];
        self
    }

    /// The KV cache.
    pub fn state(&self) -> &HashMap<(usize, StateKind), Tensor> {
        &self.state
    }

    /// Tokens that a row's cache holds.
    pub fn length(&self, row: usize) -> usize {
        self.lengths[row]
    }

    /// Appends tokens to the rows; the outputs' elements by role.
    pub fn step(&mut self, phase: Phase, width: usize, tokens: &[&[u32]]) -> HashMap<Output, Vec<f64>> {
        let outputs = self.run(phase, width, tokens, &[], &[]);
        self.lengths.iter_mut().zip(tokens).for_each(|(length, tokens)| *length += tokens.len());
        outputs
    }

    /// Appends tokens to the rows, and in a loop of steps those that are chosen.
    pub fn sample(
        &mut self,
        phase: Phase,
        width: usize,
        tokens: &[&[u32]],
        choices: &[RowChoice],
    ) -> HashMap<Output, Vec<f64>> {
        let outputs = self.run(phase, width, tokens, &[], choices);
        for ((length, tokens), &chosen) in self.lengths.iter_mut().zip(tokens).zip(&outputs[&Output::Counts])
        {
            // The last token that is chosen has not been taken.
            *length += tokens.len() + (chosen as usize).saturating_sub(1);
        }
        outputs
    }

    /// Appends tokens to the rows and scores the ones that follow them.
    pub fn score(
        &mut self,
        width: usize,
        tokens: &[&[u32]],
        targets: &[&[u32]],
    ) -> HashMap<Output, Vec<f64>> {
        let outputs = self.run(Phase::Score { logits: true }, width, tokens, targets, &[]);
        self.lengths.iter_mut().zip(tokens).for_each(|(length, tokens)| *length += tokens.len());
        outputs
    }

    fn run(
        &mut self,
        phase: Phase,
        width: usize,
        tokens: &[&[u32]],
        targets: &[&[u32]],
        choices: &[RowChoice],
    ) -> HashMap<Output, Vec<f64>> {
        let (batch, capacity, kv_cache) = (self.lengths.len(), self.capacity, self.kv_cache);
        let shape = ProgramShape { phase, batch, tokens: width, capacity, dtype: DType::F32, kv_cache };
        let program = self.programs.entry(shape).or_insert_with(|| build(&self.config, &shape).unwrap());
        let argument = |param: &ParamSpec| match &param.role {
            ParamRole::Weight(spec) => self.weights[&spec.name].clone(),
            ParamRole::State { layer, kind } => {
                let zeros = || Tensor::from_bytes(param.ty.clone(), &vec![0; param.ty.byte_size()]).unwrap();
                self.state.remove(&(*layer, *kind)).unwrap_or_else(zeros)
            }
            ParamRole::Input(input) => {
                let ints = |values: Vec<i32>| Tensor::from_i32(&param.ty.dims, &values).unwrap();
                let floats = |get: fn(&RowChoice) -> f32| {
                    Tensor::from_f32(&param.ty.dims, &choices.iter().map(get).collect::<Vec<_>>()).unwrap()
                };
                match input {
                    Input::Tokens => ints(padded(tokens, width)),
                    Input::Targets => ints(padded(targets, width)),
                    Input::Start => ints(self.lengths.iter().map(|&length| length as i32).collect()),
                    Input::Count => ints(tokens.iter().map(|tokens| tokens.len() as i32).collect()),
                    Input::Temperature => floats(|choice| choice.temperature),
                    Input::TopK => ints(choices.iter().map(|choice| choice.top_k).collect()),
                    Input::TopP => floats(|choice| choice.top_p),
                    Input::MinP => floats(|choice| choice.min_p),
                    Input::Seed => {
                        let words = choices.iter().flat_map(|c| [c.seed as u32, (c.seed >> 32) as u32]);
                        let words: Vec<i64> = words.map(i64::from).collect();
                        Tensor::from_ints(DType::U32, &param.ty.dims, &words).unwrap()
                    }
                    Input::RepetitionPenalty => floats(|choice| choice.repetition_penalty),
                    Input::History => {
                        let histories: Vec<&[u32]> = choices.iter().map(|c| c.history.as_slice()).collect();
                        ints(padded(&histories, capacity))
                    }
                    Input::Remaining => ints(choices.iter().map(|choice| choice.remaining).collect()),
                    Input::StopAtEos => {
                        let flags: Vec<u8> =
                            choices.iter().map(|choice| u8::from(choice.stop_at_eos)).collect();
                        Tensor::from_bytes(param.ty.clone(), &flags).unwrap()
                    }
                }
            }
        };
        let arguments: Vec<Tensor> = program.signature.params.iter().map(argument).collect();
        let module = verify_program(&program.module).unwrap_or_else(|violations| panic!("{violations}"));
        let results = evaluate(&module, module.entry().unwrap(), &arguments)
            .unwrap_or_else(|error| panic!("{shape}: {error}"));

        let mut outputs = HashMap::new();
        for (spec, result) in program.signature.results.iter().zip(results) {
            match spec.role {
                ResultRole::Output(output) => {
                    let ints = || result.to_ints().into_iter().map(|value| value as f64).collect();
                    let values = if result.dtype().is_integer() { ints() } else { result.to_floats() };
                    outputs.insert(output, values);
                }
                ResultRole::State { layer, kind } => {
                    self.state.insert((layer, kind), result);
                }
            }
        }
        outputs
    }
}

/// Rows of `width` ids, padded at the end with one that would show if it left a trace.
fn padded(rows: &[&[u32]], width: usize) -> Vec<i32> {
    let pad = std::iter::repeat(&9);
    rows.iter().flat_map(|row| row.iter().chain(pad.clone()).take(width).map(|&id| id as i32)).collect()
}
