//! How each type of attribute prints and parses.

use std::fmt;

use super::lexer::Kind;
use super::names::{Quoted, Word};
use super::parser::Parser;
use super::printer::Printer;
use super::{ParseError, element, literal};
use crate::op::{Comparison, Precision, RngAlgorithm};
use crate::{Attr, Attributes, DType, FuncId, Literal, LogicalAxes, TensorType};

/// A type of attribute with a text of its own.
pub(super) trait Field: Sized {
    /// Prints the value.
    fn print(&self, out: &mut Printer<'_>) -> fmt::Result;
    /// Reads what `print` writes.
    fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError>;
}

/// The entries of a dictionary being printed.
pub(super) struct Entries {
    open: &'static str,
    any: bool,
}

impl Entries {
    /// A dictionary that starts with `open`.
    pub(super) fn new(open: &'static str) -> Self {
        Self { open, any: false }
    }

    /// Prints `key = value`, unless the value is the default one.
    pub(super) fn field<T: Field + PartialEq>(
        &mut self,
        out: &mut Printer<'_>,
        key: &str,
        value: &T,
        default: Option<T>,
    ) -> fmt::Result {
        if default.as_ref() == Some(value) {
            return Ok(());
        }
        out.text(if self.any { ", " } else { self.open })?;
        self.any = true;
        out.write(format_args!("{key} = "))?;
        value.print(out)
    }

    /// Ends the dictionary; `none` is printed if it has no entries.
    pub(super) fn end(self, out: &mut Printer<'_>, none: &str) -> fmt::Result {
        out.text(if self.any { "}" } else { none })
    }
}

/// Fields of a dictionary being parsed: reads the value of `key`, which must come only once.
pub(super) fn read_once<T: Field>(
    p: &mut Parser<'_>,
    key: &str,
    field: &mut Option<T>,
) -> Result<(), ParseError> {
    if field.is_some() {
        return Err(p.error_before(format!("`{key}` is given twice")));
    }
    p.expect('=')?;
    *field = Some(T::parse(p)?);
    Ok(())
}

impl<T: Field> Field for Vec<T> {
    fn print(&self, out: &mut Printer<'_>) -> fmt::Result {
        out.list(["[", "]"], self, |out, item| item.print(out))
    }

    fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError> {
        p.list('[', ']', T::parse)
    }
}

macro_rules! number_fields {
    ($($ty:ty => $what:literal,)*) => {$(
        impl Field for $ty {
            fn print(&self, out: &mut Printer<'_>) -> fmt::Result {
                out.write(format_args!("{self}"))
            }

            fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError> {
                p.number($what)
            }
        }
    )*};
}

number_fields! {
    usize => "a whole number",
    i64 => "a 64-bit integer",
}

macro_rules! named_fields {
    ($($ty:ty => $what:literal,)*) => {$(
        impl Field for $ty {
            fn print(&self, out: &mut Printer<'_>) -> fmt::Result {
                out.text(self.name())
            }

            fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError> {
                p.one_of($what, <$ty>::ALL.iter().map(|&value| (value.name(), value)))
            }
        }
    )*};
}

named_fields! {
    DType => "an element type",
    Comparison => "a comparison",
    Precision => "a precision",
    RngAlgorithm => "an algorithm",
}

impl Field for bool {
    fn print(&self, out: &mut Printer<'_>) -> fmt::Result {
        out.write(format_args!("{self}"))
    }

    fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError> {
        p.one_of("a boolean", [("true", true), ("false", false)])
    }
}

impl Field for String {
    fn print(&self, out: &mut Printer<'_>) -> fmt::Result {
        out.write(format_args!("{}", Quoted(self)))
    }

    fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError> {
        p.quoted()
    }
}

impl Field for TensorType {
    fn print(&self, out: &mut Printer<'_>) -> fmt::Result {
        out.write(format_args!("{self}"))
    }

    fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError> {
        let dtype = DType::parse(p)?;
        Ok(TensorType { dtype, dims: Vec::parse(p)? })
    }
}

impl Field for FuncId {
    fn print(&self, out: &mut Printer<'_>) -> fmt::Result {
        out.function_ref(*self)
    }

    fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError> {
        p.function_ref()
    }
}

impl Field for LogicalAxes {
    fn print(&self, out: &mut Printer<'_>) -> fmt::Result {
        out.list(["[", "]"], &self.0, |out, axis| match axis {
            Some(name) => out.write(format_args!("{}", Word(name))),
            None => out.text("_"),
        })
    }

    fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError> {
        p.list('[', ']', |p| if p.eat_word("_") { Ok(None) } else { p.word_or_quoted("an axis").map(Some) })
            .map(LogicalAxes)
    }
}

impl Field for Literal {
    fn print(&self, out: &mut Printer<'_>) -> fmt::Result {
        if !out.is_result_type(self.ty()) {
            out.write(format_args!("{} ", self.ty()))?;
        }
        literal::print(self, out)
    }

    fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError> {
        let typed = p.peek().kind == Kind::Word && p.peek_second().kind == Kind::Punct('[');
        let ty = match &p.first_result {
            Some(ty) if !typed => ty.clone(),
            _ => TensorType::parse(p)?,
        };
        literal::parse(p, ty)
    }
}

impl Field for Attributes {
    fn print(&self, out: &mut Printer<'_>) -> fmt::Result {
        out.list(["{", "}"], self, |out, (key, value)| {
            out.write(format_args!("{} = ", Word(key)))?;
            value.print(out)
        })
    }

    fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError> {
        p.list('{', '}', |p| {
            let key = p.word_or_quoted("an attribute")?;
            p.expect('=')?;
            Ok((key, Attr::parse(p)?))
        })
    }
}

impl Field for Attr {
    fn print(&self, out: &mut Printer<'_>) -> fmt::Result {
        match self {
            Attr::Bool(value) => value.print(out),
            Attr::Int(value) => value.print(out),
            // Floats always have a point, an exponent, a name or 0x, which integers never have.
            Attr::Float(value) => out.text(&element::print(DType::F64, value.to_bits())),
            Attr::Str(value) => value.print(out),
            Attr::Ints(value) => value.print(out),
        }
    }

    fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError> {
        let token = p.peek();
        let text = p.text(token);
        match token.kind {
            Kind::Quoted => String::parse(p).map(Attr::Str),
            Kind::Punct('[') => Vec::parse(p).map(Attr::Ints),
            Kind::Word if matches!(text, "true" | "false") => bool::parse(p).map(Attr::Bool),
            Kind::Number if text.bytes().skip(1).all(|b| b.is_ascii_digit()) => i64::parse(p).map(Attr::Int),
            Kind::Number | Kind::Word => {
                let bits = element::parse(DType::F64, text).map_err(|message| p.error(token, message))?;
                p.advance();
                Ok(Attr::Float(f64::from_bits(bits)))
            }
            Kind::Value | Kind::Symbol | Kind::Punct(_) | Kind::Arrow | Kind::End => {
                Err(p.expected("a boolean, a number, a string or a list of integers"))
            }
        }
    }
}
