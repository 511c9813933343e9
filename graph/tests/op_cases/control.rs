//! Ops that call functions, and ops of no family.

use lapidary_graph::op::{Comparison, RngAlgorithm};
use lapidary_graph::{DType, FuncId, Literal, LogicalAxes, Module, Op, TensorType};

use super::{Case, Choices, function};

fn types(choices: &mut Choices) -> Vec<TensorType> {
    (0..choices.below(3)).map(|_| TensorType::new(choices.dtype(|_| true), choices.dims())).collect()
}

/// A function that returns its parameters twice over.
fn doubling(module: &mut Module, params: &[TensorType]) -> FuncId {
    function(module, params, |_, values| [values, values].concat())
}

/// Counts a first carried scalar up to 3.
pub(crate) fn while_loop(choices: &mut Choices) -> Case {
    let carried = [vec![TensorType::scalar(DType::S32)], types(choices)].concat();
    let mut module = Module::new("test");
    let constant = |value| Literal::int(DType::S32, value);
    let cond = function(&mut module, &carried, |b, values| {
        let three = b.constant(constant(3)).unwrap();
        vec![b.compare(Comparison::Lt, values[0], three).unwrap()]
    });
    let body = function(&mut module, &carried, |b, values| {
        let one = b.constant(constant(1)).unwrap();
        let next = b.add(values[0], one).unwrap();
        [&[next], &values[1..]].concat()
    });
    Case::within(module, Op::While { cond, body }, &carried, choices)
}

pub(crate) fn if_else(choices: &mut Choices) -> Case {
    let args = types(choices);
    let mut module = Module::new("test");
    let [then_branch, else_branch] = [0, 1].map(|_| doubling(&mut module, &args));
    let operands = [vec![TensorType::scalar(DType::Pred)], args].concat();
    Case::within(module, Op::If { then_branch, else_branch }, &operands, choices)
}

pub(crate) fn case(choices: &mut Choices) -> Case {
    let args = types(choices);
    let mut module = Module::new("test");
    let branches = (0..1 + choices.below(3)).map(|_| doubling(&mut module, &args)).collect();
    let operands = [vec![TensorType::scalar(DType::S32)], args].concat();
    Case::within(module, Op::Case { branches }, &operands, choices)
}

pub(crate) fn call(choices: &mut Choices) -> Case {
    let args = types(choices);
    let mut module = Module::new("test");
    let callee = doubling(&mut module, &args);
    Case::within(module, Op::Call { callee }, &args, choices)
}

pub(crate) fn composite(choices: &mut Choices) -> Case {
    let args = types(choices);
    let mut module = Module::new("test");
    let decomposition = doubling(&mut module, &args);
    let op = Op::Composite { name: "test.double".to_string(), attributes: Vec::new(), decomposition };
    Case::within(module, op, &args, choices)
}

pub(crate) fn rng_bit_generator(choices: &mut Choices) -> Case {
    let algorithm = choices.pick(RngAlgorithm::ALL);
    let words = if algorithm == RngAlgorithm::ThreeFry { 2 } else { 2 + choices.below(2) };
    let dtype = choices.dtype(|dtype| dtype.is_integer() && dtype.bits() >= 8);
    let result = TensorType::new(dtype, choices.dims());
    let op = Op::RngBitGenerator { algorithm, result };
    Case::of(op, &[TensorType::new(DType::U64, [words])], choices)
}

/// A call that [`super::super::Echo`] resolves: its results are its operands.
pub(crate) fn custom_call(choices: &mut Choices) -> Case {
    let operands = types(choices);
    let op = Op::CustomCall {
        target: "echo".to_string(),
        results: operands.clone(),
        attributes: Vec::new(),
        has_side_effect: choices.coin(),
    };
    Case::of(op, &operands, choices)
}

pub(crate) fn optimization_barrier(choices: &mut Choices) -> Case {
    let operands = [vec![TensorType::new(choices.dtype(|_| true), choices.dims())], types(choices)].concat();
    Case::of(Op::OptimizationBarrier, &operands, choices)
}

pub(crate) fn sharding_constraint(choices: &mut Choices) -> Case {
    let ty = TensorType::new(choices.dtype(|_| true), choices.dims());
    let names = ["batch", "_", "heads"];
    let axes = LogicalAxes::of(&(0..ty.rank()).map(|_| choices.pick(&names)).collect::<Vec<_>>());
    Case::of(Op::ShardingConstraint { axes }, &[ty], choices)
}
