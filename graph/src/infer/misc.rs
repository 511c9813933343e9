//! Ops of no family: constants, random bits, barriers, sharding constraints.

use super::{DTypeClass, InferError, OperandCount, Role, check};
use crate::op::RngAlgorithm;
use crate::{DType, Literal, LogicalAxes, TensorType};

pub(super) fn constant(operands: &[&TensorType], value: &Literal) -> Result<TensorType, InferError> {
    let [] = check::exactly(operands)?;
    Ok(value.ty().clone())
}

pub(super) fn rng_bit_generator(
    operands: &[&TensorType],
    algorithm: RngAlgorithm,
    result: &TensorType,
) -> Result<Vec<TensorType>, InferError> {
    let [state] = check::exactly(operands)?;
    check::dtype(Role::InitialState, state.dtype, DTypeClass::U64)?;
    check::rank(Role::InitialState, state, 1)?;
    let words = state.num_elements();
    let (accepted, expected) = match algorithm {
        RngAlgorithm::Default => (true, "any number"),
        RngAlgorithm::ThreeFry => (words == 2, "2"),
        RngAlgorithm::Philox => (words == 2 || words == 3, "2 or 3"),
    };
    if !accepted {
        return Err(InferError::RngState { algorithm: algorithm.name(), got: words, expected });
    }
    check::dtype(Role::Result, result.dtype, DTypeClass::IntegerAtLeast(DType::U8))?;
    Ok(vec![state.clone(), result.clone()])
}

pub(super) fn optimization_barrier(operands: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
    if operands.is_empty() {
        return Err(InferError::OperandCount { expected: OperandCount::AtLeast(1), got: 0 });
    }
    Ok(operands.iter().map(|&ty| ty.clone()).collect())
}

pub(super) fn sharding_constraint(
    operands: &[&TensorType],
    axes: &LogicalAxes,
) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    check::length("axes", axes.0.len(), operand.rank(), "one for each axis of `operand`")?;
    Ok(operand.clone())
}
