//! Reduction and sorting: ops over several inputs of one shape with a body on scalars.

use super::{Callees, InferError, OperandCount, Role, callee, check};
use crate::{DType, FuncId, FunctionType, TensorType};

pub(super) fn reduce(
    operands: &[&TensorType],
    dims: &[usize],
    body: FuncId,
    callees: &dyn Callees,
) -> Result<Vec<TensorType>, InferError> {
    let (inputs, init_values) = operands.split_at(operands.len() / 2);
    let count = InferError::OperandCount { expected: OperandCount::Pairs, got: operands.len() };
    let Some(first) = inputs.first().filter(|_| inputs.len() == init_values.len()) else {
        return Err(count);
    };
    same_shapes(inputs)?;
    for (i, (input, init)) in inputs.iter().zip(init_values).enumerate() {
        check::same_dtype(Role::init_value(i), init, Role::input(i), input)?;
        check::rank(Role::init_value(i), init, 0)?;
    }
    check::axes_in_range("dims", dims, Role::input(0), first.rank())?;
    check::unique("dims", dims)?;

    let scalars: Vec<TensorType> = init_values.iter().map(|&ty| ty.clone()).collect();
    let params = scalars.iter().chain(&scalars).cloned().collect();
    callee::expect(callees, "body", body, FunctionType { params, results: scalars })?;

    let sizes = first.dims.iter().enumerate();
    let kept: Vec<usize> = sizes.filter(|(axis, _)| !dims.contains(axis)).map(|(_, &size)| size).collect();
    Ok(inputs.iter().map(|input| input.with_dims(kept.as_slice())).collect())
}

pub(super) fn sort(
    operands: &[&TensorType],
    dim: usize,
    comparator: FuncId,
    callees: &dyn Callees,
) -> Result<Vec<TensorType>, InferError> {
    let ([first], _) = check::leading(operands)?;
    same_shapes(operands)?;
    check::axis_in_range("dim", dim, Role::input(0), first.rank())?;
    let scalars = operands.iter().map(|ty| TensorType::scalar(ty.dtype));
    let params = scalars.flat_map(|scalar| [scalar.clone(), scalar]).collect();
    let results = vec![TensorType::scalar(DType::Pred)];
    callee::expect(callees, "comparator", comparator, FunctionType { params, results })?;
    Ok(operands.iter().map(|&ty| ty.clone()).collect())
}

fn same_shapes(inputs: &[&TensorType]) -> Result<(), InferError> {
    let Some((first, rest)) = inputs.split_first() else { return Ok(()) };
    rest.iter()
        .enumerate()
        .try_for_each(|(i, input)| check::same_dims(Role::input(i + 1), input, Role::input(0), first))
}
