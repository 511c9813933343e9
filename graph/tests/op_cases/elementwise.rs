//! Elementwise ops.

use lapidary_graph::dtype::DTypeKind;
use lapidary_graph::op::{BinaryKind, Comparison, UnaryKind};
use lapidary_graph::{DType, Op, TensorType};

use super::{Case, Choices};

pub(crate) fn unary(choices: &mut Choices) -> Case {
    let kind = choices.pick(UnaryKind::ALL);
    let dtype = choices.dtype(|dtype| match kind {
        UnaryKind::Abs | UnaryKind::Sign => matches!(dtype.kind(), DTypeKind::Signed | DTypeKind::Float),
        UnaryKind::Negate => dtype != DType::Pred,
        UnaryKind::Not => !dtype.is_float(),
        UnaryKind::CountLeadingZeros | UnaryKind::PopulationCount => dtype.is_integer(),
        _ => dtype.is_float(),
    });
    let ty = TensorType::new(dtype, choices.dims());
    Case::of(Op::Unary { kind }, &[ty], choices)
}

pub(crate) fn binary(choices: &mut Choices) -> Case {
    let kind = choices.pick(BinaryKind::ALL);
    let dtype = choices.dtype(|dtype| match kind {
        BinaryKind::Add | BinaryKind::Maximum | BinaryKind::Minimum | BinaryKind::Multiply => true,
        BinaryKind::And | BinaryKind::Or | BinaryKind::Xor => !dtype.is_float(),
        BinaryKind::Atan2 => dtype.is_float(),
        BinaryKind::ShiftLeft | BinaryKind::ShiftRightArithmetic | BinaryKind::ShiftRightLogical => {
            dtype.is_integer()
        }
        BinaryKind::Divide | BinaryKind::Power | BinaryKind::Remainder | BinaryKind::Subtract => {
            dtype != DType::Pred
        }
    });
    let ty = TensorType::new(dtype, choices.dims());
    Case::of(Op::Binary { kind }, &[ty.clone(), ty], choices)
}

pub(crate) fn compare(choices: &mut Choices) -> Case {
    let total_order = choices.coin();
    let direction = choices.pick(Comparison::ALL);
    let dtype = choices.dtype(|dtype| !total_order || dtype.is_float());
    let ty = TensorType::new(dtype, choices.dims());
    Case::of(Op::Compare { direction, total_order }, &[ty.clone(), ty], choices)
}

pub(crate) fn select(choices: &mut Choices) -> Case {
    let ty = TensorType::new(choices.dtype(|_| true), choices.dims());
    let pred = if choices.coin() { ty.with_dtype(DType::Pred) } else { TensorType::scalar(DType::Pred) };
    Case::of(Op::Select, &[pred, ty.clone(), ty], choices)
}

pub(crate) fn clamp(choices: &mut Choices) -> Case {
    let ty = TensorType::new(choices.dtype(|_| true), choices.dims());
    let [low, high] = [0, 1].map(|_| if choices.coin() { ty.clone() } else { TensorType::scalar(ty.dtype) });
    Case::of(Op::Clamp, &[low, ty, high], choices)
}

pub(crate) fn convert(choices: &mut Choices) -> Case {
    let ty = TensorType::new(choices.dtype(|_| true), choices.dims());
    let to = choices.dtype(|_| true);
    Case::of(Op::Convert { to }, &[ty], choices)
}

pub(crate) fn bitcast_convert(choices: &mut Choices) -> Case {
    let from = choices.dtype(|dtype| dtype != DType::Pred);
    let to = choices.dtype(|dtype| dtype != DType::Pred);
    let mut dims = choices.dims();
    if to.bits() > from.bits() {
        dims.push(to.bits() / from.bits());
    }
    Case::of(Op::BitcastConvert { to }, &[TensorType::new(from, dims)], choices)
}
