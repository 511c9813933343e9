//! The text being written: lines, indentation, and names of values.

use std::fmt::{self, Write};

use lapidary_graph::TensorType;

use super::list;
use crate::LowerError;

/// Longest text that is worth handing to a plugin, in bytes: hundreds of times the largest real program,
/// and a bound on what nested inlining can blow up to.
const MAX_TEXT_BYTES: usize = 256 << 20;

/// The name of a value in the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    /// A parameter of the function: `%arg3`.
    Argument(usize),
    /// A block argument, or the only result of an operation: `%12`.
    Single(usize),
    /// One of several results of an operation: `%12#1`.
    Part(usize, usize),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Argument(number) => write!(f, "%arg{number}"),
            Name::Single(number) => write!(f, "%{number}"),
            Name::Part(number, index) => write!(f, "%{number}#{index}"),
        }
    }
}

/// A value that the text has defined.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) name: Name,
    pub(crate) ty: TensorType,
}

/// Names of values separated by commas.
pub(crate) struct Names<'a>(pub(crate) &'a [Value]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, self.0.iter().map(|value| value.name))
    }
}

/// Writes indented lines, numbers values and bounds the text's length.
pub(crate) struct Writer<'w> {
    out: &'w mut dyn Write,
    indent: usize,
    written: usize,
    next_value: usize,
}

impl<'w> Writer<'w> {
    pub(crate) fn new(out: &'w mut dyn Write) -> Self {
        Self { out, indent: 0, written: 0, next_value: 0 }
    }

    /// Starts a line at the current indentation.
    pub(crate) fn start_line(&mut self) -> Result<(), LowerError> {
        self.text(format_args!("{:width$}", "", width = 2 * self.indent))
    }

    /// Goes on with the current line.
    pub(crate) fn text(&mut self, text: fmt::Arguments<'_>) -> Result<(), LowerError> {
        write!(self, "{text}").map_err(|error| self.explain(error))
    }

    /// A whole line at the current indentation.
    pub(crate) fn line(&mut self, text: fmt::Arguments<'_>) -> Result<(), LowerError> {
        self.start_line()?;
        self.text(format_args!("{text}\n"))
    }

    /// Indents the lines that follow by one more level.
    pub(crate) fn indent(&mut self) {
        self.indent += 1;
    }

    /// Undoes one [`Writer::indent`].
    pub(crate) fn dedent(&mut self) {
        self.indent = self.indent.saturating_sub(1);
    }

    /// Starts numbering values from zero: the names of one function are its own.
    pub(crate) fn restart_numbering(&mut self) {
        self.next_value = 0;
    }

    /// A new value of type `ty`.
    pub(crate) fn fresh(&mut self, ty: TensorType) -> Value {
        let number = self.next_number();
        Value { name: Name::Single(number), ty }
    }

    /// The new values that one operation defines.
    pub(crate) fn fresh_results(&mut self, types: &[TensorType]) -> Vec<Value> {
        match types {
            [] => Vec::new(),
            [ty] => vec![self.fresh(ty.clone())],
            types => {
                let number = self.next_number();
                let part = |(index, ty): (usize, &TensorType)| Value {
                    name: Name::Part(number, index),
                    ty: ty.clone(),
                };
                types.iter().enumerate().map(part).collect()
            }
        }
    }

    fn next_number(&mut self) -> usize {
        let number = self.next_value;
        self.next_value += 1;
        number
    }

    /// A formatting error is the length limit's unless the destination itself failed.
    fn explain(&self, error: fmt::Error) -> LowerError {
        if self.written > MAX_TEXT_BYTES {
            LowerError::TextTooLong { limit: MAX_TEXT_BYTES }
        } else {
            LowerError::Write(error)
        }
    }
}

impl Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.written = self.written.saturating_add(text.len());
        if self.written > MAX_TEXT_BYTES { Err(fmt::Error) } else { self.out.write_str(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_bounded() {
        let mut out = String::new();
        let mut writer = Writer::new(&mut out);
        writer.written = MAX_TEXT_BYTES - 3;
        assert!(writer.text(format_args!("abc")).is_ok());
        let error = writer.text(format_args!("d")).unwrap_err();
        assert_eq!(error, LowerError::TextTooLong { limit: MAX_TEXT_BYTES });
        assert_eq!(out, "abc");
    }

    #[test]
    fn one_result_has_a_name_and_several_share_one() {
        let mut out = String::new();
        let mut writer = Writer::new(&mut out);
        let ty = TensorType::scalar(lapidary_graph::DType::F32);
        let names = |values: Vec<Value>| Names(&values).to_string();
        assert_eq!(names(writer.fresh_results(&[])), "");
        assert_eq!(names(writer.fresh_results(std::slice::from_ref(&ty))), "%0");
        assert_eq!(names(writer.fresh_results(&[ty.clone(), ty])), "%1#0, %1#1");
    }
}
