//! Ops that call functions: loops, choices, and custom calls.

use super::error::{Fault, ensure};
use super::frame::Frame;
use super::tensor::Tensor;
use crate::element::Scalar;
use crate::{Attributes, DType, FuncId, TensorType};

pub(super) fn while_loop(
    frame: &Frame<'_>,
    carried: &[Tensor],
    cond: FuncId,
    body: FuncId,
) -> Result<Vec<Tensor>, Fault> {
    let limit = frame.interpreter().limits.max_iterations;
    let mut carried = carried.to_vec();
    for _ in 0..=limit {
        match frame.call(cond, &carried)?.as_slice() {
            [go_on] if pred(go_on) == Some(true) => carried = frame.call(body, &carried)?,
            [go_on] if pred(go_on) == Some(false) => return Ok(carried),
            _ => return Err(Fault::mismatch(format!("condition {cond} does not give one pred"))),
        }
    }
    Err(Fault::TooManyIterations(limit))
}

/// `operands`: the predicate, then the arguments of both branches.
pub(super) fn if_else(
    frame: &Frame<'_>,
    operands: &[Tensor],
    then_branch: FuncId,
    else_branch: FuncId,
) -> Result<Vec<Tensor>, Fault> {
    let (choice, arguments) = operands.split_first().ok_or(Fault::OperandCount { expected: 1, got: 0 })?;
    let choice = pred(choice).ok_or_else(|| Fault::mismatch(format!("chooses by {}", choice.ty())))?;
    frame.call(if choice { then_branch } else { else_branch }, arguments)
}

/// `operands`: the index, then the arguments of every branch. An index out of range takes the last.
pub(super) fn case(
    frame: &Frame<'_>,
    operands: &[Tensor],
    branches: &[FuncId],
) -> Result<Vec<Tensor>, Fault> {
    let (index, arguments) = operands.split_first().ok_or(Fault::OperandCount { expected: 1, got: 0 })?;
    let Some(Scalar::Int(at)) = index.as_scalar().filter(|_| index.dtype() == DType::S32) else {
        return Err(Fault::mismatch(format!("chooses by {}", index.ty())));
    };
    let chosen = usize::try_from(at).ok().and_then(|at| branches.get(at)).or(branches.last());
    frame.call(*chosen.ok_or_else(|| Fault::mismatch("has no branches"))?, arguments)
}

pub(super) fn custom_call(
    frame: &Frame<'_>,
    target: &str,
    attributes: &Attributes,
    operands: &[Tensor],
    results: &[TensorType],
) -> Result<Vec<Tensor>, Fault> {
    let resolver = frame.interpreter().custom_calls;
    let outcome = resolver.and_then(|resolver| resolver.call(target, attributes, operands, results));
    let computed = outcome
        .ok_or_else(|| Fault::UnknownCustomCall(target.to_string()))?
        .map_err(|message| Fault::CustomCall { target: target.to_string(), message })?;
    let as_declared = computed.iter().map(Tensor::ty).eq(results.iter().cloned());
    ensure(as_declared, || format!("custom call `{target}` gave other types than it declares"))?;
    Ok(computed)
}

/// The value of a scalar `pred`.
fn pred(tensor: &Tensor) -> Option<bool> {
    match tensor.as_scalar() {
        Some(Scalar::Bool(value)) => Some(value),
        Some(Scalar::Int(_) | Scalar::Float(_)) | None => None,
    }
}
