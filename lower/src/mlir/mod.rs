//! Pieces of MLIR's textual syntax as `Display` values.

use std::fmt;

mod attributes;
mod literal;
mod strings;
mod types;
mod writer;

pub(crate) use attributes::{Dictionary, I64Array, InPlace, List, RowMajor};
pub(crate) use literal::{Dense, MAX_CONSTANT_BYTES};
pub(crate) use strings::{Location, Quoted};
pub(crate) use types::{FunctionSignature, Type, Types};
pub(crate) use writer::{Name, Names, Value, Writer};

/// Writes items separated by commas.
fn list(f: &mut fmt::Formatter<'_>, items: impl IntoIterator<Item: fmt::Display>) -> fmt::Result {
    for (i, item) in items.into_iter().enumerate() {
        write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
    }
    Ok(())
}
