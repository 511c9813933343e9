//! Scatter.

use super::body::Body;
use super::error::{Fault, ensure};
use super::index::{advance, distinct_below, others, sizes, strides};
use super::start_indices::IndexLayout;
use super::tensor::Tensor;
use crate::element::Scalar;
use crate::op::ScatterDims;

/// Combines every element of the updates into the inputs, one index vector after another.
///
/// `operands`: inputs, indices, updates. As the specification says, an element whose index is out of bounds
/// is dropped *by itself*. XLA's CPU and GPU compilers drop the whole window when any part of it is out of
/// bounds, so a graph that is to mean the same everywhere uses windows of one element or in bounds.
pub(super) fn scatter(
    operands: &[Tensor],
    dims: &ScatterDims,
    mut body: Body<'_>,
) -> Result<Vec<Tensor>, Fault> {
    let arity = operands.len() / 2;
    let (inputs, rest) = operands.split_at_checked(arity).unwrap_or_default();
    let (Some(input), Some((indices, updates))) = (inputs.first(), rest.split_first()) else {
        return Err(Fault::OperandCount { expected: 3, got: operands.len() });
    };
    let Some(update) = updates.first().filter(|_| updates.len() == arity) else {
        return Err(Fault::OperandCount { expected: 2 * arity + 1, got: operands.len() });
    };
    body.expect_dtypes(inputs.iter().chain(updates).map(Tensor::dtype), inputs.iter().map(Tensor::dtype))?;
    let alike =
        inputs.iter().all(|t| t.dims() == input.dims()) && updates.iter().all(|t| t.dims() == update.dims());
    ensure(alike, || "inputs differ in dimensions, or updates do".to_string())?;

    let rank = input.rank();
    let left_out = [dims.inserted_window_dims.as_slice(), &dims.input_batching_dims].concat();
    distinct_below("inserted and batching dimensions", &left_out, rank)?;
    distinct_below("window dimensions", &dims.update_window_dims, update.rank())?;
    let layout = IndexLayout {
        index_vector_dim: dims.index_vector_dim,
        component_dims: &dims.scatter_dims_to_operand_dims,
        operand_batching_dims: &dims.input_batching_dims,
        indices_batching_dims: &dims.scatter_indices_batching_dims,
    };
    let starts = layout.starts(indices, rank)?;
    let scatter_axes = others(&dims.update_window_dims, update.rank());
    let window_axes = others(&left_out, rank);
    let window_dims = sizes(update.dims(), &dims.update_window_dims);
    let fits =
        sizes(update.dims(), &scatter_axes) == starts.batch_dims && window_axes.len() == window_dims.len();
    ensure(fits, || format!("updates {} do not fit {} at {}", update.ty(), input.ty(), indices.ty()))?;

    let window_by_window = [scatter_axes.as_slice(), &dims.update_window_dims].concat();
    let updates: Vec<Vec<Scalar>> = updates
        .iter()
        .map(|t| t.view().permuted_axes(window_by_window.as_slice()).iter().copied().collect())
        .collect();
    let mut results: Vec<Vec<Scalar>> = inputs.iter().map(|t| t.scalars().collect()).collect();
    let input_strides = strides(input.dims());
    let window_size: usize = window_dims.iter().product();
    let mut window_index = vec![0; window_dims.len()];
    let mut position = 0;
    let mut arguments = Vec::with_capacity(2 * arity);
    for start in &starts.starts {
        for _ in 0..window_size {
            if let Some(target) = target(start, &window_axes, &window_index, input.dims(), &input_strides) {
                arguments.clear();
                arguments.extend(results.iter().filter_map(|r| r.get(target)));
                arguments.extend(updates.iter().filter_map(|u| u.get(position)));
                for (result, &value) in results.iter_mut().zip(body.call(&arguments)?) {
                    if let Some(slot) = result.get_mut(target) {
                        *slot = value;
                    }
                }
            }
            position += 1;
            advance(&mut window_index, &window_dims);
        }
    }
    let tensors = inputs.iter().zip(results);
    tensors.map(|(t, elements)| Ok(Tensor::from_wide(t.dtype(), t.dims(), elements)?)).collect()
}

/// The row-major position of a window's element in the inputs, if it is in bounds.
fn target(
    start: &[i128],
    window_axes: &[usize],
    window_index: &[usize],
    dims: &[usize],
    strides: &[usize],
) -> Option<usize> {
    let mut window = window_axes.iter().zip(window_index).peekable();
    let mut position = 0;
    for (axis, ((&start, &size), &stride)) in start.iter().zip(dims).zip(strides).enumerate() {
        let offset = window.next_if(|&(&window_axis, _)| window_axis == axis).map_or(0, |(_, &at)| at);
        let at = usize::try_from(start.checked_add(offset as i128)?).ok().filter(|&at| at < size)?;
        position += at * stride;
    }
    Some(position)
}
