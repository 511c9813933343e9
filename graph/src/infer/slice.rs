//! Ops that cut boxes out of tensors, write them in, join and pad them.

use super::{DTypeClass, InferError, Role, check};
use crate::TensorType;

pub(super) fn concatenate(operands: &[&TensorType], dim: usize) -> Result<TensorType, InferError> {
    let ([first], rest) = check::leading(operands)?;
    for (i, operand) in rest.iter().enumerate() {
        check::same_dtype(Role::input(i + 1), operand, Role::input(0), first)?;
    }
    let mut total = check::axis_size("dim", dim, Role::input(0), first)?;
    for (i, operand) in rest.iter().enumerate() {
        let role = Role::input(i + 1);
        check::rank(role, operand, first.rank())?;
        for (axis, (&size, &like_size)) in operand.dims.iter().zip(&first.dims).enumerate() {
            if axis == dim {
                total = total.checked_add(size).ok_or(InferError::SizeOverflow { axis })?;
            } else if size != like_size {
                let (like, like_axis) = (Role::input(0), axis);
                return Err(InferError::SizeMismatch {
                    operand: role,
                    axis,
                    size,
                    like,
                    like_axis,
                    like_size,
                });
            }
        }
    }
    let dims: Vec<usize> =
        first.dims.iter().enumerate().map(|(axis, &size)| if axis == dim { total } else { size }).collect();
    Ok(first.with_dims(dims))
}

pub(super) fn slice(
    operands: &[&TensorType],
    start: &[usize],
    limit: &[usize],
    stride: &[usize],
) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    for (attribute, values) in [("start", start), ("limit", limit), ("stride", stride)] {
        check::length(attribute, values.len(), operand.rank(), "one for each axis of `operand`")?;
    }
    let bounds = start.iter().zip(limit).zip(stride).zip(&operand.dims).enumerate();
    let mut dims = Vec::with_capacity(operand.rank());
    for (axis, (((&start, &limit), &stride), &size)) in bounds {
        if start > limit || limit > size {
            return Err(InferError::SliceBounds { axis, start, limit, size });
        }
        if stride == 0 {
            return Err(InferError::ZeroStride { axis });
        }
        dims.push((limit - start).div_ceil(stride));
    }
    Ok(operand.with_dims(dims))
}

pub(super) fn dynamic_slice(operands: &[&TensorType], sizes: &[usize]) -> Result<TensorType, InferError> {
    let ([operand], starts) = check::leading(operands)?;
    start_indices(starts, operand, 1)?;
    check::length("sizes", sizes.len(), operand.rank(), "one for each axis of `operand`")?;
    for (axis, (&size, &limit)) in sizes.iter().zip(&operand.dims).enumerate() {
        check::window("sizes", axis, size, limit)?;
    }
    Ok(operand.with_dims(sizes))
}

pub(super) fn dynamic_update_slice(operands: &[&TensorType]) -> Result<TensorType, InferError> {
    let ([operand, update], starts) = check::leading(operands)?;
    check::same_dtype(Role::Update, update, Role::Operand, operand)?;
    check::rank(Role::Update, update, operand.rank())?;
    start_indices(starts, operand, 2)?;
    for (axis, (&size, &limit)) in update.dims.iter().zip(&operand.dims).enumerate() {
        check::window("update", axis, size, limit)?;
    }
    Ok(operand.clone())
}

/// One scalar integer for each dimension of `operand`, all of one type, after `before` other operands.
fn start_indices(starts: &[&TensorType], operand: &TensorType, before: usize) -> Result<(), InferError> {
    if starts.len() != operand.rank() {
        let expected = super::OperandCount::Exactly(before + operand.rank());
        return Err(InferError::OperandCount { expected, got: before + starts.len() });
    }
    for (axis, start) in starts.iter().enumerate() {
        check::dtype(Role::start(axis), start.dtype, DTypeClass::Integer)?;
        check::rank(Role::start(axis), start, 0)?;
        if let Some(first) = starts.first() {
            check::same_dtype(Role::start(axis), start, Role::start(0), first)?;
        }
    }
    Ok(())
}

pub(super) fn pad(
    operands: &[&TensorType],
    low: &[i64],
    high: &[i64],
    interior: &[usize],
) -> Result<TensorType, InferError> {
    let [operand, padding_value] = check::exactly(operands)?;
    check::same_dtype(Role::PaddingValue, padding_value, Role::Operand, operand)?;
    check::rank(Role::PaddingValue, padding_value, 0)?;
    for (attribute, entries) in [("low", low.len()), ("high", high.len()), ("interior", interior.len())] {
        check::length(attribute, entries, operand.rank(), "one for each axis of `operand`")?;
    }
    let padding = low.iter().zip(high).zip(interior).zip(&operand.dims).enumerate();
    let mut dims = Vec::with_capacity(operand.rank());
    for (axis, (((&low, &high), &interior), &size)) in padding {
        let padded = padded_size(size, low, high, interior).ok_or(InferError::SizeOverflow { axis })?;
        if padded < 0 {
            return Err(InferError::NegativePadding { axis, size, low, high, interior });
        }
        dims.push(usize::try_from(padded).map_err(|_| InferError::SizeOverflow { axis })?);
    }
    Ok(operand.with_dims(dims))
}

/// `low + size + max(size - 1, 0) * interior + high`, unless it overflows.
fn padded_size(size: usize, low: i64, high: i64, interior: usize) -> Option<i128> {
    let gaps = i128::try_from(size.saturating_sub(1)).ok()?;
    let between = gaps.checked_mul(i128::try_from(interior).ok()?)?;
    i128::try_from(size).ok()?.checked_add(between)?.checked_add(i128::from(low) + i128::from(high))
}
