//! Shape and dtype inference: pure functions from an op and its operand types to its result types.
//!
//! Each op's constraints are those of the StableHLO specification, checked in its order, with these
//! differences:
//! - no implicit promotion: bodies of `reduce` and `scatter` work in the element type of their inputs;
//! - `if` and `case` pass arguments to their branches, which capture nothing;
//! - `bitcast_convert` has no `pred`, whose width compilers disagree about;
//! - dimensions that `gather` removes have slice size 1, not 0;
//! - `rng_bit_generator` with the target's choice of algorithm takes the states that Philox takes;
//! - every result fits an address space, counted in bytes of host memory.

mod callee;
mod check;
mod class;
mod control;
mod dot;
mod elementwise;
mod error;
mod gather;
mod misc;
mod reduce_sort;
mod role;
mod scatter;
mod shape;
mod slice;
#[cfg(test)]
mod testing;

pub use callee::Callees;
pub use class::DTypeClass;
pub use error::{InferError, OperandCount};
pub use role::Role;

pub(crate) use check::fits_memory;
pub(crate) use error::{Operands, TypeList};

use crate::{Op, TensorType};

/// The result types of `op` applied to operands of these types.
///
/// # Errors
/// If the op's constraints in the StableHLO specification do not hold.
pub fn infer(
    op: &Op,
    operands: &[&TensorType],
    callees: &dyn Callees,
) -> Result<Vec<TensorType>, InferError> {
    let results = match op {
        Op::Constant { value } => misc::constant(operands, value).map(one),
        Op::Iota { result, dim } => shape::iota(operands, result, *dim).map(one),
        Op::Unary { kind } => elementwise::unary(operands, *kind).map(one),
        Op::Binary { kind } => elementwise::binary(operands, *kind).map(one),
        Op::Compare { direction: _, total_order } => elementwise::compare(operands, *total_order).map(one),
        Op::Select => elementwise::select(operands).map(one),
        Op::Clamp => elementwise::clamp(operands).map(one),
        Op::Convert { to } => elementwise::convert(operands, *to).map(one),
        Op::BitcastConvert { to } => shape::bitcast_convert(operands, *to).map(one),
        Op::BroadcastInDim { dims, broadcast_dims } => {
            shape::broadcast_in_dim(operands, dims, broadcast_dims).map(one)
        }
        Op::Reshape { dims } => shape::reshape(operands, dims).map(one),
        Op::Transpose { permutation } => shape::transpose(operands, permutation).map(one),
        Op::Concatenate { dim } => slice::concatenate(operands, *dim).map(one),
        Op::Slice { start, limit, stride } => slice::slice(operands, start, limit, stride).map(one),
        Op::DynamicSlice { sizes } => slice::dynamic_slice(operands, sizes).map(one),
        Op::DynamicUpdateSlice => slice::dynamic_update_slice(operands).map(one),
        Op::Pad { low, high, interior } => slice::pad(operands, low, high, interior).map(one),
        Op::Reverse { dims } => shape::reverse(operands, dims).map(one),
        Op::Gather { dims, slice_sizes, indices_are_sorted: _ } => {
            gather::gather(operands, dims, slice_sizes).map(one)
        }
        Op::Scatter { dims, indices_are_sorted: _, unique_indices: _, body } => {
            scatter::scatter(operands, dims, *body, callees)
        }
        Op::DotGeneral { dims, precision: _, result } => dot::dot_general(operands, dims, *result).map(one),
        Op::Reduce { dims, body } => reduce_sort::reduce(operands, dims, *body, callees),
        Op::Sort { dim, stable: _, comparator } => reduce_sort::sort(operands, *dim, *comparator, callees),
        Op::While { cond, body } => control::while_loop(operands, *cond, *body, callees),
        Op::If { then_branch, else_branch } => {
            control::if_else(operands, *then_branch, *else_branch, callees)
        }
        Op::Case { branches } => control::case(operands, branches, callees),
        Op::Call { callee } => control::call(operands, "callee", *callee, callees),
        Op::RngBitGenerator { algorithm, result } => misc::rng_bit_generator(operands, *algorithm, result),
        Op::CustomCall { target: _, results, attributes: _, has_side_effect: _ } => Ok(results.clone()),
        Op::OptimizationBarrier => Ok(owned(operands)),
        Op::Composite { name: _, attributes: _, decomposition } => {
            control::call(operands, "decomposition", *decomposition, callees)
        }
        Op::ShardingConstraint { axes } => misc::sharding_constraint(operands, axes).map(one),
    }?;
    results.iter().try_for_each(fits_memory)?;
    Ok(results)
}

fn owned(types: &[&TensorType]) -> Vec<TensorType> {
    types.iter().map(|&ty| ty.clone()).collect()
}

fn one(result: TensorType) -> Vec<TensorType> {
    vec![result]
}
