//! Reads HLO text, the form in which XLA prints modules.
//!
//! ```text
//! module      := "HloModule" name ("," key "=" value)* computation*
//! computation := "ENTRY"? name signature? "{" instruction* "}" ("," key "=" value)*
//! instruction := "ROOT"? name "=" shape opcode "(" operands ")" ("," key "=" value)*
//! ```
//!
//! Attributes that costs do not depend on may have any value that balances its brackets and quotes, so that the
//! text of a newer XLA can be read.

mod attributes;
mod convolution;
mod cursor;
mod devices;
mod elements;
mod grammar;
mod shape;
#[cfg(test)]
mod tests;

use crate::error::ReadError;
use crate::link::link;
use crate::module::Module;

impl Module {
    /// Reads HLO text.
    ///
    /// # Errors
    /// If the text is not HLO, with the line and what was expected there, or if its parts do not fit together.
    pub fn from_text(text: &str) -> Result<Self, ReadError> {
        link(grammar::module(text)?)
    }
}

#[cfg(test)]
pub(crate) fn parse_shape(text: &str) -> Result<crate::shape::Shape, Box<dyn std::error::Error>> {
    let mut cursor = cursor::Cursor::new(text, 1);
    let shape = shape::shape(&mut cursor)?;
    cursor.end("the shape")?;
    for array in shape.arrays() {
        array.validate()?;
    }
    Ok(shape)
}
