//! The text form: printing ([`std::fmt::Display`] of [`crate::Module`]) and parsing.
//!
//! ```text
//! module   := "module" @name function*
//! function := "func" @name "(" param,* ")" "->" "(" result,* ")" "{" op* "return" %value,* "}"
//! param    := %value ":" type label ("donated_to" "=" int)?
//! result   := type label
//! label    := "name"? ("axes" "=" "[" (axis | "_"),* "]")?
//! op       := (%value ":" type),+ "=")? name %value,* ("{" (attribute "=" ...),* "}")? @scope?
//! type     := dtype "[" int,* "]"
//! ```
//!
//! A module that was printed parses to the same module, and prints the same again. Parsing neither infers
//! nor verifies: result types are part of the text, so that a wrong module can be written down and handed to
//! the verifier. Values may have any names (`%hidden`), which printing replaces by their numbers; names are
//! resolved in the whole function or module, whatever their order. `%#7` and `@#7` are the value and
//! the function of that number, for modules that refer to what does not exist. `//` starts a comment.

mod element;
mod error;
mod field;
mod grammar;
mod lexer;
mod literal;
mod names;
mod ops;
mod parser;
mod printer;
mod source_map;

pub use error::ParseError;
pub(crate) use names::is_identifier;
pub use ops::op_names;
pub use source_map::SourceMap;

use crate::Module;

/// Parses a module.
///
/// # Errors
/// If the text is not of the form above, names an op, attribute, value or function that does not exist,
/// or has a literal that its type cannot hold.
pub fn parse(source: &str) -> Result<Module, ParseError> {
    parse_with_lines(source).map(|(module, _)| module)
}

/// Parses a module and says on which line each function and operation stands.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_lines(source: &str) -> Result<(Module, SourceMap), ParseError> {
    parser::Parser::new(source)?.module()
}
