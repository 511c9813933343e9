//! One random change to a case, which usually breaks it.

use lapidary_graph::op::{DotDims, GatherDims, ScatterDims};
use lapidary_graph::{DType, FuncId, Op, TensorType};

use super::{Case, Choices, tensor};

/// Changes one operand, one attribute or the number of operands.
pub(crate) fn perturb(case: &mut Case, choices: &mut Choices) {
    match choices.below(6) {
        0 => {
            case.operands.pop();
        }
        1 => {
            let ty = TensorType::new(choices.dtype(|_| true), choices.dims());
            let extra = tensor(&ty, choices);
            case.operands.insert(choices.below(case.operands.len() + 1), extra);
        }
        2 => {
            let at = choices.below(case.operands.len());
            if let Some(operand) = case.operands.get_mut(at) {
                let ty = if choices.coin() {
                    operand.ty().with_dims(choices.dims())
                } else {
                    operand.ty().with_dtype(choices.dtype(|_| true))
                };
                *operand = tensor(&ty, choices);
            }
        }
        _ => attribute(&mut case.op, choices),
    }
}

/// Numbers that are likely out of range somewhere.
fn odd_size(choices: &mut Choices) -> usize {
    choices.pick(&[0, 1, 2, 3, 7, 1 << 40, usize::MAX])
}

fn attribute(op: &mut Op, choices: &mut Choices) {
    match op {
        Op::Iota { result, dim } => {
            if choices.coin() {
                list(&mut result.dims, choices)
            } else {
                *dim = odd_size(choices)
            }
        }
        Op::RngBitGenerator { algorithm: _, result } => {
            if choices.coin() {
                list(&mut result.dims, choices);
            } else {
                result.dtype = choices.dtype(|_| true);
            }
        }
        Op::Concatenate { dim } | Op::Sort { dim, stable: _, comparator: _ } => *dim = odd_size(choices),
        Op::Convert { to } | Op::BitcastConvert { to } => *to = choices.dtype(|_| true),
        Op::BroadcastInDim { dims, broadcast_dims } => one_of([dims, broadcast_dims], choices),
        Op::Reshape { dims } | Op::Reverse { dims } | Op::Transpose { permutation: dims } => {
            list(dims, choices);
        }
        Op::Reduce { dims, body } => {
            if choices.coin() {
                list(dims, choices)
            } else {
                *body = FuncId::new(odd_size(choices))
            }
        }
        Op::Slice { start, limit, stride } => one_of([start, limit, stride], choices),
        Op::DynamicSlice { sizes } => list(sizes, choices),
        Op::Pad { low, high, interior } => match choices.below(3) {
            0 => list(interior, choices),
            which => {
                let side = if which == 1 { low } else { high };
                let at = choices.below(side.len());
                if let Some(padding) = side.get_mut(at) {
                    *padding = choices.pick(&[i64::MIN, i64::MAX, -7, 5]);
                }
            }
        },
        Op::Gather { dims, slice_sizes, indices_are_sorted: _ } => {
            let GatherDims {
                offset_dims,
                collapsed_slice_dims,
                operand_batching_dims,
                start_indices_batching_dims,
                start_index_map,
                index_vector_dim,
            } = dims;
            if choices.below(7) == 0 {
                *index_vector_dim = odd_size(choices);
                return;
            }
            let lists = [
                offset_dims,
                collapsed_slice_dims,
                operand_batching_dims,
                start_indices_batching_dims,
                start_index_map,
                slice_sizes,
            ];
            one_of(lists, choices);
        }
        Op::Scatter { dims, indices_are_sorted: _, unique_indices: _, body: _ } => {
            let ScatterDims {
                update_window_dims,
                inserted_window_dims,
                input_batching_dims,
                scatter_indices_batching_dims,
                scatter_dims_to_operand_dims,
                index_vector_dim,
            } = dims;
            if choices.below(6) == 0 {
                *index_vector_dim = odd_size(choices);
                return;
            }
            let lists = [
                update_window_dims,
                inserted_window_dims,
                input_batching_dims,
                scatter_indices_batching_dims,
                scatter_dims_to_operand_dims,
            ];
            one_of(lists, choices);
        }
        Op::DotGeneral { dims, precision: _, result } => {
            let DotDims { lhs_batch, rhs_batch, lhs_contract, rhs_contract } = dims;
            if choices.below(5) == 0 {
                *result = choices.dtype(|_| true);
                return;
            }
            one_of([lhs_batch, rhs_batch, lhs_contract, rhs_contract], choices);
        }
        Op::While { cond, body } => *choices_of([cond, body], choices) = FuncId::new(odd_size(choices)),
        Op::If { then_branch, else_branch } => {
            *choices_of([then_branch, else_branch], choices) = FuncId::new(odd_size(choices));
        }
        Op::Case { branches } => {
            if choices.coin() {
                branches.clear()
            } else {
                branches.push(FuncId::new(odd_size(choices)))
            }
        }
        Op::Call { callee } | Op::Composite { name: _, attributes: _, decomposition: callee } => {
            *callee = FuncId::new(odd_size(choices));
        }
        Op::CustomCall { target: _, results, attributes: _, has_side_effect: _ } => {
            results.push(TensorType::new(DType::F32, [odd_size(choices)]));
        }
        Op::ShardingConstraint { axes } => axes.0.push(None),
        Op::Constant { .. }
        | Op::Unary { .. }
        | Op::Binary { .. }
        | Op::Compare { .. }
        | Op::Select
        | Op::Clamp
        | Op::DynamicUpdateSlice
        | Op::OptimizationBarrier => {}
    }
}

fn choices_of<'a, T, const N: usize>(options: [&'a mut T; N], choices: &mut Choices) -> &'a mut T {
    let at = choices.below(N);
    options.into_iter().nth(at).unwrap()
}

fn one_of<const N: usize>(lists: [&mut Vec<usize>; N], choices: &mut Choices) {
    list(choices_of(lists, choices), choices);
}

/// Adds, removes or changes a number.
fn list(list: &mut Vec<usize>, choices: &mut Choices) {
    let at = choices.below(list.len());
    match (choices.below(3), list.get_mut(at)) {
        (0, _) => list.insert(at, odd_size(choices)),
        (1, Some(_)) => {
            list.remove(at);
        }
        (_, Some(number)) => *number = odd_size(choices),
        (_, None) => {}
    }
}
