//! Gather.

use ndarray::{Axis, Slice};

use super::Limits;
use super::error::{Fault, ensure};
use super::index::{clamp_start, distinct_below, inverse, one_per_dimension, others, sizes};
use super::start_indices::IndexLayout;
use super::tensor::Tensor;
use crate::TensorType;
use crate::op::GatherDims;

/// Copies one slice of the operand for each index vector, with starts clamped so that it lies inside.
pub(super) fn gather(
    operand: &Tensor,
    indices: &Tensor,
    dims: &GatherDims,
    slice_sizes: &[usize],
    limits: &Limits,
) -> Result<Tensor, Fault> {
    let rank = operand.rank();
    one_per_dimension("slice sizes", slice_sizes.len(), rank)?;
    let dropped = [dims.collapsed_slice_dims.as_slice(), &dims.operand_batching_dims].concat();
    distinct_below("collapsed and batching dimensions", &dropped, rank)?;
    for (dim, (&slice, &size)) in slice_sizes.iter().zip(operand.dims()).enumerate() {
        ensure(slice <= size, || format!("slices of {slice_sizes:?} do not fit {}", operand.ty()))?;
        // The specification permits a size of 0 there, but then the result has elements that no slice has.
        let dropped_whole = slice == 1 || !dropped.contains(&dim);
        ensure(dropped_whole, || {
            format!("drops dimension {dim} of slices of {slice_sizes:?}, which is not 1")
        })?;
    }
    let layout = IndexLayout {
        index_vector_dim: dims.index_vector_dim,
        component_dims: &dims.start_index_map,
        operand_batching_dims: &dims.operand_batching_dims,
        indices_batching_dims: &dims.start_indices_batching_dims,
    };
    let starts = layout.starts(indices, rank)?;

    let slice_dims = sizes(slice_sizes, &others(&dropped, rank));
    let unordered_dims = [starts.batch_dims, slice_dims.clone()].concat();
    limits.admit(&TensorType::new(operand.dtype(), unordered_dims.as_slice()))?;
    let mut elements = Vec::new();
    for start in &starts.starts {
        let mut window = operand.view();
        for (dim, ((&at, &slice), &size)) in start.iter().zip(slice_sizes).zip(operand.dims()).enumerate() {
            let first = clamp_start(at, slice, size);
            window
                .slice_axis_inplace(Axis(dim), Slice::new(first as isize, Some((first + slice) as isize), 1));
        }
        elements.extend(window.iter().copied());
    }

    // So far batch dimensions come first and slice dimensions last; `offset_dims` says where they belong.
    one_per_dimension("offset dimensions", dims.offset_dims.len(), slice_dims.len())?;
    distinct_below("offset dimensions", &dims.offset_dims, unordered_dims.len())?;
    let batch_axes = others(&dims.offset_dims, unordered_dims.len());
    let order = inverse(&[batch_axes.as_slice(), &dims.offset_dims].concat());
    let unordered = Tensor::from_wide(operand.dtype(), &unordered_dims, elements)?;
    Ok(Tensor::from_view(operand.dtype(), &unordered.view().permuted_axes(order)))
}
