//! Functions of two elements of one type.

use super::{maximum, minimum};
use crate::DType;
use crate::element::{self, Scalar};
use crate::op::BinaryKind;

/// `a kind b`, or `None` where `kind` is not defined on `dtype`.
pub(in crate::interp) fn binary(kind: BinaryKind, dtype: DType, a: Scalar, b: Scalar) -> Option<Scalar> {
    let wide = match (kind, a, b) {
        (BinaryKind::Maximum, _, _) => return maximum(a, b),
        (BinaryKind::Minimum, _, _) => return minimum(a, b),
        (_, Scalar::Bool(a), Scalar::Bool(b)) => Scalar::Bool(of_bools(kind, a, b)?),
        (_, Scalar::Int(a), Scalar::Int(b)) => Scalar::Int(of_ints(kind, dtype, a, b)?),
        (_, Scalar::Float(a), Scalar::Float(b)) => Scalar::Float(of_floats(kind, a, b)?),
        (_, Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_), _) => return None,
    };
    Some(element::round(dtype, wide))
}

fn of_bools(kind: BinaryKind, a: bool, b: bool) -> Option<bool> {
    Some(match kind {
        BinaryKind::Add | BinaryKind::Or | BinaryKind::Maximum => a | b,
        BinaryKind::Multiply | BinaryKind::And | BinaryKind::Minimum => a & b,
        BinaryKind::Xor => a ^ b,
        BinaryKind::Atan2
        | BinaryKind::Divide
        | BinaryKind::Power
        | BinaryKind::Remainder
        | BinaryKind::ShiftLeft
        | BinaryKind::ShiftRightArithmetic
        | BinaryKind::ShiftRightLogical
        | BinaryKind::Subtract => return None,
    })
}

/// Integer results wrap when they are rounded to the element type. Where the specification leaves a case
/// open (division by zero, powers below zero, shifts beyond the width), this is what XLA computes.
fn of_ints(kind: BinaryKind, dtype: DType, a: i128, b: i128) -> Option<i128> {
    Some(match kind {
        BinaryKind::Add => a.wrapping_add(b),
        BinaryKind::And => a & b,
        // -1 is all ones: the largest value of an unsigned type. The least value over -1 wraps to itself.
        BinaryKind::Divide if b == 0 => -1,
        BinaryKind::Divide => a.wrapping_div(b),
        BinaryKind::Maximum => a.max(b),
        BinaryKind::Minimum => a.min(b),
        BinaryKind::Multiply => a.wrapping_mul(b),
        BinaryKind::Or => a | b,
        BinaryKind::Power => power(a, b),
        BinaryKind::Remainder if b == 0 => a,
        BinaryKind::Remainder => a.wrapping_rem(b),
        BinaryKind::ShiftLeft => {
            let (bits, amount) = shift_operands(dtype, a, b);
            bits << amount
        }
        BinaryKind::ShiftRightArithmetic => shift_right_arithmetic(dtype, a, b),
        BinaryKind::ShiftRightLogical => {
            let (bits, amount) = shift_operands(dtype, a, b);
            bits >> amount
        }
        BinaryKind::Subtract => a.wrapping_sub(b),
        BinaryKind::Xor => a ^ b,
        BinaryKind::Atan2 => return None,
    })
}

/// Exponentiation modulo 2^128; a negative exponent leaves nothing of any base but 1 and -1.
fn power(base: i128, exponent: i128) -> i128 {
    let odd = exponent & 1 == 1;
    match (base, exponent) {
        (1, _) => 1,
        (-1, _) => {
            if odd {
                -1
            } else {
                1
            }
        }
        (_, ..0) => 0,
        (_, 0..) => {
            let (mut result, mut square, mut remaining) = (1i128, base, exponent);
            while remaining > 0 {
                if remaining & 1 == 1 {
                    result = result.wrapping_mul(square);
                }
                square = square.wrapping_mul(square);
                remaining >>= 1;
            }
            result
        }
    }
}

