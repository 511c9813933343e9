//! Tests of the ops through whole functions, with results worked out by hand or taken from the
//! specification's examples.

mod control;
mod elementwise;
mod errors;
mod indexed;
mod rng;
mod structure;
mod summing;

use super::{EvalError, Tensor, evaluate};
use crate::{BuildError, DType, FuncId, FunctionBuilder, Module, Op, TensorType, ValueId};

/// The results of one op of `module`.
pub(super) fn try_op(mut module: Module, op: Op, operands: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
    let mut b = FunctionBuilder::new(&mut module, "main");
    let params: Vec<ValueId> = operands.iter().map(|t| b.param("", t.ty())).collect();
    let results = b.push(op, &params).unwrap();
    let main = b.finish(&results);
    evaluate(&module, main, operands)
}

/// The only result of one op without bodies.
pub(super) fn one(op: Op, operands: &[Tensor]) -> Tensor {
    let mut results = try_op(Module::new("test"), op, operands).unwrap();
    assert_eq!(results.len(), 1);
    results.remove(0)
}

/// A function `name` of scalars, built by `build` on parameters of `dtypes`.
pub(super) fn scalar_function(
    module: &mut Module,
    name: &str,
    dtypes: &[DType],
    build: impl FnOnce(&mut FunctionBuilder<'_>, &[ValueId]) -> Result<Vec<ValueId>, BuildError>,
) -> FuncId {
    let mut b = FunctionBuilder::new(module, name);
    let params: Vec<ValueId> = dtypes.iter().map(|&dtype| b.param("", TensorType::scalar(dtype))).collect();
    let results = build(&mut b, &params).unwrap();
    b.finish(&results)
}

pub(super) fn s32(dims: &[usize], values: &[i32]) -> Tensor {
    Tensor::from_i32(dims, values).unwrap()
}

pub(super) fn f32(dims: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_f32(dims, values).unwrap()
}

/// Elements 0, 1, 2, ... of `s32`.
pub(super) fn counting(dims: &[usize]) -> Tensor {
    let count = dims.iter().product::<usize>() as i32;
    s32(dims, &(0..count).collect::<Vec<_>>())
}

/// Asserts dimensions and elements of an integer tensor.
#[track_caller]
pub(super) fn assert_ints(tensor: &Tensor, dims: &[usize], expected: &[i128]) {
    assert_eq!((tensor.dims(), tensor.to_ints().as_slice()), (dims, expected));
}
