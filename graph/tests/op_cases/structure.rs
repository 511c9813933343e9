//! Ops that make or move elements.

use lapidary_graph::{DType, Op, TensorType};

use super::{Case, Choices, tensor};

fn any_type(choices: &mut Choices) -> TensorType {
    let dtype = choices.dtype(|_| true);
    TensorType::new(dtype, choices.dims())
}

pub(crate) fn constant(choices: &mut Choices) -> Case {
    let ty = any_type(choices);
    let value = tensor(&ty, choices).to_literal().unwrap();
    Case::of(Op::Constant { value }, &[], choices)
}

pub(crate) fn iota(choices: &mut Choices) -> Case {
    let mut dims = choices.dims();
    dims.push(choices.size());
    let dim = choices.below(dims.len());
    let result = TensorType::new(choices.dtype(|dtype| dtype != DType::Pred), dims);
    Case::of(Op::Iota { result, dim }, &[], choices)
}

pub(crate) fn broadcast_in_dim(choices: &mut Choices) -> Case {
    let dims = choices.dims();
    let broadcast_dims = choices.subset(dims.len());
    let operand: Vec<usize> =
        broadcast_dims.iter().map(|&dim| if choices.coin() { dims[dim] } else { 1 }).collect();
    let ty = TensorType::new(choices.dtype(|_| true), operand);
    Case::of(Op::BroadcastInDim { dims, broadcast_dims }, &[ty], choices)
}

pub(crate) fn reshape(choices: &mut Choices) -> Case {
    let ty = any_type(choices);
    let order = choices.permutation(ty.rank());
    let mut dims: Vec<usize> = order.into_iter().map(|dim| ty.dims[dim]).collect();
    match choices.below(3) {
        0 => dims = vec![ty.num_elements()],
        1 => dims.insert(choices.below(dims.len() + 1), 1),
        _ => {}
    }
    Case::of(Op::Reshape { dims }, &[ty], choices)
}

pub(crate) fn transpose(choices: &mut Choices) -> Case {
    let ty = any_type(choices);
    let permutation = choices.permutation(ty.rank());
    Case::of(Op::Transpose { permutation }, &[ty], choices)
}

pub(crate) fn concatenate(choices: &mut Choices) -> Case {
    let mut ty = any_type(choices);
    ty.dims.push(choices.size());
    let dim = choices.below(ty.rank());
    let types: Vec<TensorType> = (0..1 + choices.below(3))
        .map(|_| {
            let mut ty = ty.clone();
            ty.dims[dim] = choices.size();
            ty
        })
        .collect();
    Case::of(Op::Concatenate { dim }, &types, choices)
}

pub(crate) fn slice(choices: &mut Choices) -> Case {
    let ty = any_type(choices);
    let limit: Vec<usize> = ty.dims.iter().map(|&size| choices.below(size + 1)).collect();
    let start = limit.iter().map(|&limit| choices.below(limit + 1)).collect();
    let stride = ty.dims.iter().map(|_| 1 + choices.below(3)).collect();
    Case::of(Op::Slice { start, limit, stride }, &[ty], choices)
}

/// An operand, a box that fits into it, and scalar starts.
fn boxed(choices: &mut Choices) -> (TensorType, Vec<usize>, Vec<TensorType>) {
    let ty = any_type(choices);
    let sizes = ty.dims.iter().map(|&size| choices.below(size + 1)).collect();
    let index = TensorType::scalar(choices.dtype(DType::is_integer));
    let starts = vec![index; ty.rank()];
    (ty, sizes, starts)
}

pub(crate) fn dynamic_slice(choices: &mut Choices) -> Case {
    let (ty, sizes, starts) = boxed(choices);
    Case::of(Op::DynamicSlice { sizes }, &[vec![ty], starts].concat(), choices)
}

pub(crate) fn dynamic_update_slice(choices: &mut Choices) -> Case {
    let (ty, sizes, starts) = boxed(choices);
    let update = ty.with_dims(sizes);
    Case::of(Op::DynamicUpdateSlice, &[vec![ty, update], starts].concat(), choices)
}

pub(crate) fn pad(choices: &mut Choices) -> Case {
    let ty = any_type(choices);
    let (mut low, mut high, mut interior) = (Vec::new(), Vec::new(), Vec::new());
    for &size in &ty.dims {
        let between = choices.below(3);
        let spread = (size + size.saturating_sub(1) * between) as i64;
        let before = choices.between(-spread, 3);
        interior.push(between);
        low.push(before);
        high.push(choices.between(-(spread + before), 3));
    }
    let value = TensorType::scalar(ty.dtype);
    Case::of(Op::Pad { low, high, interior }, &[ty, value], choices)
}

pub(crate) fn reverse(choices: &mut Choices) -> Case {
    let ty = any_type(choices);
    let dims = choices.subset(ty.rank());
    Case::of(Op::Reverse { dims }, &[ty], choices)
}
