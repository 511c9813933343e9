//! Elements as bytes and as wide scalars: the one place that knows how each dtype is stored and rounded.

use half::{bf16, f16};

use crate::DType;
use crate::dtype::DTypeKind;

/// An element widened to the largest type of its family, exactly.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Scalar {
    /// An element of `pred`.
    Bool(bool),
    /// An element of an integer type.
    Int(i128),
    /// An element of a float type.
    Float(f64),
}

impl Scalar {
    /// The value as a float, the way `convert` does it.
    pub fn as_f64(self) -> f64 {
        match self {
            Scalar::Bool(b) => f64::from(u8::from(b)),
            Scalar::Int(i) => i as f64,
            Scalar::Float(f) => f,
        }
    }

    /// The value as an integer: floats truncate towards zero and saturate at the range of i128, NaN is 0.
    pub fn as_i128(self) -> i128 {
        match self {
            Scalar::Bool(b) => i128::from(b),
            Scalar::Int(i) => i,
            Scalar::Float(f) => f as i128,
        }
    }

    /// Whether the value differs from zero.
    pub fn as_bool(self) -> bool {
        match self {
            Scalar::Bool(b) => b,
            Scalar::Int(i) => i != 0,
            Scalar::Float(f) => f != 0.0,
        }
    }
}

/// The layout of a narrow binary float.
struct SmallFloat {
    mantissa_bits: u32,
    exponent_bias: i32,
    /// Largest finite magnitude.
    max: f64,
    /// Bit pattern of infinity without the sign, if the format has one.
    infinity: Option<u8>,
    /// A bit pattern of NaN without the sign.
    nan: u8,
}

const F8E4M3FN: SmallFloat =
    SmallFloat { mantissa_bits: 3, exponent_bias: 7, max: 448.0, infinity: None, nan: 0x7f };
const F8E5M2: SmallFloat =
    SmallFloat { mantissa_bits: 2, exponent_bias: 15, max: 57344.0, infinity: Some(0x7c), nan: 0x7e };

impl SmallFloat {
    /// Rounds to nearest, ties to even; overflow gives infinity, or NaN in a format without one.
    fn encode(&self, value: f64) -> u8 {
        let sign = if value.is_sign_negative() { 0x80 } else { 0 };
        let magnitude = value.abs();
        if magnitude.is_nan() {
            return sign | self.nan;
        }
        if magnitude == 0.0 {
            return sign;
        }
        let min_exponent = 1 - self.exponent_bias;
        let exponent = exponent_of(magnitude).max(min_exponent);
        // One unit in the last place at this exponent, exactly a power of two.
        let ulp = 2f64.powi(exponent - self.mantissa_bits as i32);
        let units = (magnitude / ulp).round_ties_even();
        if units * ulp > self.max {
            return sign | self.infinity.unwrap_or(self.nan);
        }
        // In units of the last place the exponent field and the mantissa are one integer: a carry out of
        // the mantissa lands in the exponent, and subnormals fall out of the same formula.
        let field = (exponent - min_exponent) as u32;
        sign | ((field << self.mantissa_bits) + units as u32) as u8
    }

    fn decode(&self, bits: u8) -> f64 {
        let magnitude_bits = u32::from(bits & 0x7f);
        let field = magnitude_bits >> self.mantissa_bits;
        let mantissa = magnitude_bits & ((1 << self.mantissa_bits) - 1);
        let magnitude = if self.infinity == Some(bits & 0x7f) {
            f64::INFINITY
        } else if self.is_nan(bits & 0x7f) {
            f64::NAN
        } else {
            let (units, exponent) = if field == 0 {
                (mantissa, 1 - self.exponent_bias)
            } else {
                (mantissa | 1 << self.mantissa_bits, field as i32 - self.exponent_bias)
            };
            f64::from(units) * 2f64.powi(exponent - self.mantissa_bits as i32)
        };
        if bits & 0x80 == 0 { magnitude } else { -magnitude }
    }

    fn is_nan(&self, magnitude_bits: u8) -> bool {
        match self.infinity {
            Some(infinity) => magnitude_bits > infinity,
            None => magnitude_bits == self.nan,
        }
    }
}

/// floor(log2(x)) of a finite positive x.
fn exponent_of(x: f64) -> i32 {
    let biased = (x.to_bits() >> 52) & 0x7ff;
    if biased == 0 { -1022 } else { biased as i32 - 1023 }
}

