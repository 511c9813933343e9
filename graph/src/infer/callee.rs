//! The functions that an op refers to, as inference sees them.

use super::InferError;
use crate::{FuncId, FunctionType, Module};

/// Where inference looks up the functions that an op refers to.
pub trait Callees {
    /// Parameter and result types of a function, or `None` if there is no such function.
    fn function_type(&self, id: FuncId) -> Option<FunctionType>;

    /// The function's name for messages, or `None` if there is no such function.
    fn function_name(&self, id: FuncId) -> Option<&str>;
}

impl Callees for Module {
    fn function_type(&self, id: FuncId) -> Option<FunctionType> {
        Module::function_type(self, id)
    }

    fn function_name(&self, id: FuncId) -> Option<&str> {
        self.function(id).map(|f| f.name.as_str())
    }
}

/// The type of the function that `attribute` names.
pub(super) fn type_of(
    callees: &dyn Callees,
    attribute: &'static str,
    id: FuncId,
) -> Result<FunctionType, InferError> {
    callees.function_type(id).ok_or(InferError::UnknownFunction { attribute, function: id })
}

/// Checks that the function that `attribute` names has exactly the type `expected`.
pub(super) fn expect(
    callees: &dyn Callees,
    attribute: &'static str,
    id: FuncId,
    expected: FunctionType,
) -> Result<FunctionType, InferError> {
    let got = type_of(callees, attribute, id)?;
    if got == expected {
        return Ok(got);
    }
    Err(InferError::CalleeType {
        attribute,
        function: callees.function_name(id).unwrap_or_default().into(),
        got: Box::new(got),
        expected: Box::new(expected),
    })
}
