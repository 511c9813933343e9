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

#[cfg(test)]
mod tests {
    use super::super::testing::{accepts, rejects};
    use super::*;
    use crate::Op;
    use crate::op::Comparison;

    /// Which of `pred`, `s4`, `u32`, `f8e4m3fn`, `f32` a check accepts, as one letter each.
    fn families(accepted: impl Fn(DType) -> bool) -> String {
        let one_each = [
            (DType::Pred, 'p'),
            (DType::S4, 's'),
            (DType::U32, 'u'),
            (DType::F8E4M3FN, 'f'),
            (DType::F32, 'F'),
        ];
        one_each.into_iter().filter(|&(dtype, _)| accepted(dtype)).map(|(_, letter)| letter).collect()
    }

    #[test]
    fn unary_kinds_take_the_families_of_the_specification() {
        for &kind in UnaryKind::ALL {
            let expected = match kind.name() {
                "abs" | "sign" => "sfF",
                "negate" => "sufF",
                "not" => "psu",
                "count_leading_zeros" | "popcnt" => "su",
                _ => "fF",
            };
            let accepted = families(|dtype| unary(&[&TensorType::new(dtype, [2])], kind).is_ok());
            assert_eq!(accepted, expected, "{}", kind.name());
        }
    }

    #[test]
    fn binary_kinds_take_the_families_of_the_specification() {
        for &kind in BinaryKind::ALL {
            let expected = match kind.name() {
                "add" | "maximum" | "minimum" | "multiply" => "psufF",
                "divide" | "power" | "remainder" | "subtract" => "sufF",
                "and" | "or" | "xor" => "psu",
                "atan2" => "fF",
                _ => "su",
            };
            let accepted = families(|dtype| {
                let ty = TensorType::new(dtype, [2]);
                binary(&[&ty, &ty], kind).is_ok()
            });
            assert_eq!(accepted, expected, "{}", kind.name());
        }
    }

    #[test]
    fn unary_keeps_the_type_but_for_is_finite() {
        accepts(&Op::Unary { kind: UnaryKind::Tanh }, "bf16[2,3]", "bf16[2,3]");
        accepts(&Op::Unary { kind: UnaryKind::IsFinite }, "f32[2,0]", "pred[2,0]");
        let tanh = Op::Unary { kind: UnaryKind::Tanh };
        rejects(&tanh, "s32[2]", "`operand` has element type s32, expected a float type");
        rejects(&tanh, "", "expected 1 operand, got 0");
    }

    #[test]
    fn binary_takes_two_operands_of_one_type() {
        let add = Op::Binary { kind: BinaryKind::Add };
        accepts(&add, "f32[2,3] f32[2,3]", "f32[2,3]");
        rejects(&add, "f32[2] f32[2] f32[2]", "expected 2 operands, got 3");
        rejects(
            &add,
            "bf16[2] f32[2]",
            "`rhs` has element type f32, expected bf16 like `lhs`; convert one of them",
        );
        rejects(
            &add,
            "f32[2,3] f32[2,4]",
            "`rhs` is f32[2,4], expected the dimensions of `lhs`, f32[2,3]: size 4 against 3 on axis 1",
        );
        rejects(
            &add,
            "f32[2,3] f32[]",
            "`rhs` is f32[], expected the dimensions of `lhs`, f32[2,3]: rank 0 against 2",
        );
        let subtract = Op::Binary { kind: BinaryKind::Subtract };
        rejects(&subtract, "pred[] pred[]", "`lhs` has element type pred, expected an integer or float type");
    }

    #[test]
    fn compare_gives_pred() {
        let compare = |total_order| Op::Compare { direction: Comparison::Lt, total_order };
        accepts(&compare(false), "s32[4] s32[4]", "pred[4]");
        accepts(&compare(true), "bf16[4] bf16[4]", "pred[4]");
        rejects(&compare(true), "s32[] s32[]", "`lhs` has element type s32, expected a float type");
        rejects(
            &compare(false),
            "s32[4] s64[4]",
            "`rhs` has element type s64, expected s32 like `lhs`; convert one of them",
        );
    }

    #[test]
    fn select_takes_a_scalar_or_shaped_pred() {
        accepts(&Op::Select, "pred[2] f32[2] f32[2]", "f32[2]");
        accepts(&Op::Select, "pred[] f32[2] f32[2]", "f32[2]");
        rejects(
            &Op::Select,
            "pred[2,1] f32[2,3] f32[2,3]",
            "`pred` is pred[2,1], expected a scalar or the dimensions of `on_true`, f32[2,3]",
        );
        rejects(&Op::Select, "u8[2] f32[2] f32[2]", "`pred` has element type u8, expected pred");
        rejects(
            &Op::Select,
            "pred[] f32[2] f32[]",
            "`on_false` is f32[], expected the dimensions of `on_true`, f32[2]: rank 0 against 1",
        );
    }

    #[test]
    fn clamp_takes_scalar_or_shaped_bounds() {
        accepts(&Op::Clamp, "f32[] f32[2] f32[2]", "f32[2]");
        rejects(
            &Op::Clamp,
            "f32[] f32[2] f32[3]",
            "`max` is f32[3], expected a scalar or the dimensions of `operand`, f32[2]",
        );
        rejects(
            &Op::Clamp,
            "s32[] f32[2] f32[]",
            "`min` has element type s32, expected f32 like `operand`; convert one of them",
        );
    }

    #[test]
    fn convert_changes_the_element_type_alone() {
        accepts(&Op::Convert { to: DType::F8E5M2 }, "pred[3,1]", "f8e5m2[3,1]");
        rejects(&Op::Convert { to: DType::F32 }, "s4[] s4[]", "expected 1 operand, got 2");
    }
}