/// Reads element `index` of densely stored `bytes`; `None` past the end.
///
/// Elements are little-endian; `pred` and 4-bit integers take one byte each.
pub fn read(dtype: DType, bytes: &[u8], index: usize) -> Option<Scalar> {
    let width = dtype.byte_width();
    let raw = bytes.get(index.checked_mul(width)?..)?.get(..width)?;
    let mut word = [0u8; 8];
    word.get_mut(..width)?.copy_from_slice(raw);
    let bits = u64::from_le_bytes(word);
    Some(match dtype.kind() {
        DTypeKind::Boolean => Scalar::Bool(bits != 0),
        DTypeKind::Signed => {
            let shift = 64 - dtype.bits() as u32;
            Scalar::Int(i128::from((bits << shift) as i64 >> shift))
        }
        DTypeKind::Unsigned => Scalar::Int(i128::from(bits & (u64::MAX >> (64 - dtype.bits())))),
        DTypeKind::Float => Scalar::Float(float_from_bits(dtype, bits)),
    })
}

/// Appends `value` converted to `dtype`: floats round to nearest even, integers wrap to their width,
/// floats become integers by truncation with saturation, anything becomes `pred` by comparing with zero.
pub fn push(dtype: DType, value: Scalar, out: &mut Vec<u8>) {
    let bits = to_bits(dtype, value);
    out.extend_from_slice(bits.to_le_bytes().get(..dtype.byte_width()).unwrap_or_default());
}

/// `value` converted to `dtype` and widened again, as [`push`] then [`read`] would.
pub fn round(dtype: DType, value: Scalar) -> Scalar {
    let bits = to_bits(dtype, value);
    match dtype.kind() {
        DTypeKind::Boolean => Scalar::Bool(bits != 0),
        DTypeKind::Signed => {
            let shift = 64 - dtype.bits() as u32;
            Scalar::Int(i128::from((bits << shift) as i64 >> shift))
        }
        DTypeKind::Unsigned => Scalar::Int(i128::from(bits)),
        DTypeKind::Float => Scalar::Float(float_from_bits(dtype, bits)),
    }
}

/// The bit pattern of `value` converted to `dtype`, in the low bits.
pub fn to_bits(dtype: DType, value: Scalar) -> u64 {
    match dtype.kind() {
        DTypeKind::Boolean => u64::from(value.as_bool()),
        DTypeKind::Signed | DTypeKind::Unsigned => {
            let integer = match value {
                Scalar::Float(f) => saturate(dtype, f),
                Scalar::Bool(_) | Scalar::Int(_) => value.as_i128(),
            };
            integer as u64 & (u64::MAX >> (64 - dtype.bits()))
        }
        DTypeKind::Float => match value {
            // Two roundings, to f64 and to the narrower type, could differ from one.
            Scalar::Int(i) if dtype != DType::F64 => float_to_bits(dtype, integer_to_odd_f64(i)),
            Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_) => float_to_bits(dtype, value.as_f64()),
        },
    }
}

/// Smallest and largest value of an integer type (0 and 1 for `pred`, 0 and 0 for floats).
pub fn integer_range(dtype: DType) -> (i128, i128) {
    let bits = dtype.bits() as u32;
    match dtype.kind() {
        DTypeKind::Boolean => (0, 1),
        DTypeKind::Signed => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        DTypeKind::Unsigned => (0, (1i128 << bits) - 1),
        DTypeKind::Float => (0, 0),
    }
}

fn saturate(dtype: DType, value: f64) -> i128 {
    let (min, max) = integer_range(dtype);
    (value as i128).clamp(min, max)
}

fn float_to_bits(dtype: DType, value: f64) -> u64 {
    match dtype {
        DType::F8E4M3FN => u64::from(F8E4M3FN.encode(value)),
        DType::F8E5M2 => u64::from(F8E5M2.encode(value)),
        // `from_f64` of `half` ignores the low mantissa bits, or rounds twice on machines with f16.
        DType::BF16 => u64::from(bf16::from_f32(round_to_odd_f32(value)).to_bits()),
        DType::F16 => u64::from(f16::from_f32(round_to_odd_f32(value)).to_bits()),
        DType::F32 => u64::from((value as f32).to_bits()),
        _ => value.to_bits(),
    }
}

/// `value` as an f32 whose last bit is set if it is inexact. Rounding that to a type with two mantissa bits
/// fewer gives what rounding `value` would: no tie appears that was not there (Boldo and Melquiond, 2008).
fn round_to_odd_f32(value: f64) -> f32 {
    let nearest = value as f32;
    let widened = f64::from(nearest);
    if widened == value || value.is_nan() {
        return nearest;
    }
    let away_from_zero = widened.abs() > value.abs();
    f32::from_bits((nearest.to_bits() - u32::from(away_from_zero)) | 1)
}

