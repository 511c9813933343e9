//! Violations and where they are.

use std::fmt;

use super::Problem;
use crate::{FuncId, OpId};

/// A broken rule and its place.
///
/// Displays as `@main, op12 dot_general at layers.7.self_attn: result 0 is f32[2], expected f32[3] (rule 8)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The function, unless the module itself is at fault.
    pub function: Option<FuncId>,
    /// Name of the function; empty for the module.
    pub function_name: String,
    /// The operation, unless the function itself is at fault.
    pub op: Option<OpId>,
    /// Name of the op; empty for a function.
    pub op_name: &'static str,
    /// Model path of the operation, such as `layers.7.self_attn`; empty at the root.
    pub path: String,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.function.is_some() {
            write!(f, "@{}", self.function_name.escape_debug())?;
            if let Some(op) = self.op {
                write!(f, ", {op} {}", self.op_name)?;
            }
            if !self.path.is_empty() {
                write!(f, " at {}", self.path.escape_debug())?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{} (rule {})", self.problem, self.problem.rule())
    }
}

/// All violations of a module, in its order; there is at least one.
///
/// Displays as a headline and one line for each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violations {
    module: String,
    violations: Vec<Violation>,
}

impl Violations {
    pub(super) fn new(module: &str, violations: Vec<Violation>) -> Self {
        Self { module: module.to_string(), violations }
    }

    /// The violations.
    pub fn as_slice(&self) -> &[Violation] {
        &self.violations
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Violation;
    type IntoIter = std::slice::Iter<'a, Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.violations.iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "module @{} is not valid:", self.module.escape_debug())?;
        self.violations.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

impl std::error::Error for Violations {}
