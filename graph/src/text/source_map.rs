//! Which line of a parsed text each function and operation stands on.

use crate::{FuncId, OpId};

/// Lines (from 1) of a parsed module's functions and operations.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SourceMap {
    pub(super) functions: Vec<FunctionLines>,
}

/// Lines of one function.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct FunctionLines {
    pub(super) header: usize,
    pub(super) ops: Vec<usize>,
}

impl SourceMap {
    /// The line of a function's header.
    pub fn function_line(&self, function: FuncId) -> Option<usize> {
        Some(self.functions.get(function.index())?.header)
    }

    /// The line an operation starts on.
    pub fn op_line(&self, function: FuncId, op: OpId) -> Option<usize> {
        self.functions.get(function.index())?.ops.get(op.index()).copied()
    }
}
