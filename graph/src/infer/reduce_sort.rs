//! Reduction and sorting: ops over several inputs of one shape with a body on scalars.

use super::{Callees, InferError, OperandCount, Role, callee, check, owned};
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

    let scalars: Vec<TensorType> = owned(init_values);
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
    Ok(owned(operands))
}

fn same_shapes(inputs: &[&TensorType]) -> Result<(), InferError> {
    let Some((first, rest)) = inputs.split_first() else { return Ok(()) };
    rest.iter()
        .enumerate()
        .try_for_each(|(i, input)| check::same_dims(Role::input(i + 1), input, Role::input(0), first))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Functions;
    use super::*;
    use crate::Op;

    fn reduce(dims: &[usize], body: usize) -> Op {
        Op::Reduce { dims: dims.to_vec(), body: FuncId::new(body) }
    }

    #[test]
    fn reduced_axes_vanish() {
        let with = Functions::of(&["f32[] f32[] -> f32[]", "f32[] s32[] f32[] s32[] -> f32[] s32[]"]);
        with.accepts(&reduce(&[1], 0), "f32[2,3,4] f32[]", "f32[2,4]");
        with.accepts(&reduce(&[2, 0], 0), "f32[2,3,4] f32[]", "f32[3]");
        with.accepts(&reduce(&[], 0), "f32[2] f32[]", "f32[2]");
        with.accepts(&reduce(&[0], 1), "f32[2,3] s32[2,3] f32[] s32[]", "f32[3] s32[3]");
    }

    #[test]
    fn reduce_takes_an_initial_scalar_for_each_input() {
        let with = Functions::of(&["f32[] f32[] -> f32[]"]);
        with.rejects(&reduce(&[0], 0), "", "expected an even number of operands, at least 2, got 0");
        with.rejects(
            &reduce(&[0], 0),
            "f32[2] f32[2] f32[]",
            "expected an even number of operands, at least 2, got 3",
        );
        with.rejects(
            &reduce(&[0], 0),
            "f32[2] f32[1]",
            "`init_values[0]` is f32[1] of rank 1, expected a scalar",
        );
        with.rejects(
            &reduce(&[0], 0),
            "bf16[2] f32[]",
            "`init_values[0]` has element type f32, expected bf16 like `inputs[0]`; convert one of them",
        );
        with.rejects(
            &reduce(&[0], 0),
            "f32[2] f32[3] f32[] f32[]",
            "`inputs[1]` is f32[3], expected the dimensions of `inputs[0]`, f32[2]: size 3 against 2 on axis 0",
        );
        with.rejects(
            &reduce(&[1], 0),
            "f32[2] f32[]",
            "axis 1 in `dims` is out of range: `inputs[0]` has rank 1",
        );
        with.rejects(&reduce(&[0, 0], 0), "f32[2] f32[]", "`dims` names axis 0 twice");
    }

    #[test]
    fn the_body_of_reduce_combines_scalars() {
        let with = Functions::of(&["f32[] f32[] -> f32[]"]);
        with.rejects(
            &reduce(&[0], 0),
            "bf16[2] bf16[]",
            "`body` @f0 is (f32[], f32[]) -> (f32[]), expected (bf16[], bf16[]) -> (bf16[])",
        );
        with.rejects(
            &reduce(&[0], 4),
            "f32[2] f32[]",
            "`body` is @f4, which is not a function of this module; add callees first",
        );
    }

    #[test]
    fn sort_keeps_types_and_compares_pairs() {
        let sort = |dim| Op::Sort { dim, stable: true, comparator: FuncId::new(0) };
        let with = Functions::of(&["f32[] f32[] s32[] s32[] -> pred[]"]);
        with.accepts(&sort(1), "f32[2,3] s32[2,3]", "f32[2,3] s32[2,3]");
        with.rejects(&sort(0), "", "expected at least 1 operand, got 0");
        with.rejects(
            &sort(2),
            "f32[2,3] s32[2,3]",
            "axis 2 in `dim` is out of range: `inputs[0]` has rank 2",
        );
        with.rejects(
            &sort(1),
            "f32[2,3] s32[2]",
            "`inputs[1]` is s32[2], expected the dimensions of `inputs[0]`, f32[2,3]: rank 1 against 2",
        );
        with.rejects(
            &sort(0),
            "f32[2]",
            "`comparator` @f0 is (f32[], f32[], s32[], s32[]) -> (pred[]), expected (f32[], f32[]) -> (pred[])",
        );
    }
}
