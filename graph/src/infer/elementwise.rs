//! Elementwise ops.

use super::{DTypeClass, InferError, Role, check};
use crate::op::{BinaryKind, UnaryKind};
use crate::{DType, TensorType};

pub(super) fn unary(operands: &[&TensorType], kind: UnaryKind) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    check::dtype(Role::Operand, operand.dtype, unary_class(kind))?;
    Ok(match kind {
        UnaryKind::IsFinite => operand.with_dtype(DType::Pred),
        UnaryKind::Abs
        | UnaryKind::Cbrt
        | UnaryKind::Ceil
        | UnaryKind::CountLeadingZeros
        | UnaryKind::Cosine
        | UnaryKind::Erf
        | UnaryKind::Exponential
        | UnaryKind::ExponentialMinusOne
        | UnaryKind::Floor
        | UnaryKind::Log
        | UnaryKind::LogPlusOne
        | UnaryKind::Logistic
        | UnaryKind::Negate
        | UnaryKind::Not
        | UnaryKind::PopulationCount
        | UnaryKind::RoundNearestAfz
        | UnaryKind::RoundNearestEven
        | UnaryKind::Rsqrt
        | UnaryKind::Sign
        | UnaryKind::Sine
        | UnaryKind::Sqrt
        | UnaryKind::Tanh => operand.clone(),
    })
}

fn unary_class(kind: UnaryKind) -> DTypeClass {
    match kind {
        UnaryKind::Abs | UnaryKind::Sign => DTypeClass::SignedOrFloat,
        UnaryKind::Negate => DTypeClass::IntegerOrFloat,
        UnaryKind::Not => DTypeClass::PredOrInteger,
        UnaryKind::CountLeadingZeros | UnaryKind::PopulationCount => DTypeClass::Integer,
        UnaryKind::Cbrt
        | UnaryKind::Ceil
        | UnaryKind::Cosine
        | UnaryKind::Erf
        | UnaryKind::Exponential
        | UnaryKind::ExponentialMinusOne
        | UnaryKind::Floor
        | UnaryKind::IsFinite
        | UnaryKind::Log
        | UnaryKind::LogPlusOne
        | UnaryKind::Logistic
        | UnaryKind::RoundNearestAfz
        | UnaryKind::RoundNearestEven
        | UnaryKind::Rsqrt
        | UnaryKind::Sine
        | UnaryKind::Sqrt
        | UnaryKind::Tanh => DTypeClass::Float,
    }
}

pub(super) fn binary(operands: &[&TensorType], kind: BinaryKind) -> Result<TensorType, InferError> {
    let [lhs, rhs] = check::exactly(operands)?;
    check::dtype(Role::Lhs, lhs.dtype, binary_class(kind))?;
    check::same_dtype(Role::Rhs, rhs, Role::Lhs, lhs)?;
    check::same_dims(Role::Rhs, rhs, Role::Lhs, lhs)?;
    Ok(lhs.clone())
}

fn binary_class(kind: BinaryKind) -> DTypeClass {
    match kind {
        BinaryKind::Add | BinaryKind::Maximum | BinaryKind::Minimum | BinaryKind::Multiply => DTypeClass::Any,
        BinaryKind::Divide | BinaryKind::Power | BinaryKind::Remainder | BinaryKind::Subtract => {
            DTypeClass::IntegerOrFloat
        }
        BinaryKind::And | BinaryKind::Or | BinaryKind::Xor => DTypeClass::PredOrInteger,
        BinaryKind::Atan2 => DTypeClass::Float,
        BinaryKind::ShiftLeft | BinaryKind::ShiftRightArithmetic | BinaryKind::ShiftRightLogical => {
            DTypeClass::Integer
        }
    }
}

pub(super) fn compare(operands: &[&TensorType], total_order: bool) -> Result<TensorType, InferError> {
    let [lhs, rhs] = check::exactly(operands)?;
    check::same_dtype(Role::Rhs, rhs, Role::Lhs, lhs)?;
    check::same_dims(Role::Rhs, rhs, Role::Lhs, lhs)?;
    // Only floats have values that the usual order leaves incomparable.
    check::dtype(Role::Lhs, lhs.dtype, if total_order { DTypeClass::Float } else { DTypeClass::Any })?;
    Ok(lhs.with_dtype(DType::Pred))
}

pub(super) fn select(operands: &[&TensorType]) -> Result<TensorType, InferError> {
    let [pred, on_true, on_false] = check::exactly(operands)?;
    check::dtype(Role::Pred, pred.dtype, DTypeClass::Pred)?;
    check::scalar_or_same_dims(Role::Pred, pred, Role::OnTrue, on_true)?;
    check::same_dtype(Role::OnFalse, on_false, Role::OnTrue, on_true)?;
    check::same_dims(Role::OnFalse, on_false, Role::OnTrue, on_true)?;
    Ok(on_true.clone())
}

pub(super) fn clamp(operands: &[&TensorType]) -> Result<TensorType, InferError> {
    let [min, operand, max] = check::exactly(operands)?;
    for (role, bound) in [(Role::Min, min), (Role::Max, max)] {
        check::scalar_or_same_dims(role, bound, Role::Operand, operand)?;
        check::same_dtype(role, bound, Role::Operand, operand)?;
    }
    Ok(operand.clone())
}

pub(super) fn convert(operands: &[&TensorType], to: DType) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    Ok(operand.with_dtype(to))
}
