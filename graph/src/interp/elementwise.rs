//! Elementwise ops on tensors: the functions of [`super::scalar`] applied to every element.

use super::error::{Fault, ensure};
use super::scalar;
use super::tensor::Tensor;
use crate::DType;
use crate::element::{self, Scalar};
use crate::op::{BinaryKind, Comparison, UnaryKind};

pub(super) fn unary(kind: UnaryKind, operand: &Tensor) -> Result<Tensor, Fault> {
    let dtype = operand.dtype();
    let elements: Option<Vec<Scalar>> = operand.scalars().map(|x| scalar::unary(kind, dtype, x)).collect();
    collected(scalar::unary_dtype(kind, dtype), operand, elements)
}

pub(super) fn binary(kind: BinaryKind, lhs: &Tensor, rhs: &Tensor) -> Result<Tensor, Fault> {
    same_type(lhs, rhs)?;
    let dtype = lhs.dtype();
    let pairs = lhs.scalars().zip(rhs.scalars());
    collected(dtype, lhs, pairs.map(|(a, b)| scalar::binary(kind, dtype, a, b)).collect())
}

pub(super) fn compare(
    direction: Comparison,
    total_order: bool,
    lhs: &Tensor,
    rhs: &Tensor,
) -> Result<Tensor, Fault> {
    same_type(lhs, rhs)?;
    let pairs = lhs.scalars().zip(rhs.scalars());
    let elements = pairs.map(|(a, b)| scalar::compare(direction, total_order, a, b)).collect();
    collected(DType::Pred, lhs, elements)
}

pub(super) fn select(pred: &Tensor, on_true: &Tensor, on_false: &Tensor) -> Result<Tensor, Fault> {
    same_type(on_true, on_false)?;
    ensure(pred.dtype() == DType::Pred, || format!("selects by {}, not by pred", pred.ty()))?;
    let choices = broadcast_scalar(pred, on_true)?.zip(on_true.scalars().zip(on_false.scalars()));
    let elements = choices.map(|(p, (t, f))| if p.as_bool() { t } else { f }).collect();
    Ok(Tensor::from_wide(on_true.dtype(), on_true.dims(), elements)?)
}

pub(super) fn clamp(low: &Tensor, operand: &Tensor, high: &Tensor) -> Result<Tensor, Fault> {
    let bounds = broadcast_scalar(low, operand)?.zip(broadcast_scalar(high, operand)?);
    for bound in [low, high] {
        let same = bound.dtype() == operand.dtype();
        ensure(same, || format!("bound {} of {}", bound.ty(), operand.ty()))?;
    }
    let elements =
        operand.scalars().zip(bounds).map(|(x, (low, high))| scalar::clamp(low, x, high)).collect();
    collected(operand.dtype(), operand, elements)
}

pub(super) fn convert(to: DType, operand: &Tensor) -> Result<Tensor, Fault> {
    let elements = operand.scalars().map(|x| element::round(to, x)).collect();
    Ok(Tensor::from_wide(to, operand.dims(), elements)?)
}

fn collected(dtype: DType, like: &Tensor, elements: Option<Vec<Scalar>>) -> Result<Tensor, Fault> {
    let elements = elements.ok_or(Fault::ElementType(like.dtype()))?;
    Ok(Tensor::from_wide(dtype, like.dims(), elements)?)
}

fn same_type(lhs: &Tensor, rhs: &Tensor) -> Result<(), Fault> {
    let same = lhs.dtype() == rhs.dtype() && lhs.dims() == rhs.dims();
    ensure(same, || format!("operands {} and {} differ in type", lhs.ty(), rhs.ty()))
}

/// The elements of `operand`, which has the dimensions of `like` or is a scalar that stands for all.
fn broadcast_scalar<'a>(
    operand: &'a Tensor,
    like: &Tensor,
) -> Result<Box<dyn Iterator<Item = Scalar> + 'a>, Fault> {
    if let Some(value) = operand.as_scalar() {
        return Ok(Box::new(std::iter::repeat(value)));
    }
    let same = operand.dims() == like.dims();
    ensure(same, || format!("{} is no scalar and has not the dimensions of {}", operand.ty(), like.ty()))?;
    Ok(Box::new(operand.scalars()))
}
