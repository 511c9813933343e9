//! Elements of literals as text: the shortest decimal that reads back as the same bits, else the bits.

use crate::DType;
use crate::dtype::DTypeKind;
use crate::element::{self, Scalar};

/// The text of an element whose bytes in memory are the low bytes of `bits`.
pub(super) fn print(dtype: DType, bits: u64) -> String {
    let value = element::read(dtype, &bits.to_le_bytes(), 0);
    let text = match value {
        Some(Scalar::Bool(b)) => b.to_string(),
        Some(Scalar::Int(i)) => i.to_string(),
        Some(Scalar::Float(f)) => decimal(dtype, f),
        None => String::new(),
    };
    // NaNs with a payload, and bytes that no value of a `pred` or 4-bit type has.
    if parse(dtype, &text) == Ok(bits) { text } else { format!("{bits:#x}") }
}

/// The bits of the element that `text` stands for, or what is wrong with it.
pub(super) fn parse(dtype: DType, text: &str) -> Result<u64, String> {
    if let Some(digits) = text.strip_prefix("0x") {
        let width = 8 * dtype.byte_width();
        let bits = u64::from_str_radix(digits, 16).ok().filter(|bits| *bits <= u64::MAX >> (64 - width));
        return bits.ok_or_else(|| format!("`{text}` is no bit pattern of {width} bits"));
    }
    let scalar = match dtype.kind() {
        DTypeKind::Boolean => match text {
            "true" => Some(Scalar::Bool(true)),
            "false" => Some(Scalar::Bool(false)),
            _ => None,
        },
        DTypeKind::Signed | DTypeKind::Unsigned => {
            let (min, max) = element::integer_range(dtype);
            text.parse().ok().filter(|i| (min..=max).contains(i)).map(Scalar::Int)
        }
        DTypeKind::Float => float(dtype, text).map(Scalar::Float),
    };
    scalar
        .map(|scalar| element::to_bits(dtype, scalar))
        .ok_or_else(|| format!("`{text}` is not an element of type {dtype}"))
}

/// Whole numbers below this are printed exactly, although a narrow float needs fewer digits: 448, not 450.
const EXACT_BELOW: f64 = 1e6;

/// The shortest decimal that `parse` rounds to `value`, or its name.
fn decimal(dtype: DType, value: f64) -> String {
    match dtype {
        _ if value.is_nan() => "nan".to_string(),
        DType::F64 => format!("{value:?}"),
        _ if value.fract() == 0.0 && value.abs() < EXACT_BELOW => format!("{value:?}"),
        DType::F32 => format!("{:?}", value as f32),
        _ => {
            let bits = element::to_bits(dtype, Scalar::Float(value));
            // 17 digits identify every f64; narrow floats take five at most.
            let rounded = (0..17).filter_map(|digits| format!("{value:.digits$e}").parse::<f64>().ok());
            let shortest = rounded.into_iter().find(|&f| element::to_bits(dtype, Scalar::Float(f)) == bits);
            format!("{:?}", shortest.unwrap_or(value))
        }
    }
}

fn float(dtype: DType, text: &str) -> Option<f64> {
    match text {
        "nan" => return Some(f64::NAN),
        "inf" | "-inf" => return text.parse().ok(),
        _ => {}
    }
    if !text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    // A decimal is rounded once, so an f32 is not read through f64.
    let value = if dtype == DType::F32 { f64::from(text.parse::<f32>().ok()?) } else { text.parse().ok()? };
    let fits = element::round(dtype, Scalar::Float(value)).as_f64().is_finite();
    fits.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_of_up_to_16_bits_survives() {
        for dtype in DType::ALL.into_iter().filter(|d| d.byte_width() <= 2) {
            for bits in 0..1u64 << (8 * dtype.byte_width()) {
                let text = print(dtype, bits);
                assert_eq!(parse(dtype, &text), Ok(bits), "{dtype} {bits:#x} as {text}");
            }
        }
    }

    #[test]
    fn decimals_are_short() {
        let bf16 = |v| print(DType::BF16, element::to_bits(DType::BF16, Scalar::Float(v)));
        assert_eq!(bf16(0.1), "0.1");
        assert_eq!(bf16(-2.5), "-2.5");
        assert_eq!(print(DType::F16, 0x7bff), "65504.0");
        assert_eq!(bf16(f64::NEG_INFINITY), "-inf");
        assert_eq!(bf16(1e30), "1e30");
        assert_eq!(print(DType::F32, u64::from(0.1f32.to_bits())), "0.1");
        assert_eq!(print(DType::F32, u64::from((-0.0f32).to_bits())), "-0.0");
        assert_eq!(print(DType::F64, f64::MIN_POSITIVE.to_bits()), "2.2250738585072014e-308");
    }

    #[test]
    fn bits_stand_for_what_no_decimal_says() {
        assert_eq!(print(DType::F32, 0x7fc0_0000), "nan");
        assert_eq!(print(DType::F32, 0xffc0_0001), "0xffc00001");
        assert_eq!(print(DType::F64, 0x7ff0_0000_0000_0001), "0x7ff0000000000001");
        assert_eq!(print(DType::Pred, 2), "0x2");
        assert_eq!(print(DType::S4, 0x0f), "-1");
        assert_eq!(print(DType::S4, 0xff), "0xff");
        assert_eq!(parse(DType::S32, "0xffffffff"), Ok(0xffff_ffff));
    }

    #[test]
    fn what_a_type_cannot_hold_is_refused() {
        for (dtype, text) in [
            (DType::U8, "256"),
            (DType::U8, "-1"),
            (DType::S4, "8"),
            (DType::S32, "1.0"),
            (DType::F16, "1e6"),
            (DType::F32, "1e39"),
            (DType::F8E4M3FN, "1000"),
            (DType::F32, "infinity"),
            (DType::F32, "true"),
            (DType::Pred, "1"),
            (DType::BF16, "0x10000"),
            (DType::F32, ""),
        ] {
            assert!(parse(dtype, text).is_err(), "{dtype} {text}");
        }
    }
}
