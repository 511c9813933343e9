//! Scatter.

use super::gather::{batching_axes, combine, index_batch_sizes, removed_axes};
use super::{Callees, DTypeClass, InferError, OperandCount, Role, callee, check};
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
    Ok(inputs.iter().map(|&ty| ty.clone()).collect())
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
