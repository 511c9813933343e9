//! Ops that move elements about by static attributes.

use ndarray::{ArrayD, Axis, IxDyn, Slice};

use super::Limits;
use super::error::{Fault, ensure};
use super::index::{distinct_below, inverse, one_per_dimension};
use super::tensor::Tensor;
use crate::TensorType;
use crate::element::{self, Scalar};

pub(super) fn iota(result: &TensorType, dim: usize, limits: &Limits) -> Result<Tensor, Fault> {
    limits.admit(result)?;
    ensure(dim < result.rank(), || format!("{result} has no dimension {dim}"))?;
    let count = |index: IxDyn| element::round(result.dtype, Scalar::Int(index[dim] as i128));
    let array = ArrayD::from_shape_fn(IxDyn(&result.dims), count);
    Ok(Tensor::from_view(result.dtype, &array.view()))
}

pub(super) fn broadcast_in_dim(
    operand: &Tensor,
    dims: &[usize],
    broadcast_dims: &[usize],
    limits: &Limits,
) -> Result<Tensor, Fault> {
    limits.admit(&operand.ty().with_dims(dims))?;
    one_per_dimension("broadcast dimensions", broadcast_dims.len(), operand.rank())?;
    distinct_below("broadcast dimensions", broadcast_dims, dims.len())?;
    // ndarray broadcasts trailing dimensions, so the operand's are put in order and ones between them.
    let mut view = operand.view().permuted_axes(inverse(broadcast_dims));
    for dim in 0..dims.len() {
        if !broadcast_dims.contains(&dim) {
            view = view.insert_axis(Axis(dim));
        }
    }
    let broadcast = view.broadcast(IxDyn(dims)).ok_or_else(|| {
        Fault::mismatch(format!("{} does not broadcast to {dims:?} along {broadcast_dims:?}", operand.ty()))
    })?;
    Ok(Tensor::from_view(operand.dtype(), &broadcast))
}

pub(super) fn reshape(operand: &Tensor, dims: &[usize]) -> Result<Tensor, Fault> {
    let ty = operand.ty();
    let same = ty.with_dims(dims).num_elements() == ty.num_elements();
    ensure(same, || format!("{ty} has not as many elements as {dims:?}"))?;
    Ok(Tensor::from_wide(ty.dtype, dims, operand.scalars().collect())?)
}

pub(super) fn transpose(operand: &Tensor, permutation: &[usize]) -> Result<Tensor, Fault> {
    one_per_dimension("entries of a permutation", permutation.len(), operand.rank())?;
    distinct_below("permuted dimensions", permutation, operand.rank())?;
    Ok(Tensor::from_view(operand.dtype(), &operand.view().permuted_axes(permutation)))
}

pub(super) fn concatenate(operands: &[Tensor], dim: usize, limits: &Limits) -> Result<Tensor, Fault> {
    let first = operands.first().ok_or(Fault::OperandCount { expected: 1, got: 0 })?;
    ensure(dim < first.rank(), || format!("{} has no dimension {dim}", first.ty()))?;
    let fits = |operand: &Tensor| {
        let mut others = operand.dims().iter().zip(first.dims()).enumerate();
        operand.dtype() == first.dtype()
            && operand.rank() == first.rank()
            && others.all(|(d, (a, b))| d == dim || a == b)
    };
    if let Some(other) = operands.iter().find(|operand| !fits(operand)) {
        return Err(Fault::mismatch(format!("{} and {} do not join along {dim}", first.ty(), other.ty())));
    }
    let elements = operands.iter().fold(0usize, |n, operand| n.saturating_add(operand.view().len()));
    limits.admit(&TensorType::new(first.dtype(), [elements]))?;
    let views: Vec<_> = operands.iter().map(Tensor::view).collect();
    let joined = ndarray::concatenate(Axis(dim), &views).map_err(|e| Fault::mismatch(e.to_string()))?;
    Ok(Tensor::from_view(first.dtype(), &joined.view()))
}

