//! Strings and locations. Names of functions and attributes need no quotes: verified modules have only
//! identifiers there.

use std::fmt;

/// A string literal: printable ASCII as it is, every other byte as `\HH`.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        write_escaped(f, self.0)?;
        f.write_str("\"")
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => write!(f, "\\{byte:02X}")?,
            _ => write!(f, "{}", char::from(byte))?,
        }
    }
    Ok(())
}

/// The location of an operation: its model path and its op, which XLA keeps as `op_name`.
#[derive(Clone, Copy)]
pub(crate) struct Location<'a> {
    pub(crate) path: &'a str,
    pub(crate) op: &'a str,
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("loc(\"")?;
        if !self.path.is_empty() {
            write_escaped(f, self.path)?;
            f.write_str("/")?;
        }
        write_escaped(f, self.op)?;
        f.write_str("\")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_can_be_quoted() {
        assert_eq!(Quoted("a \"b\" \\ \n é").to_string(), r#""a \22b\22 \5C \0A \C3\A9""#);
    }

    #[test]
    fn a_location_is_the_path_and_the_op() {
        assert_eq!(Location { path: "layers.7.mlp", op: "tanh" }.to_string(), r#"loc("layers.7.mlp/tanh")"#);
        assert_eq!(Location { path: "", op: "tanh" }.to_string(), r#"loc("tanh")"#);
    }
}
