//! How far the plugin may be from the interpreter.

use lapidary::graph::DType;
use lapidary::graph::element::{self, Scalar};
use lapidary::graph::interp::Tensor;
use lapidary::graph::op::{BinaryKind, UnaryKind};

use crate::inputs::{is_flushed, is_subnormal};

/// How exactly two results must agree. Any NaN equals any other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tolerance {
    /// Bit for bit.
    Exact,
    /// Within this many representable values; zeros of either sign are one value, and so are subnormals
    /// that XLA's CPU runtime flushes.
    Ulps(u64),
    /// The same with every subnormal counting as zero.
    UlpsOfNormals(u64),
    /// Within this many times the type's precision of the largest expected magnitude: for sums, whose
    /// order is the plugin's.
    OfLargest(f64),
}

impl Tolerance {
    /// What is wrong with `got`, if anything, at its worst element.
    pub(crate) fn difference(self, expected: &Tensor, got: &Tensor, inputs: &[Tensor]) -> Option<String> {
        if expected.ty() != got.ty() {
            return Some(format!("expected type {}, got {}", expected.ty(), got.ty()));
        }
        let dtype = expected.dtype();
        let largest =
            expected.to_floats().into_iter().filter(|v| v.is_finite()).fold(0f64, |a, b| a.max(b.abs()));
        let wrong: Vec<(usize, Scalar, Scalar, f64)> = expected
            .scalars()
            .zip(got.scalars())
            .enumerate()
            .map(|(i, (expected, got))| (i, expected, got, self.excess(dtype, largest, expected, got)))
            .filter(|&(_, _, _, excess)| excess > 0.0)
            .collect();
        let &(i, expected, got, excess) = wrong.iter().max_by(|a, b| a.3.total_cmp(&b.3))?;
        let at: Vec<String> = inputs
            .iter()
            .filter(|input| input.dims() == expected_dims(inputs))
            .filter_map(|input| input.scalars().nth(i))
            .map(|scalar| format!("{scalar:?}"))
            .collect();
        Some(format!(
            "{} elements beyond {self:?}; worst by {excess}: element {i} of ({}) expected {expected:?}, got {got:?}",
            wrong.len(),
            at.join(", ")
        ))
    }

    /// By how much the difference exceeds the tolerance, in its unit.
    fn excess(self, dtype: DType, largest: f64, expected: Scalar, got: Scalar) -> f64 {
        if both_nan(expected, got) {
            return 0.0;
        }
        match self {
            Tolerance::Exact => {
                f64::from(u8::from(element::to_bits(dtype, expected) != element::to_bits(dtype, got)))
            }
            Tolerance::Ulps(limit) => (ulps(dtype, expected, got) - i128::from(limit)).max(0) as f64,
            Tolerance::UlpsOfNormals(limit) => {
                let [expected, got] = [expected, got]
                    .map(|value| if is_subnormal(dtype, value) { Scalar::Float(0.0) } else { value });
                Tolerance::Ulps(limit).excess(dtype, largest, expected, got)
            }
            Tolerance::OfLargest(limit) => {
                let unit = largest * 2f64.powi(-mantissa_bits(dtype));
                let error = (expected.as_f64() - got.as_f64()).abs();
                // Also true of a NaN that only one of them has.
                if error <= limit * unit || expected == got { 0.0 } else { error / unit }
            }
        }
    }
}

fn expected_dims(inputs: &[Tensor]) -> &[usize] {
    inputs.first().map_or(&[], Tensor::dims)
}

fn both_nan(a: Scalar, b: Scalar) -> bool {
    matches!((a, b), (Scalar::Float(a), Scalar::Float(b)) if a.is_nan() && b.is_nan())
}

/// How many representable values lie between two elements.
fn ulps(dtype: DType, a: Scalar, b: Scalar) -> i128 {
    match (a, b) {
        (Scalar::Float(x), Scalar::Float(y)) if x.is_nan() != y.is_nan() => i128::MAX,
        (Scalar::Float(_), Scalar::Float(_)) => (position(dtype, a) - position(dtype, b)).abs(),
        _ => (a.as_i128() - b.as_i128()).abs(),
    }
}