/// As [`round_to_odd_f32`], from an integer to an f64.
fn integer_to_odd_f64(value: i128) -> f64 {
    let nearest = value as f64;
    let widened = nearest as i128;
    if widened == value {
        return nearest;
    }
    let away_from_zero = widened.unsigned_abs() > value.unsigned_abs();
    f64::from_bits((nearest.to_bits() - u64::from(away_from_zero)) | 1)
}

fn float_from_bits(dtype: DType, bits: u64) -> f64 {
    match dtype {
        DType::F8E4M3FN => F8E4M3FN.decode(bits as u8),
        DType::F8E5M2 => F8E5M2.decode(bits as u8),
        DType::BF16 => bf16::from_bits(bits as u16).to_f64(),
        DType::F16 => f16::from_bits(bits as u16).to_f64(),
        DType::F32 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_narrow_float_survives_a_round_trip() {
        for dtype in [DType::F8E4M3FN, DType::F8E5M2, DType::BF16, DType::F16] {
            for bits in 0..1u64 << dtype.bits() {
                let value = float_from_bits(dtype, bits);
                let back = float_from_bits(dtype, float_to_bits(dtype, value));
                assert!(
                    back == value || back.is_nan() && value.is_nan(),
                    "{dtype} {bits:#x}: {value} -> {back}"
                );
            }
        }
    }

    #[test]
    fn narrow_floats_round_to_nearest_even_and_overflow() {
        let f8 = |v| float_from_bits(DType::F8E4M3FN, float_to_bits(DType::F8E4M3FN, v));
        assert_eq!(f8(17.0), 16.0);
        assert_eq!(f8(19.0), 20.0);
        assert_eq!(f8(463.9), 448.0);
        assert!(f8(466.0).is_nan());
        assert_eq!(f8(0.001_953_125 * 0.5), 0.0);
        let f8 = |v| float_from_bits(DType::F8E5M2, float_to_bits(DType::F8E5M2, v));
        assert_eq!(f8(65536.0), f64::INFINITY);
        assert_eq!(f8(-57344.0), -57344.0);
    }

    #[test]
    fn floats_and_integers_round_once() {
        let float = |dtype, x| round(dtype, Scalar::Float(x)).as_f64();
        let just_above_tie = 1.0 + 2f64.powi(-8) + 2f64.powi(-50);
        assert_eq!(float(DType::BF16, just_above_tie), 1.0 + 2f64.powi(-7));
        assert_eq!(float(DType::BF16, 1.0 + 2f64.powi(-8)), 1.0, "a tie goes to even");
        assert_eq!(float(DType::F16, 1.0 + 2f64.powi(-11) + 2f64.powi(-50)), 1.0 + 2f64.powi(-10));
        assert_eq!(float(DType::F16, -(1.0 + 2f64.powi(-11) - 2f64.powi(-50))), -1.0);
        assert_eq!(float(DType::BF16, 1e300), f64::INFINITY);
        assert_eq!(float(DType::F16, 65_519.999_999), 65504.0);
        assert_eq!(float(DType::BF16, 1e-300), 0.0);
        let integer = |dtype, i| round(dtype, Scalar::Int(i)).as_f64();
        let just_above_tie = (1i128 << 62) + (1 << 38) + 1;
        assert_eq!(integer(DType::F32, just_above_tie), 2f64.powi(62) + 2f64.powi(39));
        assert_eq!(integer(DType::F32, -just_above_tie), -2f64.powi(62) - 2f64.powi(39));
        assert_eq!(integer(DType::F64, (1 << 62) + (1 << 9) + 1), 2f64.powi(62) + 2f64.powi(10));
    }

    #[test]
    fn integers_wrap_and_floats_saturate() {
        assert_eq!(round(DType::S4, Scalar::Int(9)), Scalar::Int(-7));
        assert_eq!(round(DType::U8, Scalar::Int(-1)), Scalar::Int(255));
        assert_eq!(round(DType::S8, Scalar::Float(1e9)), Scalar::Int(127));
        assert_eq!(round(DType::U32, Scalar::Float(-3.5)), Scalar::Int(0));
        assert_eq!(round(DType::S32, Scalar::Float(f64::NAN)), Scalar::Int(0));
    }
}
