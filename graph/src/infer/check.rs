//! Checks that several ops share. Each returns the error that names what it found.

use super::{DTypeClass, InferError, OperandCount, Role};
use crate::{DType, TensorType};

/// Exactly `N` operands.
pub(super) fn exactly<'a, const N: usize>(
    operands: &[&'a TensorType],
) -> Result<[&'a TensorType; N], InferError> {
    <[&TensorType; N]>::try_from(operands)
        .map_err(|_| InferError::OperandCount { expected: OperandCount::Exactly(N), got: operands.len() })
}

/// `N` operands and any number of others.
pub(super) fn leading<'s, 'a, const N: usize>(
    operands: &'s [&'a TensorType],
) -> Result<([&'a TensorType; N], &'s [&'a TensorType]), InferError> {
    match operands.split_first_chunk::<N>() {
        Some((first, rest)) => Ok((*first, rest)),
        None => Err(InferError::OperandCount { expected: OperandCount::AtLeast(N), got: operands.len() }),
    }
}

/// An element type of `class`.
pub(super) fn dtype(operand: Role, got: DType, class: DTypeClass) -> Result<(), InferError> {
    if class.contains(got) { Ok(()) } else { Err(InferError::DType { operand, got, expected: class }) }
}

/// The element type of another operand.
pub(super) fn same_dtype(
    operand: Role,
    got: &TensorType,
    like: Role,
    expected: &TensorType,
) -> Result<(), InferError> {
    if got.dtype == expected.dtype {
        return Ok(());
    }
    Err(InferError::DTypeMismatch { operand, got: got.dtype, like, expected: expected.dtype })
}

/// The dimensions of another operand.
pub(super) fn same_dims(
    operand: Role,
    got: &TensorType,
    like: Role,
    expected: &TensorType,
) -> Result<(), InferError> {
    if got.dims == expected.dims {
        return Ok(());
    }
    let (got, expected) = (Box::new(got.clone()), Box::new(expected.clone()));
    Err(InferError::ShapeMismatch { operand, got, like, expected })
}

/// A scalar or the dimensions of another operand.
pub(super) fn scalar_or_same_dims(
    operand: Role,
    got: &TensorType,
    like: Role,
    expected: &TensorType,
) -> Result<(), InferError> {
    if got.dims.is_empty() || got.dims == expected.dims {
        return Ok(());
    }
    let (got, expected) = (Box::new(got.clone()), Box::new(expected.clone()));
    Err(InferError::NeitherScalarNorShaped { operand, got, like, expected })
}

/// A number of dimensions.
pub(super) fn rank(operand: Role, got: &TensorType, expected: usize) -> Result<(), InferError> {
    if got.rank() == expected {
        return Ok(());
    }
    Err(InferError::Rank { operand, got: Box::new(got.clone()), expected })
}

/// A number of entries.
pub(super) fn length(
    attribute: &'static str,
    got: usize,
    expected: usize,
    reason: &'static str,
) -> Result<(), InferError> {
    if got == expected {
        return Ok(());
    }
    Err(InferError::AttributeLength { attribute, got, expected, reason })
}

/// One dimension of a tensor of `rank` dimensions.
pub(super) fn axis_in_range(
    attribute: &'static str,
    axis: usize,
    of: Role,
    rank: usize,
) -> Result<(), InferError> {
    if axis < rank { Ok(()) } else { Err(InferError::AxisOutOfRange { attribute, axis, of, rank }) }
}

/// Dimensions of a tensor of `rank` dimensions.
pub(super) fn axes_in_range(
    attribute: &'static str,
    axes: &[usize],
    of: Role,
    rank: usize,
) -> Result<(), InferError> {
    axes.iter().try_for_each(|&axis| axis_in_range(attribute, axis, of, rank))
}

/// The size of a dimension, which must exist.
pub(super) fn axis_size(
    attribute: &'static str,
    axis: usize,
    of: Role,
    ty: &TensorType,
) -> Result<usize, InferError> {
    let rank = ty.rank();
    ty.dims.get(axis).copied().ok_or(InferError::AxisOutOfRange { attribute, axis, of, rank })
}

/// No dimension twice.
pub(super) fn unique(attribute: &'static str, axes: &[usize]) -> Result<(), InferError> {
    let mut sorted = axes.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair.first() == pair.last()) {
        Some(pair) => {
            Err(InferError::DuplicateAxis { attribute, axis: pair.first().copied().unwrap_or_default() })
        }
        None => Ok(()),
    }
}

/// No dimension twice, neither within an attribute nor across the two.
pub(super) fn unique_together(
    attribute: &'static str,
    axes: &[usize],
    other: &'static str,
    other_axes: &[usize],
) -> Result<(), InferError> {
    unique(attribute, axes)?;
    unique(other, other_axes)?;
    let mut others = other_axes.to_vec();
    others.sort_unstable();
    match axes.iter().find(|axis| others.binary_search(axis).is_ok()) {
        Some(&axis) => Err(InferError::SharedAxis { axis, attribute, other }),
        None => Ok(()),
    }
}

/// Dimensions in ascending order.
pub(super) fn sorted(attribute: &'static str, axes: &[usize]) -> Result<(), InferError> {
    for (&before, &after) in axes.iter().zip(axes.iter().skip(1)) {
        if before > after {
            return Err(InferError::UnsortedAxes { attribute, before, after });
        }
    }
    Ok(())
}

/// Attributes whose axes together are all axes of a tensor.
pub(super) fn axis_count(
    parts: &'static str,
    got: usize,
    of: Role,
    expected: usize,
) -> Result<(), InferError> {
    if got == expected { Ok(()) } else { Err(InferError::AxisCount { parts, got, of, expected }) }
}

/// Sizes of paired dimensions of two tensors. The attributes must have equally many entries.
pub(super) fn paired_sizes(
    (attribute, axes): (&'static str, &[usize]),
    (operand, ty): (Role, &TensorType),
    (like_attribute, like_axes): (&'static str, &[usize]),
    (like, like_ty): (Role, &TensorType),
) -> Result<(), InferError> {
    for (&axis, &like_axis) in axes.iter().zip(like_axes) {
        let size = axis_size(attribute, axis, operand, ty)?;
        let like_size = axis_size(like_attribute, like_axis, like, like_ty)?;
        if size != like_size {
            return Err(InferError::SizeMismatch { operand, axis, size, like, like_axis, like_size });
        }
    }
    Ok(())
}

/// A window no larger than the dimension that it slides over.
pub(super) fn window(
    attribute: &'static str,
    axis: usize,
    size: usize,
    limit: usize,
) -> Result<(), InferError> {
    if size <= limit { Ok(()) } else { Err(InferError::WindowSize { attribute, axis, size, limit }) }
}

/// A type whose dimensions and size in bytes are below 2^63, as StableHLO's integers and address spaces need.
pub(crate) fn fits_memory(ty: &TensorType) -> Result<(), InferError> {
    let limit = isize::MAX.unsigned_abs();
    if ty.byte_size() <= limit && ty.dims.iter().all(|&size| size <= limit) {
        return Ok(());
    }
    Err(InferError::TooLarge { ty: Box::new(ty.clone()) })
}
