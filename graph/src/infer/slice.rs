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

#[cfg(test)]
mod tests {
    use super::super::testing::{accepts, rejects};
    use crate::Op;

    #[test]
    fn concatenate_adds_sizes_along_one_axis() {
        let concatenate = |dim| Op::Concatenate { dim };
        accepts(&concatenate(1), "f32[2,3] f32[2,1] f32[2,0]", "f32[2,4]");
        rejects(&concatenate(0), "", "expected at least 1 operand, got 0");
        rejects(&concatenate(0), "f32[]", "axis 0 in `dim` is out of range: `inputs[0]` has rank 0");
        rejects(
            &concatenate(1),
            "f32[2,3] f32[3,3]",
            "axis 0 of `inputs[1]` has size 3, expected 2 like axis 0 of `inputs[0]`",
        );
        rejects(&concatenate(0), "f32[2] f32[2,1]", "`inputs[1]` is f32[2,1] of rank 2, expected rank 1");
        rejects(
            &concatenate(0),
            "f32[2] f32[2] s32[2]",
            "`inputs[2]` has element type s32, expected f32 like `inputs[0]`; convert one of them",
        );
        let huge = usize::MAX;
        rejects(
            &concatenate(1),
            &format!("f32[0,{huge}] f32[0,1]"),
            "the size of axis 1 of the result overflows 64 bits",
        );
    }

    #[test]
    fn slice_bounds_lie_in_the_operand() {
        let slice = |start: &[usize], limit: &[usize], stride: &[usize]| Op::Slice {
            start: start.to_vec(),
            limit: limit.to_vec(),
            stride: stride.to_vec(),
        };
        accepts(&slice(&[1, 0], &[4, 3], &[2, 1]), "f32[4,3]", "f32[2,3]");
        accepts(&slice(&[2], &[2], &[usize::MAX]), "f32[4]", "f32[0]");
        rejects(&slice(&[3], &[2], &[1]), "f32[4]", "slice 3..2 does not lie in axis 0 of size 4");
        rejects(&slice(&[0, 0], &[4, 5], &[1, 1]), "f32[4,4]", "slice 0..5 does not lie in axis 1 of size 4");
        rejects(&slice(&[0], &[2], &[0]), "f32[4]", "`stride` is 0 on axis 0, expected at least 1");
        rejects(
            &slice(&[0], &[2, 2], &[1]),
            "f32[4]",
            "`limit` has length 2, expected 1: one for each axis of `operand`",
        );
    }

    #[test]
    fn dynamic_slice_takes_a_start_for_each_axis() {
        let slice = |sizes: &[usize]| Op::DynamicSlice { sizes: sizes.to_vec() };
        accepts(&slice(&[1, 3]), "f32[4,3] s32[] s32[]", "f32[1,3]");
        rejects(&slice(&[1, 3]), "f32[4,3] s32[]", "expected 3 operands, got 2");
        rejects(&slice(&[1, 4]), "f32[4,3] s32[] s32[]", "`sizes` takes 4 elements of axis 1, 3 at most");
        rejects(&slice(&[1]), "f32[4] s32[1]", "`start_indices[0]` is s32[1] of rank 1, expected a scalar");
        rejects(
            &slice(&[1]),
            "f32[4] f32[]",
            "`start_indices[0]` has element type f32, expected an integer type",
        );
        rejects(
            &slice(&[1, 1]),
            "f32[4,3] s32[] s64[]",
            "`start_indices[1]` has element type s64, expected s32 like `start_indices[0]`; convert one of them",
        );
    }

    #[test]
    fn dynamic_update_slice_writes_a_box_that_fits() {
        let op = Op::DynamicUpdateSlice;
        accepts(&op, "f32[4,3] f32[1,3] u32[] u32[]", "f32[4,3]");
        rejects(&op, "f32[4]", "expected at least 2 operands, got 1");
        rejects(&op, "f32[4] f32[5] s32[]", "`update` takes 5 elements of axis 0, 4 at most");
        rejects(&op, "f32[4] f32[] s32[]", "`update` is f32[] of rank 0, expected rank 1");
        rejects(&op, "f32[4] f32[1]", "expected 3 operands, got 2");
        rejects(
            &op,
            "f32[4] bf16[1] s32[]",
            "`update` has element type bf16, expected f32 like `operand`; convert one of them",
        );
    }

    #[test]
    fn pad_grows_and_crops() {
        let pad = |low: &[i64], high: &[i64], interior: &[usize]| Op::Pad {
            low: low.to_vec(),
            high: high.to_vec(),
            interior: interior.to_vec(),
        };
        accepts(&pad(&[1, -1], &[2, 0], &[0, 1]), "f32[4,3] f32[]", "f32[7,4]");
        accepts(&pad(&[0], &[0], &[7]), "f32[0] f32[]", "f32[0]");
        accepts(&pad(&[-2], &[-2], &[0]), "f32[4] f32[]", "f32[0]");
        rejects(
            &pad(&[-3], &[-3], &[0]),
            "f32[4] f32[]",
            "padding of -3 and -3 with 0 between elements leaves axis 0 of size 4 with fewer than 0",
        );
        rejects(
            &pad(&[0], &[0], &[0]),
            "f32[4] f32[1]",
            "`padding_value` is f32[1] of rank 1, expected a scalar",
        );
        rejects(
            &pad(&[0], &[0], &[0]),
            "f32[4] s32[]",
            "`padding_value` has element type s32, expected f32 like `operand`; convert one of them",
        );
        rejects(
            &pad(&[0], &[0], &[]),
            "f32[4] f32[]",
            "`interior` has length 0, expected 1: one for each axis of `operand`",
        );
        rejects(
            &pad(&[i64::MAX], &[i64::MAX], &[usize::MAX]),
            "f32[4] f32[]",
            "the size of axis 0 of the result overflows 64 bits",
        );
    }
}
