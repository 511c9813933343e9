//! Attribute values.

use std::fmt;

use lapidary_graph::{Attr, Attributes};

use super::list;
use super::literal::write_f64;
use super::strings::Quoted;

/// `[1, 2]`.
pub(crate) struct List<'a, T>(pub(crate) &'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        list(f, self.0)?;
        f.write_str("]")
    }
}

/// `array<i64: 1, 2>`; the empty array has no colon.
pub(crate) struct I64Array<'a, T>(pub(crate) &'a [T]);

impl<T: fmt::Display> fmt::Display for I64Array<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "array<i64" } else { "array<i64: " })?;
        list(f, self.0)?;
        f.write_str(">")
    }
}

/// Row-major layouts of arrays of these ranks: `[dense<[1, 0]> : tensor<2xindex>]`.
pub(crate) struct RowMajor(pub(crate) Vec<usize>);

impl fmt::Display for RowMajor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layouts = self.0.iter().map(|&rank| {
            let minor_to_major: Vec<usize> = (0..rank).rev().collect();
            match minor_to_major.as_slice() {
                [] => "dense<> : tensor<0xindex>".to_string(),
                axes => format!("dense<{}> : tensor<{rank}xindex>", List(axes)),
            }
        });
        f.write_str("[")?;
        list(f, layouts)?;
        f.write_str("]")
    }
}

/// That the only result takes over the memory of this operand, if it does.
pub(crate) struct InPlace(pub(crate) Option<usize>);

impl fmt::Display for InPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(operand) = self.0 else { return Ok(()) };
        write!(
            f,
            ", output_operand_aliases = [#stablehlo.output_operand_alias<output_tuple_indices = [], \
             operand_index = {operand}, operand_tuple_indices = []>]"
        )
    }
}

/// Attributes as the dictionary that a typed-FFI handler receives: booleans, i64, f64, strings and i64 arrays.
pub(crate) struct Dictionary<'a>(pub(crate) &'a Attributes);

impl fmt::Display for Dictionary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name} = ", if i == 0 { "" } else { ", " })?;
            match value {
                Attr::Bool(value) => write!(f, "{value}")?,
                Attr::Int(value) => write!(f, "{value} : i64")?,
                Attr::Float(value) => {
                    write_f64(f, *value)?;
                    f.write_str(" : f64")?;
                }
                Attr::Str(value) => write!(f, "{}", Quoted(value))?,
                Attr::Ints(values) => write!(f, "{}", I64Array(values))?,
            }
        }
        f.write_str("}")
    }
}
