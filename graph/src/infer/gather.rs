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
        check::window("slice_sizes", axis, size, limit)?;
        let removed_by = if collapsed_slice_dims.contains(&axis) {
            "collapsed_slice_dims"
        } else if operand_batching_dims.contains(&axis) {
            "operand_batching_dims"
        } else {
            offset_sizes.push(size);
            continue;
        };
        if size != 1 {
            return Err(InferError::RemovedAxisSize { axis, size, removed_by });
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

#[cfg(test)]
mod tests {
    use super::super::testing::{accepts, rejects};
    use super::*;
    use crate::Op;

    fn op(dims: &GatherDims, slice_sizes: &[usize]) -> Op {
        Op::Gather { dims: dims.clone(), slice_sizes: slice_sizes.to_vec(), indices_are_sorted: false }
    }

    /// Rows of a `[vocab, width]` table by token ids `[batch, seq]`.
    fn rows() -> GatherDims {
        GatherDims {
            offset_dims: vec![2],
            collapsed_slice_dims: vec![0],
            start_index_map: vec![0],
            index_vector_dim: 2,
            ..GatherDims::default()
        }
    }

    /// One element of each row of `[batch, width]` by positions `[batch, picks, 1]`.
    fn batched() -> GatherDims {
        GatherDims {
            collapsed_slice_dims: vec![1],
            operand_batching_dims: vec![0],
            start_indices_batching_dims: vec![0],
            start_index_map: vec![1],
            index_vector_dim: 2,
            ..GatherDims::default()
        }
    }

    #[test]
    fn offsets_and_batches_combine_in_the_result() {
        accepts(&op(&rows(), &[1, 8]), "f32[100,8] s32[2,5]", "f32[2,5,8]");
        accepts(&op(&rows(), &[1, 3]), "f32[100,8] u32[2,5,1]", "f32[2,5,3]");
        accepts(&op(&batched(), &[1, 1]), "f32[4,9] s32[4,7,1]", "f32[4,7]");
        let leading = GatherDims { offset_dims: vec![0], index_vector_dim: 1, ..rows() };
        accepts(&op(&leading, &[1, 8]), "f32[100,8] s32[5]", "f32[8,5]");
    }

    #[test]
    fn dimension_numbers_account_for_the_operand() {
        let operands = "f32[100,8] s32[2,5]";
        let reject = |dims: GatherDims, message: &str| rejects(&op(&dims, &[1, 8]), operands, message);
        reject(
            GatherDims { collapsed_slice_dims: vec![], ..rows() },
            "`offset_dims`, `collapsed_slice_dims` and `operand_batching_dims` name 1 axis together, \
             expected 2, the rank of `operand`",
        );
        reject(
            GatherDims { index_vector_dim: 3, ..rows() },
            "`index_vector_dim` is 3, expected 2, the rank of `start_indices`, at most",
        );
        reject(
            GatherDims { index_vector_dim: 1, ..rows() },
            "`start_index_map` has length 1, expected 5: the length of an index vector",
        );
        reject(
            GatherDims { offset_dims: vec![3], ..rows() },
            "axis 3 in `offset_dims` is out of range: `result` has rank 3",
        );
        reject(
            GatherDims { collapsed_slice_dims: vec![2], ..rows() },
            "axis 2 in `collapsed_slice_dims` is out of range: `operand` has rank 2",
        );
        reject(
            GatherDims { start_index_map: vec![usize::MAX], ..rows() },
            &format!("axis {} in `start_index_map` is out of range: `operand` has rank 2", usize::MAX),
        );
        let both = GatherDims { offset_dims: vec![2, 1], collapsed_slice_dims: vec![], ..rows() };
        reject(both, "`offset_dims` lists axis 1 after axis 2, expected ascending order");
    }

    #[test]
    fn slices_fit_the_operand() {
        let operands = "f32[100,8] s32[2,5]";
        rejects(&op(&rows(), &[1, 9]), operands, "`slice_sizes` takes 9 elements of axis 1, 8 at most");
        rejects(
            &op(&rows(), &[2, 8]),
            operands,
            "`slice_sizes` takes 2 elements of axis 0, expected 1: the axis is in `collapsed_slice_dims`",
        );
        rejects(
            &op(&rows(), &[0, 8]),
            operands,
            "`slice_sizes` takes 0 elements of axis 0, expected 1: the axis is in `collapsed_slice_dims`",
        );
        rejects(
            &op(&rows(), &[1, 8]),
            "f32[0,8] s32[2,5]",
            "`slice_sizes` takes 1 element of axis 0, 0 at most",
        );
        rejects(
            &op(&batched(), &[0, 1]),
            "f32[4,9] s32[4,7,1]",
            "`slice_sizes` takes 0 elements of axis 0, expected 1: the axis is in `operand_batching_dims`",
        );
        rejects(
            &op(&rows(), &[1]),
            operands,
            "`slice_sizes` has length 1, expected 2: one for each axis of `operand`",
        );
        rejects(
            &op(&rows(), &[1, 8]),
            "f32[100,8] f32[2,5]",
            "`start_indices` has element type f32, expected an integer type",
        );
    }

    #[test]
    fn batching_axes_pair_up() {
        let operands = "f32[4,9] s32[4,7,1]";
        let reject = |dims: GatherDims, message: &str| rejects(&op(&dims, &[1, 1]), operands, message);
        reject(
            GatherDims { start_indices_batching_dims: vec![1], ..batched() },
            "axis 1 of `start_indices` has size 7, expected 4 like axis 0 of `operand`",
        );
        reject(
            GatherDims { start_indices_batching_dims: vec![2], ..batched() },
            "axis 2 is in both `start_indices_batching_dims` and `index_vector_dim`",
        );
        reject(
            GatherDims { start_indices_batching_dims: vec![], ..batched() },
            "`start_indices_batching_dims` has length 0, expected 1: one for each batching axis of the operand",
        );
        reject(
            GatherDims { start_index_map: vec![0], ..batched() },
            "axis 0 is in both `start_index_map` and `operand_batching_dims`",
        );
        reject(
            GatherDims { collapsed_slice_dims: vec![0], ..batched() },
            "axis 0 is in both `collapsed_slice_dims` and `operand_batching_dims`",
        );
    }
}
