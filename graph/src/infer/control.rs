//! Control flow and calls: ops whose results are those of functions.

use super::{Callees, DTypeClass, InferError, Role, callee, check, owned};
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

#[cfg(test)]
mod tests {
    use super::super::testing::Functions;
    use super::*;
    use crate::Op;

    #[test]
    fn while_carries_its_operands() {
        let loop_with = |cond, body| Op::While { cond: FuncId::new(cond), body: FuncId::new(body) };
        let with = Functions::of(&["s32[] f32[2] -> pred[]", "s32[] f32[2] -> s32[] f32[2]"]);
        with.accepts(&loop_with(0, 1), "s32[] f32[2]", "s32[] f32[2]");
        with.rejects(
            &loop_with(1, 1),
            "s32[] f32[2]",
            "`cond` @f1 is (s32[], f32[2]) -> (s32[], f32[2]), expected (s32[], f32[2]) -> (pred[])",
        );
        with.rejects(
            &loop_with(0, 0),
            "s32[] f32[2]",
            "`body` @f0 is (s32[], f32[2]) -> (pred[]), expected (s32[], f32[2]) -> (s32[], f32[2])",
        );
        with.rejects(
            &loop_with(0, 1),
            "s32[]",
            "`cond` @f0 is (s32[], f32[2]) -> (pred[]), expected (s32[]) -> (pred[])",
        );
    }

    #[test]
    fn branches_of_if_agree() {
        let choose = |then_branch, else_branch| Op::If {
            then_branch: FuncId::new(then_branch),
            else_branch: FuncId::new(else_branch),
        };
        let with = Functions::of(&["f32[2] -> s32[]", "f32[2] -> s32[] s32[]"]);
        with.accepts(&choose(0, 0), "pred[] f32[2]", "s32[]");
        with.rejects(&choose(0, 0), "", "expected at least 1 operand, got 0");
        with.rejects(&choose(0, 0), "pred[1] f32[2]", "`pred` is pred[1] of rank 1, expected a scalar");
        with.rejects(&choose(0, 0), "s32[] f32[2]", "`pred` has element type s32, expected pred");
        with.rejects(
            &choose(0, 0),
            "pred[] f32[3]",
            "`then_branch` @f0 is (f32[2]) -> (s32[]), expected (f32[3]) -> (s32[])",
        );
        with.rejects(
            &choose(0, 1),
            "pred[] f32[2]",
            "`else_branch` @f1 is (f32[2]) -> (s32[], s32[]), expected (f32[2]) -> (s32[])",
        );
    }

    #[test]
    fn branches_of_case_agree() {
        let case =
            |branches: &[usize]| Op::Case { branches: branches.iter().map(|&i| FuncId::new(i)).collect() };
        let with = Functions::of(&["f32[2] -> s32[]", "f32[2] -> s32[] s32[]"]);
        with.accepts(&case(&[1, 1, 1]), "s32[] f32[2]", "s32[] s32[]");
        with.rejects(&case(&[]), "s32[] f32[2]", "`branches` is empty, expected at least one function");
        with.rejects(&case(&[0]), "u32[] f32[2]", "`index` has element type u32, expected s32");
        with.rejects(
            &case(&[0, 0, 1]),
            "s32[] f32[2]",
            "`branches` @f1 is (f32[2]) -> (s32[], s32[]), expected (f32[2]) -> (s32[])",
        );
        with.rejects(
            &case(&[0, 2]),
            "s32[] f32[2]",
            "`branches` is @f2, which is not a function of this module; add callees first",
        );
    }

    #[test]
    fn calls_and_composites_take_what_their_function_takes() {
        let with = Functions::of(&["f32[2] s32[] -> f32[2] pred[]", "-> "]);
        let call = |callee| Op::Call { callee: FuncId::new(callee) };
        with.accepts(&call(0), "f32[2] s32[]", "f32[2] pred[]");
        with.accepts(&call(1), "", "");
        with.rejects(
            &call(0),
            "f32[2]",
            "`callee` @f0 is (f32[2], s32[]) -> (f32[2], pred[]), expected (f32[2]) -> (f32[2], pred[])",
        );
        let composite = Op::Composite {
            name: "lapidary.linear".to_string(),
            attributes: Vec::new(),
            decomposition: FuncId::new(0),
        };
        with.accepts(&composite, "f32[2] s32[]", "f32[2] pred[]");
        with.rejects(
            &composite,
            "f32[2] s64[]",
            "`decomposition` @f0 is (f32[2], s32[]) -> (f32[2], pred[]), expected (f32[2], s64[]) -> (f32[2], pred[])",
        );
    }
}
