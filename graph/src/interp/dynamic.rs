//! Boxes at run-time offsets.

use ndarray::{Axis, Slice};

use super::error::{Fault, ensure};
use super::index::{clamp_start, one_per_dimension};
use super::tensor::Tensor;
use crate::element::Scalar;

/// `operands`: the operand, then one scalar start a dimension.
pub(super) fn dynamic_slice(operands: &[Tensor], sizes: &[usize]) -> Result<Tensor, Fault> {
    let [operand, starts @ ..] = operands else {
        return Err(Fault::OperandCount { expected: 1 + sizes.len(), got: 0 });
    };
    let mut view = operand.view();
    for (dim, range) in box_at(operand, starts, sizes)?.into_iter().enumerate() {
        view.slice_axis_inplace(Axis(dim), range);
    }
    Ok(Tensor::from_view(operand.dtype(), &view))
}

/// `operands`: the operand, the update, then one scalar start a dimension.
pub(super) fn dynamic_update_slice(operands: &[Tensor]) -> Result<Tensor, Fault> {
    let [operand, update, starts @ ..] = operands else {
        return Err(Fault::OperandCount { expected: 2, got: operands.len() });
    };
    let same = operand.dtype() == update.dtype();
    ensure(same, || format!("updates {} with {}", operand.ty(), update.ty()))?;
    let ranges = box_at(operand, starts, update.dims())?;
    let mut updated = operand.clone().into_array();
    let mut target = updated.view_mut();
    for (dim, range) in ranges.into_iter().enumerate() {
        target.slice_axis_inplace(Axis(dim), range);
    }
    target.assign(&update.view());
    Ok(Tensor::from_view(operand.dtype(), &updated.view()))
}

/// The box of `sizes` at `starts`, moved into the operand where it would stick out.
fn box_at(operand: &Tensor, starts: &[Tensor], sizes: &[usize]) -> Result<Vec<Slice>, Fault> {
    one_per_dimension("starts", starts.len(), operand.rank())?;
    one_per_dimension("sizes", sizes.len(), operand.rank())?;
    let dims = starts.iter().zip(sizes).zip(operand.dims());
    dims.map(|((start, &size), &dim)| {
        let Some(Scalar::Int(at)) = start.as_scalar() else {
            return Err(Fault::mismatch(format!("start {} is no scalar integer", start.ty())));
        };
        ensure(size <= dim, || format!("a box of {sizes:?} does not fit into {}", operand.ty()))?;
        let first = clamp_start(at, size, dim);
        Ok(Slice::new(first as isize, Some((first + size) as isize), 1))
    })
    .collect()
}
