//! Scatter.

use super::gather::{batching_axes, combine, index_batch_sizes, removed_axes};
use super::{Callees, DTypeClass, InferError, OperandCount, Role, callee, check, owned};
use crate::op::ScatterDims;
use crate::{FuncId, FunctionType, TensorType};

const INDICES: Role = Role::ScatterIndices;

pub(super) fn scatter(
    operands: &[&TensorType],
    dims: &ScatterDims,
    body: FuncId,
    callees: &dyn Callees,
) -> Result<Vec<TensorType>, InferError> {
    let (inputs, indices, updates) = split(operands)?;
    let (Some(input), Some(update)) = (inputs.first(), updates.first()) else {
        return Err(InferError::OperandCount { expected: OperandCount::PairsAndOne, got: operands.len() });
    };
    check::dtype(INDICES, indices.dtype, DTypeClass::Integer)?;
    for (i, (other_input, other_update)) in inputs.iter().zip(updates).enumerate() {
        check::same_dims(Role::input(i), other_input, Role::input(0), input)?;
        check::same_dims(Role::updates(i), other_update, Role::updates(0), update)?;
        check::same_dtype(Role::updates(i), other_update, Role::input(i), other_input)?;
    }
    dimension_numbers(input, indices, update, dims)?;

    let scalars: Vec<TensorType> = inputs.iter().map(|ty| TensorType::scalar(ty.dtype)).collect();
    let params = scalars.iter().chain(&scalars).cloned().collect();
    callee::expect(callees, "body", body, FunctionType { params, results: scalars })?;
    Ok(owned(inputs))
}

type Operands<'s, 'a> = (&'s [&'a TensorType], &'a TensorType, &'s [&'a TensorType]);

/// `n` inputs, the indices, `n` updates.
fn split<'s, 'a>(operands: &'s [&'a TensorType]) -> Result<Operands<'s, 'a>, InferError> {
    let (inputs, rest) = operands.split_at(operands.len() / 2);
    match rest.split_first() {
        Some((indices, updates)) if updates.len() == inputs.len() => Ok((inputs, indices, updates)),
        Some(_) | None => {
            Err(InferError::OperandCount { expected: OperandCount::PairsAndOne, got: operands.len() })
        }
    }
}

fn dimension_numbers(
    input: &TensorType,
    indices: &TensorType,
    update: &TensorType,
    dims: &ScatterDims,
) -> Result<(), InferError> {
    let ScatterDims {
        update_window_dims,
        inserted_window_dims,
        input_batching_dims,
        scatter_indices_batching_dims,
        scatter_dims_to_operand_dims,
        index_vector_dim,
    } = dims;
    let operand = Role::input(0);
    check::axis_count(
        "`update_window_dims`, `inserted_window_dims` and `input_batching_dims`",
        update_window_dims.len() + inserted_window_dims.len() + input_batching_dims.len(),
        operand,
        input.rank(),
    )?;
    check::unique("update_window_dims", update_window_dims)?;
    check::sorted("update_window_dims", update_window_dims)?;
    check::axes_in_range("update_window_dims", update_window_dims, Role::updates(0), update.rank())?;

    let batching = ("input_batching_dims", input_batching_dims.as_slice());
    removed_axes(("inserted_window_dims", inserted_window_dims), batching, operand, input.rank())?;
    batching_axes(
        batching,
        (operand, input),
        ("scatter_indices_batching_dims", scatter_indices_batching_dims),
        (INDICES, indices),
        *index_vector_dim,
    )?;
    let map = "scatter_dims_to_operand_dims";
    let scatter_sizes =
        index_batch_sizes(*index_vector_dim, INDICES, indices, (map, scatter_dims_to_operand_dims.len()))?;
    check::unique_together(map, scatter_dims_to_operand_dims, batching.0, batching.1)?;
    check::axes_in_range(map, scatter_dims_to_operand_dims, operand, input.rank())?;

    let window_axes: Vec<usize> = (0..input.rank())
        .filter(|axis| !inserted_window_dims.contains(axis) && !input_batching_dims.contains(axis))
        .collect();
    update_shape(input, update, update_window_dims, &window_axes, &scatter_sizes)
}

