//! Why a function cannot be evaluated.

use super::tensor::TensorError;
use crate::count::Count;
use crate::{DType, FuncId, TensorType, ValueId};

/// A failed evaluation: which op, where in the model, and why.
///
/// A failure inside the body of a `while` or another callee is the [`Fault::Callee`] of the op that called
/// it, so the rendered message reads from the entry function inwards.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("cannot evaluate {what} at {location}: {fault}")]
pub struct EvalError {
    /// The operation (`` `dot_general` (op12) ``), or the function's arguments or results.
    pub what: String,
    /// Function and model path, such as `main: layers.7.self_attn.q_proj`.
    pub location: String,
    /// What is wrong.
    #[source]
    pub fault: Box<Fault>,
}

impl EvalError {
    pub(super) fn new(what: impl Into<String>, location: impl Into<String>, fault: Fault) -> Self {
        Self { what: what.into(), location: location.into(), fault: Box::new(fault) }
    }
}

/// What is wrong with an operation, an argument or a module.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Fault {
    /// An id of another module, or of a function that does not come before its caller.
    #[error("{0} is not a function that may be called here: a callee precedes its caller in the module")]
    UnknownFunction(FuncId),
    /// An id of another function, or of a value that is not yet defined.
    #[error("{0} is not defined before its use")]
    UnknownValue(ValueId),
    /// Too few or too many operands or arguments.
    #[error("takes {}, got {got}", Count(*.expected, "operand", "operands"))]
    OperandCount {
        /// Operands that the op or function takes.
        expected: usize,
        /// Operands given.
        got: usize,
    },
    /// An argument whose type is not its parameter's.
    #[error("argument {index} has type {got}, the parameter is {expected}")]
    ArgumentType {
        /// Position of the argument.
        index: usize,
        /// The parameter's type.
        expected: TensorType,
        /// The argument's type.
        got: TensorType,
    },
    /// The function declares another number of results than the op has.
    #[error("gives {}, the function declares {declared}", Count(*.computed, "result", "results"))]
    ResultCount {
        /// Results in the function.
        declared: usize,
        /// Results computed.
        computed: usize,
    },
    /// The function declares another type for a result than the op has.
    #[error("result {index} is {computed}, the function declares {declared}")]
    ResultType {
        /// Position of the result.
        index: usize,
        /// Type in the function.
        declared: TensorType,
        /// Type computed.
        computed: TensorType,
    },
    /// The op is not defined on this element type.
    #[error("is not defined on {0}")]
    ElementType(DType),
    /// Attributes and operand types that do not fit each other.
    #[error("{0}")]
    Mismatch(String),
    /// A tensor beyond [`Limits::max_elements`](super::Limits::max_elements).
    #[error("{ty} has more elements than the interpreter's limit of {limit}")]
    TooLarge {
        /// The tensor's type.
        ty: TensorType,
        /// The limit in force.
        limit: usize,
    },
    /// A loop beyond [`Limits::max_iterations`](super::Limits::max_iterations).
    #[error("still running after {0} iterations, the interpreter's limit")]
    TooManyIterations(usize),
    /// Calls nested too deeply.
    #[error("calls are nested deeper than {0}")]
    TooDeep(usize),
    /// A custom call that nobody resolves.
    #[error("no resolver knows the custom call `{0}`: pass one with `Interpreter::with_custom_calls`")]
    UnknownCustomCall(String),
    /// A custom call that failed.
    #[error("custom call `{target}`: {message}")]
    CustomCall {
        /// Registered name.
        target: String,
        /// The resolver's message.
        message: String,
    },
    /// Elements that do not make up a tensor.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A failure in a function that the op calls.
    #[error("{0}")]
    Callee(#[source] EvalError),
}

impl Fault {
    /// A mismatch in words.
    pub(super) fn mismatch(message: impl Into<String>) -> Self {
        Fault::Mismatch(message.into())
    }
}

/// `Ok` if `holds`, otherwise a mismatch in the words of `message`.
pub(super) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Mismatch(message())) }
}
