//! Ops of no family: constants, random bits, barriers, sharding constraints.

use super::{DTypeClass, InferError, Role, check};
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
        RngAlgorithm::ThreeFry => (words == 2, "2"),
        // Which algorithm the target chooses is not known here; on CPU and GPU it is Philox.
        RngAlgorithm::Philox | RngAlgorithm::Default => (words == 2 || words == 3, "2 or 3"),
    };
    if !accepted {
        return Err(InferError::RngState { algorithm: algorithm.name(), got: words, expected });
    }
    check::dtype(Role::Result, result.dtype, DTypeClass::IntegerAtLeast(DType::U8))?;
    Ok(vec![state.clone(), result.clone()])
}

pub(super) fn sharding_constraint(
    operands: &[&TensorType],
    axes: &LogicalAxes,
) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    check::length("axes", axes.0.len(), operand.rank(), "one for each axis of `operand`")?;
    Ok(operand.clone())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{accepts, rejects, ty};
    use super::*;
    use crate::Op;

    #[test]
    fn a_constant_has_its_literals_type() {
        let constant = Op::Constant { value: Literal::float(DType::BF16, 1.0) };
        accepts(&constant, "", "bf16[]");
        rejects(&constant, "f32[]", "expected no operands, got 1");
    }

    #[test]
    fn random_bits_come_with_the_next_state() {
        let rng = |algorithm, result| Op::RngBitGenerator { algorithm, result: ty(result) };
        accepts(&rng(RngAlgorithm::ThreeFry, "u32[4,2]"), "u64[2]", "u64[2] u32[4,2]");
        accepts(&rng(RngAlgorithm::Philox, "s8[4]"), "u64[3]", "u64[3] s8[4]");
        accepts(&rng(RngAlgorithm::Default, "u64[]"), "u64[3]", "u64[3] u64[]");
        rejects(
            &rng(RngAlgorithm::Default, "u64[]"),
            "u64[7]",
            "`initial_state` has 7 words, expected 2 or 3 for DEFAULT",
        );
        rejects(
            &rng(RngAlgorithm::ThreeFry, "u32[4]"),
            "u64[3]",
            "`initial_state` has 3 words, expected 2 for THREE_FRY",
        );
        rejects(
            &rng(RngAlgorithm::Philox, "u32[4]"),
            "u64[4]",
            "`initial_state` has 4 words, expected 2 or 3 for PHILOX",
        );
        rejects(
            &rng(RngAlgorithm::ThreeFry, "u32[4]"),
            "u32[4]",
            "`initial_state` has element type u32, expected u64",
        );
        rejects(
            &rng(RngAlgorithm::ThreeFry, "u32[4]"),
            "u64[]",
            "`initial_state` is u64[] of rank 0, expected rank 1",
        );
        rejects(
            &rng(RngAlgorithm::ThreeFry, "f32[4]"),
            "u64[2]",
            "`result` has element type f32, expected an integer type of 8 bits or more",
        );
    }

    #[test]
    fn barriers_pass_everything_on() {
        accepts(&Op::OptimizationBarrier, "f32[2] s32[]", "f32[2] s32[]");
        accepts(&Op::OptimizationBarrier, "", "");
    }

    #[test]
    fn custom_calls_give_what_they_declare() {
        let call = |result| Op::CustomCall {
            target: "kernel".to_string(),
            results: vec![ty(result)],
            attributes: Vec::new(),
            has_side_effect: false,
        };
        accepts(&call("s32[2]"), "f32[3] f32[]", "s32[2]");
        let huge = format!("s32[0,{}]", usize::MAX);
        rejects(
            &call(&huge),
            "",
            &format!("a tensor of type {huge} does not fit in memory: its size in bytes overflows 63 bits"),
        );
    }

    #[test]
    fn sharding_constraints_label_every_axis() {
        let constraint = |names: &[&str]| Op::ShardingConstraint { axes: LogicalAxes::of(names) };
        accepts(&constraint(&["batch", "_"]), "f32[2,3]", "f32[2,3]");
        rejects(
            &constraint(&["batch"]),
            "f32[2,3]",
            "`axes` has length 1, expected 2: one for each axis of `operand`",
        );
    }
}
