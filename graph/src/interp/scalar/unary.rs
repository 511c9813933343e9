//! Functions of one element.

use crate::DType;
use crate::element::{self, Scalar};
use crate::op::UnaryKind;

/// The element type of the result.
pub(in crate::interp) fn unary_dtype(kind: UnaryKind, dtype: DType) -> DType {
    if kind == UnaryKind::IsFinite { DType::Pred } else { dtype }
}

/// `kind(x)`, or `None` where `kind` is not defined on `dtype`.
pub(in crate::interp) fn unary(kind: UnaryKind, dtype: DType, x: Scalar) -> Option<Scalar> {
    let wide = match x {
        Scalar::Bool(b) => Scalar::Bool(of_bool(kind, b)?),
        Scalar::Int(i) => Scalar::Int(of_int(kind, dtype, i)?),
        Scalar::Float(f) if kind == UnaryKind::IsFinite => return Some(Scalar::Bool(f.is_finite())),
        Scalar::Float(f) => Scalar::Float(of_float(kind, f)?),
    };
    Some(element::round(dtype, wide))
}

fn of_bool(kind: UnaryKind, x: bool) -> Option<bool> {
    (kind == UnaryKind::Not).then_some(!x)
}

fn of_int(kind: UnaryKind, dtype: DType, x: i128) -> Option<i128> {
    let bits = || element::to_bits(dtype, Scalar::Int(x));
    Some(match kind {
        // The smallest signed value is its own absolute value and negation: the result wraps.
        UnaryKind::Abs => x.wrapping_abs(),
        UnaryKind::Negate => x.wrapping_neg(),
        UnaryKind::Sign => x.signum(),
        UnaryKind::Not => !x,
        UnaryKind::PopulationCount => i128::from(bits().count_ones()),
        UnaryKind::CountLeadingZeros => i128::from(bits().leading_zeros()) - (64 - dtype.bits() as i128),
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
        | UnaryKind::Tanh => return None,
    })
}

