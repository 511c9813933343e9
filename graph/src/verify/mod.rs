//! The verifier: what makes a module valid. It reports every violation with its place.
//!
//! The rules, by the numbers that violations carry:
//!
//! Modules
//! 1. The module's name is an identifier: a letter or `_`, then letters, digits, `_`, `.` and `$` (ASCII).
//! 2. Function names are identifiers, and no two functions have the same.
//! 3. Functions refer only to functions before them, so that there is no recursion.
//! 4. A program ([`verify_program`]) has a function called `main`.
//!
//! Functions
//!
//! 5. Values stand in the order of their definitions: parameters, then the results of each operation. Every
//!    value is one parameter or one operation's result, and its definition says which.
//! 6. Operands are values that are defined before the operation.
//! 7. Ops apply to their operands: [`infer`](crate::infer::infer) accepts them.
//! 8. Results have the number and the types that inference gives.
//! 9. A function returns values of its own.
//! 10. A donated parameter has the type of the result that takes over its buffer, and a result takes over
//!     one parameter at most.
//! 11. Logical axes of parameters and results label every dimension. (Those of sharding constraints: rule 7.)
//! 12. Parameters fit in memory. (Results of operations: rule 7.)
//! 13. Names of composites are identifiers; custom-call targets and names of attributes are not empty; no op
//!     has two attributes of one name.
//! 14. Every operation's scope is one of the module's.
//!
//! What the types already rule out is not checked again: a [`Literal`](crate::Literal) always has as many
//! bytes as its type.
//!
//! A violation hides those that follow from it: an op with an invalid operand is not inferred, and later ops
//! are checked against the types as declared.

mod function;
mod module;
mod problem;
#[cfg(test)]
mod tests;
mod violation;

pub use problem::Problem;
pub use violation::{Violation, Violations};

use std::ops::Deref;

use crate::Module;

/// A module that obeys every rule, as proof to whoever needs it: it can only be had from [`verify`] or
/// [`verify_program`].
#[derive(Clone, Copy, Debug)]
pub struct VerifiedModule<'m>(&'m Module);

impl<'m> VerifiedModule<'m> {
    /// The module, for as long as it was borrowed.
    pub fn module(self) -> &'m Module {
        self.0
    }
}

impl Deref for VerifiedModule<'_> {
    type Target = Module;

    fn deref(&self) -> &Module {
        self.0
    }
}

/// Checks every rule but that there is a `main`.
///
/// # Errors
/// All violations, in the order of the module.
pub fn verify(module: &Module) -> Result<VerifiedModule<'_>, Violations> {
    conclude(module, module::check(module))
}

/// Checks every rule, with `main` as a program has it.
///
/// # Errors
/// All violations, in the order of the module.
pub fn verify_program(module: &Module) -> Result<VerifiedModule<'_>, Violations> {
    let mut violations = module::check(module);
    violations.extend(module::check_entry(module));
    conclude(module, violations)
}

fn conclude(module: &Module, violations: Vec<Violation>) -> Result<VerifiedModule<'_>, Violations> {
    if violations.is_empty() {
        Ok(VerifiedModule(module))
    } else {
        Err(Violations::new(&module.name, violations))
    }
}
