//! Literals as text: one element for a splat, rows in brackets, or one flat list.

use std::fmt;

use super::element;
use super::parser::Parser;
use super::printer::Printer;
use super::{ParseError, lexer::Kind};
use crate::count::Count;
use crate::{DType, Literal, TensorType};

/// Ranks above this are written as one flat list, so that nesting is bounded.
const MAX_NESTED_RANK: usize = 8;

/// Splats above this size in bytes are written out, so that a short text cannot ask for all the memory.
const MAX_SPLAT_BYTES: usize = 1 << 28;

/// Prints the elements of `literal`.
pub(super) fn print(literal: &Literal, out: &mut Printer<'_>) -> fmt::Result {
    let ty = literal.ty();
    let width = ty.dtype.byte_width();
    let mut elements = literal.bytes().chunks(width);
    match elements.clone().next() {
        None => out.text("[]"),
        Some(first) if ty.byte_size() <= MAX_SPLAT_BYTES && elements.clone().all(|e| e == first) => {
            print_element(ty.dtype, first, out)
        }
        Some(_) if ty.rank() <= MAX_NESTED_RANK => print_rows(ty.dtype, &ty.dims, &mut elements, out),
        Some(_) => print_rows(ty.dtype, &[ty.num_elements()], &mut elements, out),
    }
}

fn print_element(dtype: DType, bytes: &[u8], out: &mut Printer<'_>) -> fmt::Result {
    let bits = bytes.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
    out.text(&element::print(dtype, bits))
}

fn print_rows<'l>(
    dtype: DType,
    dims: &[usize],
    elements: &mut impl Iterator<Item = &'l [u8]>,
    out: &mut Printer<'_>,
) -> fmt::Result {
    let Some((&size, inner)) = dims.split_first() else {
        return elements.next().map_or(Ok(()), |bytes| print_element(dtype, bytes, out));
    };
    out.text("[")?;
    for i in 0..size {
        out.text(if i == 0 { "" } else { ", " })?;
        print_rows(dtype, inner, elements, out)?;
    }
    out.text("]")
}

/// Parses the elements of a literal of type `ty`.
pub(super) fn parse(p: &mut Parser<'_>, ty: TensorType) -> Result<Literal, ParseError> {
    let start = p.peek();
    let mut bytes = Vec::new();
    if p.is('[') {
        if ty.rank() > 1 && p.peek_second().kind == Kind::Punct('[') {
            if ty.rank() > MAX_NESTED_RANK {
                let message =
                    format!("above rank {MAX_NESTED_RANK} the elements of a literal are one flat list");
                return Err(p.error(start, message));
            }
            parse_rows(p, ty.dtype, &ty.dims, &mut bytes)?;
        } else {
            p.list('[', ']', |p| parse_element(p, ty.dtype, &mut bytes))?;
        }
    } else {
        if ty.byte_size() > MAX_SPLAT_BYTES {
            let message = format!("one element stands for at most {MAX_SPLAT_BYTES} bytes; {ty} is larger");
            return Err(p.error(start, message));
        }
        let mut element = Vec::new();
        parse_element(p, ty.dtype, &mut element)?;
        bytes = element.repeat(ty.num_elements());
    }
    let width = ty.dtype.byte_width();
    let (expected, got) = (ty.num_elements(), bytes.len() / width);
    let message = format!("{ty} has {}, not {got}", Count(expected, "element", "elements"));
    Literal::from_bytes(ty, &bytes).map_err(|_| p.error(start, message))
}

fn parse_rows(
    p: &mut Parser<'_>,
    dtype: DType,
    dims: &[usize],
    bytes: &mut Vec<u8>,
) -> Result<(), ParseError> {
    let Some((&size, inner)) = dims.split_first() else { return parse_element(p, dtype, bytes) };
    let start = p.peek();
    let rows = p.list('[', ']', |p| parse_rows(p, dtype, inner, bytes))?.len();
    if rows == size {
        Ok(())
    } else {
        Err(p.error(start, format!("expected {} here, got {rows}", Count(size, "entry", "entries"))))
    }
}

fn parse_element(p: &mut Parser<'_>, dtype: DType, bytes: &mut Vec<u8>) -> Result<(), ParseError> {
    let token = p.peek();
    if !matches!(token.kind, Kind::Number | Kind::Word) {
        return Err(p.expected(&format!("an element of type {dtype}")));
    }
    let bits = element::parse(dtype, p.text(token)).map_err(|message| p.error(token, message))?;
    p.advance();
    bytes.extend_from_slice(bits.to_le_bytes().get(..dtype.byte_width()).unwrap_or_default());
    Ok(())
}
