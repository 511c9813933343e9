//! Control flow and calls: ops whose results are those of functions.

use super::{Callees, DTypeClass, InferError, Role, callee, check};
use crate::{DType, FuncId, FunctionType, TensorType};

pub(super) fn while_loop(
    operands: &[&TensorType],
    cond: FuncId,
    body: FuncId,
    callees: &dyn Callees,
) -> Result<Vec<TensorType>, InferError> {
    let carried = owned(operands);
    let results = vec![TensorType::scalar(DType::Pred)];
    callee::expect(callees, "cond", cond, FunctionType { params: carried.clone(), results })?;
    let body_type = FunctionType { params: carried.clone(), results: carried };
    Ok(callee::expect(callees, "body", body, body_type)?.results)
}

pub(super) fn if_else(
    operands: &[&TensorType],
    then_branch: FuncId,
    else_branch: FuncId,
    callees: &dyn Callees,
) -> Result<Vec<TensorType>, InferError> {
    let ([pred], args) = check::leading(operands)?;
    check::dtype(Role::Pred, pred.dtype, DTypeClass::Pred)?;
    check::rank(Role::Pred, pred, 0)?;
    let results = call(args, "then_branch", then_branch, callees)?;
    let else_type = FunctionType { params: owned(args), results };
    Ok(callee::expect(callees, "else_branch", else_branch, else_type)?.results)
}

pub(super) fn case(
    operands: &[&TensorType],
    branches: &[FuncId],
    callees: &dyn Callees,
) -> Result<Vec<TensorType>, InferError> {
    let ([index], args) = check::leading(operands)?;
    check::dtype(Role::Index, index.dtype, DTypeClass::S32)?;
    check::rank(Role::Index, index, 0)?;
    let (&first, others) = branches.split_first().ok_or(InferError::NoBranches)?;
    let results = call(args, "branches", first, callees)?;
    let branch_type = FunctionType { params: owned(args), results };
    for &branch in others {
        callee::expect(callees, "branches", branch, branch_type.clone())?;
    }
    Ok(branch_type.results)
}

/// The results of the function that `attribute` names, which must take the operands.
pub(super) fn call(
    operands: &[&TensorType],
    attribute: &'static str,
    function: FuncId,
    callees: &dyn Callees,
) -> Result<Vec<TensorType>, InferError> {
    let results = callee::type_of(callees, attribute, function)?.results;
    let expected = FunctionType { params: owned(operands), results };
    Ok(callee::expect(callees, attribute, function, expected)?.results)
}

fn owned(types: &[&TensorType]) -> Vec<TensorType> {
    types.iter().map(|&ty| ty.clone()).collect()
}