/// The bits of the operand of a shift, and its amount. The amount counts as unsigned and stops at the width,
/// from which on a shift leaves nothing of the operand but, if it is arithmetic, its top bit.
fn shift_operands(dtype: DType, a: i128, b: i128) -> (i128, u32) {
    let bits = element::to_bits(dtype, Scalar::Int(a));
    let amount = element::to_bits(dtype, Scalar::Int(b)).min(dtype.bits() as u64);
    (i128::from(bits), amount as u32)
}

fn shift_right_arithmetic(dtype: DType, a: i128, b: i128) -> i128 {
    let (bits, amount) = shift_operands(dtype, a, b);
    // The top bit is the sign of unsigned types too.
    let to_top = i128::BITS - dtype.bits() as u32;
    (bits << to_top) >> to_top >> amount
}

fn of_floats(kind: BinaryKind, a: f64, b: f64) -> Option<f64> {
    Some(match kind {
        BinaryKind::Add => a + b,
        BinaryKind::Atan2 => a.atan2(b),
        BinaryKind::Divide => a / b,
        BinaryKind::Multiply => a * b,
        BinaryKind::Power => a.powf(b),
        BinaryKind::Remainder => a % b,
        BinaryKind::Subtract => a - b,
        BinaryKind::And
        | BinaryKind::Maximum
        | BinaryKind::Minimum
        | BinaryKind::Or
        | BinaryKind::ShiftLeft
        | BinaryKind::ShiftRightArithmetic
        | BinaryKind::ShiftRightLogical
        | BinaryKind::Xor => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(kind: BinaryKind, dtype: DType, lhs: &[i128], rhs: &[i128]) -> Vec<i128> {
        let pairs = lhs.iter().zip(rhs);
        pairs.map(|(&a, &b)| binary(kind, dtype, Scalar::Int(a), Scalar::Int(b)).unwrap().as_i128()).collect()
    }

    fn floats(kind: BinaryKind, dtype: DType, a: f64, b: f64) -> f64 {
        binary(kind, dtype, Scalar::Float(a), Scalar::Float(b)).unwrap().as_f64()
    }

    const MIN: i128 = i32::MIN as i128;

    // The expected values of the integer tests are what XLA computes on a CPU.

    #[test]
    fn integer_division_by_zero_and_overflow() {
        let (lhs, rhs) = ([7, -7, 7, MIN, 0, -5], [0, 0, -2, -1, 0, 3]);
        assert_eq!(ints(BinaryKind::Divide, DType::S32, &lhs, &rhs), [-1, -1, -3, MIN, -1, -1]);
        assert_eq!(ints(BinaryKind::Remainder, DType::S32, &lhs, &rhs), [7, -7, 1, 0, 0, -2]);
        let (lhs, rhs) = ([7, 0, 9], [0, 0, 2]);
        assert_eq!(
            ints(BinaryKind::Divide, DType::U32, &lhs, &rhs),
            [i128::from(u32::MAX), i128::from(u32::MAX), 4]
        );
        assert_eq!(ints(BinaryKind::Remainder, DType::U32, &lhs, &rhs), [7, 0, 1]);
    }

    #[test]
    fn shifts_beyond_the_width() {
        let (lhs, rhs) = ([1, -8, -8, -8, 8, 8], [31, 32, 33, -1, -1, 40]);
        assert_eq!(ints(BinaryKind::ShiftLeft, DType::S32, &lhs, &rhs), [MIN, 0, 0, 0, 0, 0]);
        assert_eq!(ints(BinaryKind::ShiftRightArithmetic, DType::S32, &lhs, &rhs), [0, -1, -1, -1, 0, 0]);
        assert_eq!(ints(BinaryKind::ShiftRightLogical, DType::S32, &lhs, &rhs), [0; 6]);
        let (lhs, rhs) = ([1, 200, 200, 200], [7, 8, 9, 255]);
        assert_eq!(ints(BinaryKind::ShiftLeft, DType::U8, &lhs, &rhs), [128, 0, 0, 0]);
        assert_eq!(ints(BinaryKind::ShiftRightArithmetic, DType::U8, &lhs, &rhs), [0, 255, 255, 255]);
        assert_eq!(ints(BinaryKind::ShiftRightLogical, DType::U8, &lhs, &rhs), [0, 0, 0, 0]);
        assert_eq!(ints(BinaryKind::ShiftRightLogical, DType::S8, &[-8, -8, 8], &[7, 8, -1]), [1, 0, 0]);
    }

    #[test]
    fn integer_powers_wrap_and_vanish() {
        let (lhs, rhs) = ([2, 2, 0, 0, 1, -1, -1, 3, -2, 0, 5], [10, -1, 0, -1, -5, -3, -2, 40, 31, 5, 0]);
        let expected = [1024, 0, 1, 0, 1, -1, 1, 689_956_897, MIN, 0, 1];
        assert_eq!(ints(BinaryKind::Power, DType::S32, &lhs, &rhs), expected);
        assert_eq!(ints(BinaryKind::Power, DType::U8, &[2, 3, 0], &[8, 5, 0]), [0, 243, 1]);
    }

    #[test]
    fn integer_sums_and_products_wrap() {
        let max = i128::from(u64::MAX);
        assert_eq!(ints(BinaryKind::Multiply, DType::U64, &[max], &[max]), [1]);
        assert_eq!(ints(BinaryKind::Add, DType::S4, &[7], &[1]), [-8]);
        assert_eq!(ints(BinaryKind::Subtract, DType::U4, &[0], &[1]), [15]);
    }

    #[test]
    fn float_remainders_and_powers() {
        let remainder = |a, b| floats(BinaryKind::Remainder, DType::F32, a, b);
        assert_eq!((remainder(5.5, 2.0), remainder(-5.5, 2.0), remainder(5.5, -2.0)), (1.5, -1.5, 1.5));
        assert!(remainder(1.0, 0.0).is_nan() && remainder(f64::INFINITY, 2.0).is_nan());
        assert!(remainder(-0.0, 2.0).is_sign_negative());
        let power = |a, b| floats(BinaryKind::Power, DType::F32, a, b);
        assert_eq!((power(0.0, 0.0), power(f64::NAN, 0.0), power(1.0, f64::NAN)), (1.0, 1.0, 1.0));
        assert_eq!((power(-8.0, 3.0), power(-0.0, -3.0)), (-512.0, f64::NEG_INFINITY));
        assert!(power(-8.0, 0.5).is_nan());
        let atan2 = floats(BinaryKind::Atan2, DType::F64, -0.0, -1.0);
        assert_eq!(atan2, -std::f64::consts::PI);
    }

    #[test]
    fn float_arithmetic_rounds_once_to_the_element_type() {
        assert_eq!(floats(BinaryKind::Add, DType::BF16, 256.0, 1.0), 256.0, "a tie goes to even");
        assert_eq!(floats(BinaryKind::Add, DType::BF16, 258.0, 1.0), 260.0, "a tie goes to even");
        let (a, b) = (f64::from(1.1f32), f64::from(3.3f32));
        assert_eq!(floats(BinaryKind::Divide, DType::F32, a, b), f64::from(1.1f32 / 3.3f32));
        assert!(floats(BinaryKind::Multiply, DType::F8E4M3FN, 448.0, 2.0).is_nan());
    }

    #[test]
    fn booleans_have_logic_only() {
        let bools = |kind, a, b| binary(kind, DType::Pred, Scalar::Bool(a), Scalar::Bool(b));
        assert_eq!(bools(BinaryKind::Add, true, true), Some(Scalar::Bool(true)));
        assert_eq!(bools(BinaryKind::Multiply, true, false), Some(Scalar::Bool(false)));
        assert_eq!(bools(BinaryKind::Xor, true, true), Some(Scalar::Bool(false)));
        assert_eq!(bools(BinaryKind::Subtract, true, true), None);
    }
}