fn of_float(kind: UnaryKind, x: f64) -> Option<f64> {
    Some(match kind {
        UnaryKind::Abs => x.abs(),
        UnaryKind::Cbrt => x.cbrt(),
        UnaryKind::Ceil => x.ceil(),
        UnaryKind::Cosine => x.cos(),
        UnaryKind::Erf => libm::erf(x),
        UnaryKind::Exponential => x.exp(),
        UnaryKind::ExponentialMinusOne => x.exp_m1(),
        UnaryKind::Floor => x.floor(),
        UnaryKind::Log => x.ln(),
        UnaryKind::LogPlusOne => x.ln_1p(),
        UnaryKind::Logistic => 1.0 / (1.0 + (-x).exp()),
        UnaryKind::Negate => -x,
        UnaryKind::RoundNearestAfz => x.round(),
        UnaryKind::RoundNearestEven => x.round_ties_even(),
        UnaryKind::Rsqrt => 1.0 / x.sqrt(),
        // Zeros keep their sign and NaN stays NaN.
        UnaryKind::Sign if x == 0.0 || x.is_nan() => x,
        UnaryKind::Sign => x.signum(),
        UnaryKind::Sine => x.sin(),
        UnaryKind::Sqrt => x.sqrt(),
        UnaryKind::Tanh => x.tanh(),
        UnaryKind::CountLeadingZeros | UnaryKind::IsFinite | UnaryKind::Not | UnaryKind::PopulationCount => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(kind: UnaryKind, dtype: DType, values: &[i128]) -> Vec<i128> {
        values.iter().map(|&v| unary(kind, dtype, Scalar::Int(v)).unwrap().as_i128()).collect()
    }

    fn float(kind: UnaryKind, x: f64) -> f64 {
        unary(kind, DType::F64, Scalar::Float(x)).unwrap().as_f64()
    }

    #[test]
    fn integers_wrap_and_count_bits_as_on_xla() {
        let min = i128::from(i32::MIN);
        assert_eq!(ints(UnaryKind::Abs, DType::S32, &[min, -3]), [min, 3]);
        assert_eq!(ints(UnaryKind::Negate, DType::S32, &[min, 3]), [min, -3]);
        assert_eq!(ints(UnaryKind::Negate, DType::U8, &[1, 0, 255]), [255, 0, 1]);
        assert_eq!(ints(UnaryKind::Sign, DType::S32, &[-5, 0, min]), [-1, 0, -1]);
        assert_eq!(ints(UnaryKind::Not, DType::U8, &[0, 0xf0]), [255, 0x0f]);
        assert_eq!(ints(UnaryKind::Not, DType::S4, &[0, 7]), [-1, -8]);
        assert_eq!(ints(UnaryKind::CountLeadingZeros, DType::S8, &[0, 1, -1, 16]), [8, 7, 0, 3]);
        assert_eq!(ints(UnaryKind::CountLeadingZeros, DType::U64, &[0, 1, 1 << 63]), [64, 63, 0]);
        assert_eq!(ints(UnaryKind::CountLeadingZeros, DType::U4, &[0, 1, 8]), [4, 3, 0]);
        assert_eq!(ints(UnaryKind::PopulationCount, DType::S8, &[0, 1, -1, 16]), [0, 1, 8, 1]);
    }

    #[test]
    fn signs_of_zero_and_nan_survive() {
        assert!(float(UnaryKind::Sign, f64::NAN).is_nan());
        for kind in [UnaryKind::Sign, UnaryKind::Sqrt, UnaryKind::Cbrt, UnaryKind::Sine, UnaryKind::Tanh] {
            let zero = float(kind, -0.0);
            assert!(zero == 0.0 && zero.is_sign_negative(), "{}", kind.name());
        }
        assert_eq!(float(UnaryKind::Rsqrt, -0.0), f64::NEG_INFINITY);
        assert_eq!(float(UnaryKind::Rsqrt, f64::INFINITY), 0.0);
        assert!(float(UnaryKind::Rsqrt, -1.0).is_nan());
    }

    #[test]
    fn rounding_modes_differ_on_ties() {
        for (x, away, even) in [(0.5, 1.0, 0.0), (-0.5, -1.0, 0.0), (1.5, 2.0, 2.0), (2.5, 3.0, 2.0)] {
            assert_eq!(float(UnaryKind::RoundNearestAfz, x), away);
            assert_eq!(float(UnaryKind::RoundNearestEven, x), even);
        }
        assert!(float(UnaryKind::RoundNearestEven, -0.5).is_sign_negative());
        assert_eq!(float(UnaryKind::Floor, -1.5), -2.0);
        assert_eq!(float(UnaryKind::Ceil, -1.5), -1.0);
    }

    /// Values to 17 digits from tables (DLMF 4, 7) and from arbitrary-precision evaluation.
    #[test]
    fn transcendental_functions_have_their_known_values() {
        let known = [
            (UnaryKind::Cbrt, 2.0, 1.259_921_049_894_873_2),
            (UnaryKind::Cosine, 1.0, 0.540_302_305_868_139_7),
            (UnaryKind::Erf, 0.5, 0.520_499_877_813_046_5),
            (UnaryKind::Erf, -1.0, -0.842_700_792_949_714_9),
            (UnaryKind::Erf, 1e-9, 1.128_379_167_095_512_6e-9),
            (UnaryKind::Erf, 6.0, 1.0),
            (UnaryKind::Exponential, 1.0, std::f64::consts::E),
            (UnaryKind::ExponentialMinusOne, 1e-12, 1.000_000_000_000_5e-12),
            (UnaryKind::Log, 10.0, std::f64::consts::LN_10),
            (UnaryKind::LogPlusOne, 1e-12, 9.999_999_999_995e-13),
            (UnaryKind::Logistic, 1.0, 0.731_058_578_630_004_9),
            (UnaryKind::Logistic, -1000.0, 0.0),
            (UnaryKind::Rsqrt, 2.0, std::f64::consts::FRAC_1_SQRT_2),
            (UnaryKind::Sine, 1.0, 0.841_470_984_807_896_5),
            (UnaryKind::Sqrt, 2.0, std::f64::consts::SQRT_2),
            (UnaryKind::Tanh, 0.5, 0.462_117_157_260_009_76),
        ];
        for (kind, x, expected) in known {
            let got = float(kind, x);
            let tolerance = 4.0 * f64::EPSILON * expected.abs();
            assert!((got - expected).abs() <= tolerance, "{}({x}) = {got}, not {expected}", kind.name());
        }
    }

    #[test]
    fn results_are_rounded_to_the_element_type() {
        let third = unary(UnaryKind::Exponential, DType::BF16, Scalar::Float(1.0));
        assert_eq!(third, Some(Scalar::Float(2.718_75)), "e in 8 significant bits");
        assert_eq!(
            unary(UnaryKind::Exponential, DType::F16, Scalar::Float(12.0)),
            Some(Scalar::Float(f64::INFINITY))
        );
    }

    #[test]
    fn undefined_functions_are_none() {
        assert_eq!(unary(UnaryKind::Tanh, DType::S32, Scalar::Int(1)), None);
        assert_eq!(unary(UnaryKind::Not, DType::F32, Scalar::Float(1.0)), None);
        assert_eq!(unary(UnaryKind::Negate, DType::Pred, Scalar::Bool(true)), None);
    }
}
