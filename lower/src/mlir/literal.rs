//! Literals as `dense` attributes.

use std::fmt;

use lapidary_graph::element::{self, Scalar};
use lapidary_graph::{DType, Literal};

/// Largest literal, in bytes, that a program may carry (splats of any size are free).
///
/// Weights and tables do not belong in program text: every plugin would parse, hash, fold and copy them.
pub(crate) const MAX_CONSTANT_BYTES: usize = 1 << 20;

/// Literals of more elements than this are written as one hexadecimal string.
const MAX_LISTED_ELEMENTS: usize = 256;

/// `dense<...>`: one value for a splat, nested lists for a small literal, the raw bytes for a large one.
pub(crate) struct Dense<'a>(pub(crate) &'a Literal);

impl fmt::Display for Dense<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let literal = self.0;
        let ty = literal.ty();
        // MLIR packs the raw bytes of booleans and 4-bit integers in ways that differ between versions.
        let raw_is_portable = ty.dtype.bits() >= 8;
        f.write_str("dense<")?;
        if ty.num_elements() == 0 {
            // Nothing between the brackets.
        } else if literal.splat().is_some() {
            write_element(f, literal, 0)?;
        } else if ty.num_elements() > MAX_LISTED_ELEMENTS && raw_is_portable {
            f.write_str("\"0x")?;
            for byte in literal.bytes() {
                write!(f, "{byte:02X}")?;
            }
            f.write_str("\"")?;
        } else {
            write_nested(f, literal)?;
        }
        f.write_str(">")
    }
}

/// Writes every element, each row of each dimension in brackets. Iterative: a literal may have any rank.
fn write_nested(f: &mut fmt::Formatter<'_>, literal: &Literal) -> fmt::Result {
    let dims = &literal.ty().dims;
    let row_sizes: Vec<usize> = (0..dims.len()).map(|d| dims.iter().skip(d).product()).collect();
    let brackets = |at: usize| row_sizes.iter().filter(|&&size| at.is_multiple_of(size)).count();
    let count = literal.ty().num_elements();
    for i in 0..count {
        (0..brackets(i)).try_for_each(|_| f.write_str("["))?;
        write_element(f, literal, i)?;
        (0..brackets(i + 1)).try_for_each(|_| f.write_str("]"))?;
        f.write_str(if i + 1 == count { "" } else { ", " })?;
    }
    Ok(())
}

fn write_element(f: &mut fmt::Formatter<'_>, literal: &Literal, index: usize) -> fmt::Result {
    let dtype = literal.ty().dtype;
    match element::read(dtype, literal.bytes(), index) {
        Some(Scalar::Bool(value)) => write!(f, "{value}"),
        Some(Scalar::Int(value)) => write!(f, "{value}"),
        Some(Scalar::Float(value)) if value.is_finite() => match dtype {
            DType::F64 => write_decimal(f, format_args!("{value:?}")),
            // Every narrower float is an f32 exactly, and the f32's shortest decimal reads back as it.
            _ => write_decimal(f, format_args!("{:?}", value as f32)),
        },
        // Infinities and NaNs have no decimal form; their bits keep a NaN's payload too.
        Some(Scalar::Float(_)) => write_bits(f, literal, index),
        // A literal's bytes fill its type, so there is an element at every index.
        None => Err(fmt::Error),
    }
}

fn write_bits(f: &mut fmt::Formatter<'_>, literal: &Literal, index: usize) -> fmt::Result {
    let width = literal.ty().dtype.byte_width();
    f.write_str("0x")?;
    let element = literal.bytes().chunks(width).nth(index).unwrap_or_default();
    element.iter().rev().try_for_each(|byte| write!(f, "{byte:02X}"))
}

/// Writes a double: in decimal if finite, otherwise as its bits.
pub(super) fn write_f64(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    if value.is_finite() {
        write_decimal(f, format_args!("{value:?}"))
    } else {
        write!(f, "0x{:016X}", value.to_bits())
    }
}

/// Writes a number that Rust formatted; MLIR wants a decimal point before an exponent too (`1.0e-7`).
fn write_decimal(f: &mut fmt::Formatter<'_>, number: fmt::Arguments<'_>) -> fmt::Result {
    let digits = number.to_string();
    match digits.split_once('e') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => write!(f, "{mantissa}.0e{exponent}"),
        _ => f.write_str(&digits),
    }
}
