//! A batch of rows whose steps the interpreter runs, bound by signature as an engine would.

use std::collections::HashMap;

use lapidary_graph::interp::{Tensor, evaluate};
use lapidary_graph::{DType, TensorType, verify_program};
use lapidary_models::checkpoint::Checkpoint;
use lapidary_models::dtype::StoredDtype;
use lapidary_models::program::{
    Input, Output, ParamRole, ParamSpec, Phase, Program, ProgramShape, ResultRole, StateKind, build,
};

/// Rows of sequences and their KV cache, in f32.
pub struct Rows<'c> {
    checkpoint: &'c Checkpoint,
    weights: HashMap<String, Tensor>,
    /// The cache; empty (zeros) until the first step.
    state: HashMap<(usize, StateKind), Tensor>,
    lengths: Vec<usize>,
    capacity: usize,
    programs: HashMap<ProgramShape, Program>,
}

impl<'c> Rows<'c> {
    pub fn new(checkpoint: &'c Checkpoint, rows: usize, capacity: usize) -> Self {
        let weights = checkpoint.tensors().iter().map(|tensor| {
            let mut bytes = vec![0; 4 * tensor.element_count()];
            tensor.convert_into(StoredDtype::F32, &mut bytes).unwrap();
            let ty = TensorType::new(DType::F32, tensor.dims());
            (tensor.name().to_string(), Tensor::from_bytes(ty, &bytes).unwrap())
        });
        let weights = weights.collect();
        let (state, programs) = (HashMap::new(), HashMap::new());
        Self { checkpoint, weights, state, lengths: vec![0; rows], capacity, programs }
    }

    /// Tokens that a row's cache holds.
    pub fn length(&self, row: usize) -> usize {
        self.lengths[row]
    }

    /// Appends tokens to the rows; the outputs' elements by role.
    pub fn step(&mut self, phase: Phase, width: usize, tokens: &[&[u32]]) -> HashMap<Output, Vec<f64>> {
        self.run(phase, width, tokens, &[])
    }

    /// Appends tokens to the rows and scores the ones that follow them.
    pub fn score(
        &mut self,
        width: usize,
        tokens: &[&[u32]],
        targets: &[&[u32]],
    ) -> HashMap<Output, Vec<f64>> {
        self.run(Phase::Score { logits: true }, width, tokens, targets)
    }

    fn run(
        &mut self,
        phase: Phase,
        width: usize,
        tokens: &[&[u32]],
        targets: &[&[u32]],
    ) -> HashMap<Output, Vec<f64>> {
        let (batch, capacity) = (self.lengths.len(), self.capacity);
        let shape = ProgramShape { phase, batch, tokens: width, capacity, dtype: DType::F32 };
        let config = self.checkpoint.config();
        let program = self.programs.entry(shape).or_insert_with(|| build(config, &shape).unwrap());
        let argument = |param: &ParamSpec| match &param.role {
            ParamRole::Weight(spec) => self.weights[&spec.name].clone(),
            ParamRole::State { layer, kind } => {
                let zeros = || Tensor::from_bytes(param.ty.clone(), &vec![0; param.ty.byte_size()]).unwrap();
                self.state.remove(&(*layer, *kind)).unwrap_or_else(zeros)
            }
            ParamRole::Input(input) => {
                let values: Vec<i32> = match input {
                    Input::Tokens => padded(tokens, width),
                    Input::Targets => padded(targets, width),
                    Input::Start => self.lengths.iter().map(|&length| length as i32).collect(),
                    Input::Count => tokens.iter().map(|tokens| tokens.len() as i32).collect(),
                };
                Tensor::from_i32(&param.ty.dims, &values).unwrap()
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
                    outputs.insert(output, result.to_floats());
                }
                ResultRole::State { layer, kind } => {
                    self.state.insert((layer, kind), result);
                }
            }
        }
        self.lengths.iter_mut().zip(tokens).for_each(|(length, tokens)| *length += tokens.len());
        outputs
    }
}

/// Rows of `width` ids, padded at the end with one that would show if it left a trace.
fn padded(rows: &[&[u32]], width: usize) -> Vec<i32> {
    let pad = std::iter::repeat(&9);
    rows.iter().flat_map(|row| row.iter().chain(pad.clone()).take(width).map(|&id| id as i32)).collect()
}