pub(super) fn slice(
    operand: &Tensor,
    start: &[usize],
    limit: &[usize],
    stride: &[usize],
) -> Result<Tensor, Fault> {
    for (what, list) in [("starts", start), ("limits", limit), ("strides", stride)] {
        one_per_dimension(what, list.len(), operand.rank())?;
    }
    let mut view = operand.view();
    let boxes = start.iter().zip(limit).zip(stride).zip(operand.dims());
    for (dim, (((&start, &limit), &stride), &size)) in boxes.enumerate() {
        let valid = start <= limit && limit <= size && stride > 0;
        ensure(valid, || {
            format!("{start}..{limit} by {stride} is no slice of dimension {dim} of {}", operand.ty())
        })?;
        view.slice_axis_inplace(
            Axis(dim),
            Slice::new(start as isize, Some(limit as isize), step(stride, size)),
        );
    }
    Ok(Tensor::from_view(operand.dtype(), &view))
}

pub(super) fn reverse(operand: &Tensor, dims: &[usize]) -> Result<Tensor, Fault> {
    distinct_below("reversed dimensions", dims, operand.rank())?;
    let mut view = operand.view();
    for &dim in dims {
        view.invert_axis(Axis(dim));
    }
    Ok(Tensor::from_view(operand.dtype(), &view))
}

pub(super) fn pad(
    operand: &Tensor,
    value: &Tensor,
    low: &[i64],
    high: &[i64],
    interior: &[usize],
    limits: &Limits,
) -> Result<Tensor, Fault> {
    for (what, len) in [("low", low.len()), ("high", high.len()), ("interior", interior.len())] {
        one_per_dimension(&format!("{what} paddings"), len, operand.rank())?;
    }
    let fill = value
        .as_scalar()
        .filter(|_| value.dtype() == operand.dtype())
        .ok_or_else(|| Fault::mismatch(format!("pads {} with {}", operand.ty(), value.ty())))?;
    let paddings = low.iter().zip(high).zip(interior).zip(operand.dims());
    let axes = paddings
        .map(|(((&low, &high), &interior), &size)| PaddedAxis::new(low, high, interior, size))
        .collect::<Result<Vec<_>, _>>()?;
    let result = operand.ty().with_dims(axes.iter().map(|axis| axis.size).collect::<Vec<_>>());
    limits.admit(&result)?;
    let mut padded = ArrayD::from_elem(IxDyn(&result.dims), fill);
    let mut source = operand.view();
    let mut target = padded.view_mut();
    for (dim, axis) in axes.iter().enumerate() {
        source.slice_axis_inplace(Axis(dim), axis.kept);
        target.slice_axis_inplace(Axis(dim), axis.target);
    }
    target.assign(&source);
    Ok(Tensor::from_view(operand.dtype(), &padded.view()))
}

/// One dimension of a padding: its new size, which of the operand's indices are kept, and where they go.
struct PaddedAxis {
    size: usize,
    kept: Slice,
    target: Slice,
}

impl PaddedAxis {
    fn new(low: i64, high: i64, interior: usize, size: usize) -> Result<Self, Fault> {
        let (low, count, spacing) = (i128::from(low), size as i128, interior as i128 + 1);
        let spread = if size == 0 { 0 } else { (count - 1) * spacing + 1 };
        let padded = low + spread + i128::from(high);
        let new_size = usize::try_from(padded)
            .map_err(|_| Fault::mismatch(format!("padding leaves {padded} of {size} elements")))?;
        // Element i goes to low + i * spacing; kept are those that land within 0..padded.
        let first = div_ceil((-low).max(0), spacing).min(count);
        let end = div_ceil((padded - low).max(0), spacing).clamp(first, count);
        if first == end {
            let none = Slice::new(0, Some(0), 1);
            return Ok(Self { size: new_size, kept: none, target: none });
        }
        let kept = Slice::new(first as isize, Some(end as isize), 1);
        let (start, last) = (low + first * spacing, low + (end - 1) * spacing);
        let target = Slice::new(
            start as isize,
            Some((last + 1) as isize),
            step(usize::try_from(spacing).unwrap_or(usize::MAX), new_size),
        );
        Ok(Self { size: new_size, kept, target })
    }
}

/// Division of a non-negative number, rounded up.
fn div_ceil(dividend: i128, divisor: i128) -> i128 {
    (dividend + divisor - 1) / divisor
}

/// A stride as ndarray takes it. One as long as the dimension steps past its end like any longer one.
fn step(stride: usize, size: usize) -> isize {
    stride.min(size.max(1)) as isize
}
