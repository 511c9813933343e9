//! Generalised matrix product.

use super::{DTypeClass, InferError, Role, check};
use crate::op::DotDims;
use crate::{DType, TensorType};

/// Result dimensions: batch, lhs free, rhs free.
///
/// Floats give floats of any width. Integers give integers at least as wide, so that `s8 x s8 -> s32` is
/// exact and nothing wraps unseen.
pub(super) fn dot_general(
    operands: &[&TensorType],
    dims: &DotDims,
    result: DType,
) -> Result<TensorType, InferError> {
    let [lhs, rhs] = check::exactly(operands)?;
    let DotDims { lhs_batch, rhs_batch, lhs_contract, rhs_contract } = dims;
    check::length("rhs_batch", rhs_batch.len(), lhs_batch.len(), "as many as `lhs_batch`")?;
    check::length("rhs_contract", rhs_contract.len(), lhs_contract.len(), "as many as `lhs_contract`")?;
    check::unique_together("lhs_batch", lhs_batch, "lhs_contract", lhs_contract)?;
    check::unique_together("rhs_batch", rhs_batch, "rhs_contract", rhs_contract)?;
    check::axes_in_range("lhs_batch", lhs_batch, Role::Lhs, lhs.rank())?;
    check::axes_in_range("lhs_contract", lhs_contract, Role::Lhs, lhs.rank())?;
    check::axes_in_range("rhs_batch", rhs_batch, Role::Rhs, rhs.rank())?;
    check::axes_in_range("rhs_contract", rhs_contract, Role::Rhs, rhs.rank())?;
    let sides = ((Role::Rhs, rhs), (Role::Lhs, lhs));
    check::paired_sizes(("rhs_batch", rhs_batch), sides.0, ("lhs_batch", lhs_batch), sides.1)?;
    check::paired_sizes(("rhs_contract", rhs_contract), sides.0, ("lhs_contract", lhs_contract), sides.1)?;
    check::dtype(Role::Lhs, lhs.dtype, DTypeClass::IntegerOrFloat)?;
    check::same_dtype(Role::Rhs, rhs, Role::Lhs, lhs)?;
    check::dtype(Role::Result, result, result_class(lhs.dtype))?;

    let batch = lhs_batch.iter().filter_map(|&axis| lhs.dims.get(axis));
    let free = |ty: &TensorType, batch: &[usize], contract: &[usize]| -> Vec<usize> {
        let sizes = ty.dims.iter().enumerate();
        sizes
            .filter(|(axis, _)| !batch.contains(axis) && !contract.contains(axis))
            .map(|(_, &size)| size)
            .collect()
    };
    let dims: Vec<usize> = batch
        .copied()
        .chain(free(lhs, lhs_batch, lhs_contract))
        .chain(free(rhs, rhs_batch, rhs_contract))
        .collect();
    Ok(TensorType::new(result, dims))
}

fn result_class(operand: DType) -> DTypeClass {
    if operand.is_float() { DTypeClass::Float } else { DTypeClass::IntegerAtLeast(operand) }
}
