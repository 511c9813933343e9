//! Ops that arrange the same elements in another shape or order.

use super::{DTypeClass, InferError, Role, check};
use crate::{DType, TensorType};

pub(super) fn iota(
    operands: &[&TensorType],
    result: &TensorType,
    dim: usize,
) -> Result<TensorType, InferError> {
    let [] = check::exactly(operands)?;
    check::dtype(Role::Result, result.dtype, DTypeClass::IntegerOrFloat)?;
    check::axis_in_range("dim", dim, Role::Result, result.rank())?;
    Ok(result.clone())
}

pub(super) fn bitcast_convert(operands: &[&TensorType], to: DType) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    check::dtype(Role::Operand, operand.dtype, DTypeClass::IntegerOrFloat)?;
    check::dtype(Role::Result, to, DTypeClass::IntegerOrFloat)?;
    let (from_bits, to_bits) = (operand.dtype.bits(), to.bits());
    let mut dims = operand.dims.clone();
    // Widths are powers of two, so that the greater is a multiple of the lesser.
    if to_bits < from_bits {
        dims.push(from_bits / to_bits);
    } else if to_bits > from_bits {
        let parts = to_bits / from_bits;
        if dims.pop() != Some(parts) {
            return Err(InferError::BitcastWidth { got: Box::new(operand.clone()), to, parts });
        }
    }
    Ok(TensorType::new(to, dims))
}

pub(super) fn broadcast_in_dim(
    operands: &[&TensorType],
    dims: &[usize],
    broadcast_dims: &[usize],
) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    let result = operand.with_dims(dims);
    check::length("broadcast_dims", broadcast_dims.len(), operand.rank(), "one for each axis of `operand`")?;
    check::axes_in_range("broadcast_dims", broadcast_dims, Role::Result, result.rank())?;
    check::unique("broadcast_dims", broadcast_dims)?;
    for (axis, (&size, &like_axis)) in operand.dims.iter().zip(broadcast_dims).enumerate() {
        let like_size = check::axis_size("broadcast_dims", like_axis, Role::Result, &result)?;
        if size != 1 && size != like_size {
            let (operand, like) = (Role::Operand, Role::Result);
            return Err(InferError::SizeMismatch { operand, axis, size, like, like_axis, like_size });
        }
    }
    Ok(result)
}

pub(super) fn reshape(operands: &[&TensorType], dims: &[usize]) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    let result = operand.with_dims(dims);
    // Element counts saturate: only counts of types that fit in memory can be compared.
    check::fits_memory(&result)?;
    if operand.num_elements() != result.num_elements() {
        return Err(InferError::ElementCount { got: Box::new(operand.clone()), expected: Box::new(result) });
    }
    Ok(result)
}

pub(super) fn transpose(operands: &[&TensorType], permutation: &[usize]) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    check::length("permutation", permutation.len(), operand.rank(), "one for each axis of `operand`")?;
    check::unique("permutation", permutation)?;
    let dims = permutation
        .iter()
        .map(|&axis| check::axis_size("permutation", axis, Role::Operand, operand))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(operand.with_dims(dims))
}

pub(super) fn reverse(operands: &[&TensorType], dims: &[usize]) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    check::unique("dims", dims)?;
    check::axes_in_range("dims", dims, Role::Operand, operand.rank())?;
    Ok(operand.clone())
}
