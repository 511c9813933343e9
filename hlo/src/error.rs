//! What can be wrong with a program that is read.

use std::fmt;

use crate::shape::ShapeError;

/// Why a program was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The text is not HLO.
    #[error("line {line}: expected {expected}, found {found}")]
    Syntax {
        /// Line, counted from 1.
        line: usize,
        /// What could stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The bytes are no protocol buffer message of an HLO module.
    #[error("not a serialized HloModuleProto")]
    Proto(#[source] prost::DecodeError),
    /// The parts do not fit together.
    #[error("{place}: {problem}")]
    Program {
        /// Where.
        place: Place,
        /// What does not fit.
        problem: Problem,
    },
}

/// A place in a program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// Line of the text, counted from 1, if there is a text.
    pub line: Option<usize>,
    /// Name of the computation; empty for the module.
    pub computation: String,
    /// Name of the instruction, if it is one.
    pub instruction: Option<String>,
}

/// What does not fit together in a program.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// A shape without a size.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// An element type that XLA did not have when this was written.
    #[error("element type number {0} is unknown")]
    ElementType(i32),
    /// An operand that no earlier instruction of the computation defines.
    #[error("operand `{0}` is not an earlier instruction of the computation")]
    Operand(String),
    /// A computation that is called but not there.
    #[error("it calls computation `{0}`, which the module does not have")]
    Computation(String),
    /// An operation that must call computations and names none.
    #[error("a {opcode} needs {needs}")]
    Called {
        /// The operation.
        opcode: &'static str,
        /// The attributes that it lacks.
        needs: &'static str,
    },
    /// Two of the same name.
    #[error("the name is taken")]
    Duplicate,
    /// A computation that calls itself, perhaps through others.
    #[error("the computation calls itself")]
    Recursive,
    /// Calls within calls, more than any compiler makes.
    #[error("calls nest more than {0} deep")]
    Nesting(usize),
    /// A computation without instructions.
    #[error("the computation has no instruction that is its result")]
    NoRoot,
    /// No computation is where the program starts.
    #[error("the module has no entry computation")]
    NoEntry,
    /// Replica groups that contradict themselves.
    #[error("the replica groups do not fit the devices")]
    ReplicaGroups,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        match (&self.instruction, self.computation.as_str()) {
            (Some(instruction), computation) => {
                write!(f, "instruction `{instruction}` of computation `{computation}`")
            }
            (None, "") => f.write_str("the module"),
            (None, computation) => write!(f, "computation `{computation}`"),
        }
    }
}

impl Place {
    pub(crate) fn is(self, problem: impl Into<Problem>) -> ReadError {
        ReadError::Program { place: self, problem: problem.into() }
    }
}
