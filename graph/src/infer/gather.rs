//! Gather.

use super::{DTypeClass, InferError, Role, check};
use crate::TensorType;
use crate::op::GatherDims;

const OPERAND: Role = Role::Operand;
const INDICES: Role = Role::StartIndices(None);

pub(super) fn gather(
    operands: &[&TensorType],
    dims: &GatherDims,
    slice_sizes: &[usize],
) -> Result<TensorType, InferError> {
    let [operand, indices] = check::exactly(operands)?;
    check::dtype(INDICES, indices.dtype, DTypeClass::Integer)?;
    let GatherDims {
        offset_dims,
        collapsed_slice_dims,
        operand_batching_dims,
        start_indices_batching_dims,
        start_index_map,
        index_vector_dim,
    } = dims;

    check::axis_count(
        "`offset_dims`, `collapsed_slice_dims` and `operand_batching_dims`",
        offset_dims.len() + collapsed_slice_dims.len() + operand_batching_dims.len(),
        OPERAND,
        operand.rank(),
    )?;
    let batch_sizes =
        index_batch_sizes(*index_vector_dim, INDICES, indices, ("start_index_map", start_index_map.len()))?;
    let result_rank = batch_sizes.len() + offset_dims.len();
    check::unique("offset_dims", offset_dims)?;
    check::sorted("offset_dims", offset_dims)?;
    check::axes_in_range("offset_dims", offset_dims, Role::Result, result_rank)?;

    let batching = ("operand_batching_dims", operand_batching_dims.as_slice());
    removed_axes(("collapsed_slice_dims", collapsed_slice_dims), batching, OPERAND, operand.rank())?;
    batching_axes(
        batching,
        (OPERAND, operand),
        ("start_indices_batching_dims", start_indices_batching_dims),
        (INDICES, indices),
        *index_vector_dim,
    )?;
    check::unique_together("start_index_map", start_index_map, batching.0, batching.1)?;
    check::axes_in_range("start_index_map", start_index_map, OPERAND, operand.rank())?;

    check::length("slice_sizes", slice_sizes.len(), operand.rank(), "one for each axis of `operand`")?;
    let mut offset_sizes = Vec::with_capacity(offset_dims.len());
    for (axis, (&size, &limit)) in slice_sizes.iter().zip(&operand.dims).enumerate() {
        let removed = collapsed_slice_dims.contains(&axis) || operand_batching_dims.contains(&axis);
        check::window("slice_sizes", axis, size, if removed { limit.min(1) } else { limit })?;
        if !removed {
            offset_sizes.push(size);
        }
    }
    Ok(operand.with_dims(combine(result_rank, offset_dims, &offset_sizes, &batch_sizes)))
}

/// Checks that the index vectors have one component for each entry of a map, and returns the sizes of the
/// dimensions that the index vectors are laid out over.
pub(super) fn index_batch_sizes(
    index_vector_dim: usize,
    role: Role,
    indices: &TensorType,
    (map, components): (&'static str, usize),
) -> Result<Vec<usize>, InferError> {
    let rank = indices.rank();
    if index_vector_dim > rank {
        return Err(InferError::IndexVectorDim { axis: index_vector_dim, of: role, rank });
    }
    // At the rank itself the index vector is implicit and has one component.
    let expected = indices.dims.get(index_vector_dim).copied().unwrap_or(1);
    check::length(map, components, expected, "the length of an index vector")?;
    let sizes = indices.dims.iter().enumerate();
    Ok(sizes.filter(|&(axis, _)| axis != index_vector_dim).map(|(_, &size)| size).collect())
}

/// Checks the dimensions of a window that the other side lacks.
pub(super) fn removed_axes(
    (collapsed, collapsed_axes): (&'static str, &[usize]),
    (batching, batching_axes): (&'static str, &[usize]),
    of: Role,
    rank: usize,
) -> Result<(), InferError> {
    check::unique_together(collapsed, collapsed_axes, batching, batching_axes)?;
    check::sorted(collapsed, collapsed_axes)?;
    check::axes_in_range(collapsed, collapsed_axes, of, rank)?;
    check::sorted(batching, batching_axes)?;
    check::axes_in_range(batching, batching_axes, of, rank)
}

/// Checks the batching dimensions of the indices and their pairing with the operand's.
pub(super) fn batching_axes(
    (attribute, axes): (&'static str, &[usize]),
    (operand, ty): (Role, &TensorType),
    (index_attribute, index_axes): (&'static str, &[usize]),
    (indices, indices_ty): (Role, &TensorType),
    index_vector_dim: usize,
) -> Result<(), InferError> {
    check::unique(index_attribute, index_axes)?;
    check::axes_in_range(index_attribute, index_axes, indices, indices_ty.rank())?;
    if index_axes.contains(&index_vector_dim) {
        let other = "index_vector_dim";
        return Err(InferError::SharedAxis { axis: index_vector_dim, attribute: index_attribute, other });
    }
    check::length(
        index_attribute,
        index_axes.len(),
        axes.len(),
        "one for each batching axis of the operand",
    )?;
    check::paired_sizes(
        (index_attribute, index_axes),
        (indices, indices_ty),
        (attribute, axes),
        (operand, ty),
    )
}

/// Window sizes at the window's dimensions, batch sizes at the others, both in order.
pub(super) fn combine(
    rank: usize,
    window_dims: &[usize],
    window_sizes: &[usize],
    batch_sizes: &[usize],
) -> Vec<usize> {
    let (mut window, mut batch) = (window_sizes.iter(), batch_sizes.iter());
    (0..rank)
        .filter_map(|axis| if window_dims.contains(&axis) { window.next() } else { batch.next() })
        .copied()
        .collect()
}