/// Checks that the updates are windows of the input laid out over the indices' dimensions.
fn update_shape(
    input: &TensorType,
    update: &TensorType,
    window_dims: &[usize],
    window_axes: &[usize],
    scatter_sizes: &[usize],
) -> Result<(), InferError> {
    check::rank(Role::updates(0), update, scatter_sizes.len() + window_dims.len())?;
    let mut window_sizes = Vec::with_capacity(window_dims.len());
    for (&update_axis, &axis) in window_dims.iter().zip(window_axes) {
        let size = check::axis_size("update_window_dims", update_axis, Role::updates(0), update)?;
        let limit = check::axis_size("update_window_dims", axis, Role::input(0), input)?;
        check::window("updates", axis, size, limit)?;
        window_sizes.push(size);
    }
    let expected = combine(update.rank(), window_dims, &window_sizes, scatter_sizes);
    for (axis, (&size, &expected)) in update.dims.iter().zip(&expected).enumerate() {
        if size != expected {
            return Err(InferError::Size { operand: Role::updates(0), axis, size, expected });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Functions;
    use super::*;
    use crate::Op;

    const ADD: &[&str] = &["f32[] f32[] -> f32[]", "f32[] s32[] f32[] s32[] -> f32[] s32[]"];

    fn op(dims: &ScatterDims, body: usize) -> Op {
        Op::Scatter {
            dims: dims.clone(),
            indices_are_sorted: false,
            unique_indices: false,
            body: FuncId::new(body),
        }
    }

    /// Rows `[n, width]` into `[slots, width]` at slots `[n]`.
    fn rows() -> ScatterDims {
        ScatterDims {
            update_window_dims: vec![1],
            inserted_window_dims: vec![0],
            scatter_dims_to_operand_dims: vec![0],
            index_vector_dim: 1,
            ..ScatterDims::default()
        }
    }

    /// Elements `[batch, n]` into `[batch, slots]` at slots `[batch, n]`.
    fn batched() -> ScatterDims {
        ScatterDims {
            inserted_window_dims: vec![1],
            input_batching_dims: vec![0],
            scatter_indices_batching_dims: vec![0],
            scatter_dims_to_operand_dims: vec![1],
            index_vector_dim: 2,
            ..ScatterDims::default()
        }
    }

    #[test]
    fn results_are_the_inputs() {
        let with = Functions::of(ADD);
        with.accepts(&op(&rows(), 0), "f32[9,8] s32[3] f32[3,8]", "f32[9,8]");
        with.accepts(&op(&rows(), 0), "f32[9,8] s32[3,1] f32[3,5]", "f32[9,8]");
        with.accepts(&op(&batched(), 0), "f32[4,9] s32[4,3] f32[4,3]", "f32[4,9]");
        with.accepts(&op(&rows(), 1), "f32[9,8] s32[9,8] s32[3] f32[3,8] s32[3,8]", "f32[9,8] s32[9,8]");
    }

    #[test]
    fn operands_come_in_pairs_around_the_indices() {
        let with = Functions::of(ADD);
        let count = "expected an odd number of operands, at least 3, got";
        for operands in ["", "s32[3]", "f32[9,8] s32[3]", "f32[9,8] s32[3] f32[3,8] f32[3,8]"] {
            let got = operands.split_whitespace().count();
            with.rejects(&op(&rows(), 0), operands, &format!("{count} {got}"));
        }
        with.rejects(
            &op(&rows(), 0),
            "f32[9,8] s32[3] s32[3,8]",
            "`updates[0]` has element type s32, expected f32 like `inputs[0]`; convert one of them",
        );
        with.rejects(
            &op(&rows(), 1),
            "f32[9,8] s32[9,7] s32[3] f32[3,8] s32[3,8]",
            "`inputs[1]` is s32[9,7], expected the dimensions of `inputs[0]`, f32[9,8]: size 7 against 8 on axis 1",
        );
    }

    #[test]
    fn updates_are_windows_over_the_indices() {
        let with = Functions::of(ADD);
        let reject = |operands: &str, message: &str| with.rejects(&op(&rows(), 0), operands, message);
        reject("f32[9,8] s32[3] f32[4,8]", "axis 0 of `updates[0]` has size 4, expected 3");
        reject("f32[9,8] s32[3] f32[3,9]", "`updates` takes 9 elements of axis 1, 8 at most");
        reject("f32[9,8] s32[3] f32[3,8,1]", "`updates[0]` is f32[3,8,1] of rank 3, expected rank 2");
        reject(
            "f32[9,8] s32[3] f32[3]",
            "axis 1 in `update_window_dims` is out of range: `updates[0]` has rank 1",
        );
        reject(
            "f32[9] s32[3] f32[3,8]",
            "`update_window_dims`, `inserted_window_dims` and `input_batching_dims` name 2 axes together, \
             expected 1, the rank of `inputs[0]`",
        );
    }

    #[test]
    fn dimension_numbers_are_consistent() {
        let with = Functions::of(ADD);
        let operands = "f32[4,9] s32[4,3] f32[4,3]";
        let reject = |dims: ScatterDims, message: &str| with.rejects(&op(&dims, 0), operands, message);
        reject(
            ScatterDims { scatter_dims_to_operand_dims: vec![0], ..batched() },
            "axis 0 is in both `scatter_dims_to_operand_dims` and `input_batching_dims`",
        );
        reject(
            ScatterDims { scatter_dims_to_operand_dims: vec![1, 1], ..batched() },
            "`scatter_dims_to_operand_dims` has length 2, expected 1: the length of an index vector",
        );
        reject(
            ScatterDims { scatter_indices_batching_dims: vec![1], ..batched() },
            "axis 1 of `scatter_indices` has size 3, expected 4 like axis 0 of `inputs[0]`",
        );
        reject(
            ScatterDims { inserted_window_dims: vec![7], ..batched() },
            "axis 7 in `inserted_window_dims` is out of range: `inputs[0]` has rank 2",
        );
    }

    #[test]
    fn the_body_combines_scalars() {
        let with = Functions::of(&["f32[] -> f32[]"]);
        let operands = "f32[9,8] s32[3] f32[3,8]";
        with.rejects(
            &op(&rows(), 0),
            operands,
            "`body` @f0 is (f32[]) -> (f32[]), expected (f32[], f32[]) -> (f32[])",
        );
        with.rejects(
            &op(&rows(), 1),
            operands,
            "`body` is @f1, which is not a function of this module; add callees first",
        );
    }
}