/// The rank of a float among the values of its type.
fn position(dtype: DType, value: Scalar) -> i128 {
    if is_flushed(dtype, value) {
        return 0;
    }
    let rank = i128::from(element::to_bits(dtype, Scalar::Float(value.as_f64().abs())));
    if value.as_f64() < 0.0 { -rank } else { rank }
}

/// Explicit mantissa bits of a float type; 0 of others.
fn mantissa_bits(dtype: DType) -> i32 {
    match dtype {
        DType::F8E4M3FN => 3,
        DType::F8E5M2 => 2,
        DType::BF16 => 7,
        DType::F16 => 10,
        DType::F32 => 23,
        DType::F64 => 52,
        _ => 0,
    }
}

/// The tolerance of an elementwise function of one operand.
pub(crate) fn of_unary(kind: UnaryKind, dtype: DType) -> Tolerance {
    let limits = match kind {
        UnaryKind::Cbrt => [1, 1, 4, 32, 256],
        UnaryKind::Cosine | UnaryKind::Sine => [1, 1, 1, 2, 2],
        UnaryKind::Erf => [1, 1, 1, 8, 4],
        UnaryKind::Exponential | UnaryKind::Log => [1, 1, 1, 2, 2],
        UnaryKind::ExponentialMinusOne => [1, 1, 4, 8, 4],
        UnaryKind::LogPlusOne => [1, 1, 2, 4, 32],
        // e^-x overflows in f16 where the result is subnormal.
        UnaryKind::Logistic if dtype == DType::F16 => return Tolerance::UlpsOfNormals(4),
        UnaryKind::Logistic => [1, 1, 4, 4, 4],
        UnaryKind::Rsqrt => [1, 1, 2, 2, 2],
        UnaryKind::Tanh => [1, 1, 1, 8, 8],
        UnaryKind::Abs
        | UnaryKind::Ceil
        | UnaryKind::CountLeadingZeros
        | UnaryKind::Floor
        | UnaryKind::IsFinite
        | UnaryKind::Negate
        | UnaryKind::Not
        | UnaryKind::PopulationCount
        | UnaryKind::RoundNearestAfz
        | UnaryKind::RoundNearestEven
        | UnaryKind::Sign
        | UnaryKind::Sqrt => [0; 5],
    };
    by_type(dtype, limits)
}

/// The tolerance of an elementwise function of two operands.
pub(crate) fn of_binary(kind: BinaryKind, dtype: DType) -> Tolerance {
    let limits = match kind {
        BinaryKind::Atan2 | BinaryKind::Power => [1, 1, 1, 2, 2],
        BinaryKind::Add
        | BinaryKind::And
        | BinaryKind::Divide
        | BinaryKind::Maximum
        | BinaryKind::Minimum
        | BinaryKind::Multiply
        | BinaryKind::Or
        | BinaryKind::Remainder
        | BinaryKind::ShiftLeft
        | BinaryKind::ShiftRightArithmetic
        | BinaryKind::ShiftRightLogical
        | BinaryKind::Subtract
        | BinaryKind::Xor => [0; 5],
    };
    by_type(dtype, limits)
}

/// Twice what was measured or more: processors without the same vector instructions differ a little.
fn by_type(dtype: DType, [f8, bf16, f16, f32, f64]: [u64; 5]) -> Tolerance {
    match dtype {
        DType::F8E4M3FN | DType::F8E5M2 => Tolerance::Ulps(f8),
        DType::BF16 => Tolerance::Ulps(bf16),
        DType::F16 => Tolerance::Ulps(f16),
        DType::F32 => Tolerance::Ulps(f32),
        DType::F64 => Tolerance::Ulps(f64),
        _ => Tolerance::Exact,
    }
}
