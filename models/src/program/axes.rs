//! Logical axes of a program's parameters.

use lapidary_graph::LogicalAxes;

use crate::encoding::{Arrangement, WeightPart, WeightTensor};
use crate::weights::WeightRole;

/// Logical axes of a tensor of a weight. Fused `heads * head_dim` dimensions carry the axis of the heads; what stands for
/// several inputs, such as the scale of a group, carries blocks of the axis of the inputs.
pub(super) fn weight_axes(tensor: &WeightTensor) -> LogicalAxes {
    let of_weight = axes_of(tensor.weight.role);
    if let (Arrangement::Groups, &[outputs, inputs]) = (tensor.arrangement, of_weight) {
        return by_groups(tensor, outputs, inputs);
    }
    let dims = tensor.weight.dims.iter().zip(&tensor.dims);
    let axes = of_weight.iter().zip(dims).map(|(axis, (&elements, &held))| {
        Some(LogicalAxes::blocks(axis, elements.checked_div(held).unwrap_or(1)))
    });
    LogicalAxes(axes.collect())
}

/// Logical axes of a weight's tensor by groups: groups are whole on a device. Where there is only one, its inputs are what is
/// split, since the groups cannot be.
fn by_groups(tensor: &WeightTensor, outputs: &str, inputs: &str) -> LogicalAxes {
    let groups = tensor.dims.first().copied().unwrap_or(1);
    let elements = tensor.weight.dims.last().copied().unwrap_or(1);
    let blocks = LogicalAxes::blocks(inputs, elements.checked_div(groups).unwrap_or(1));
    let within = Some(inputs).filter(|_| groups == 1).unwrap_or_default();
    match tensor.part {
        WeightPart::Codes => LogicalAxes::of(&[&blocks, outputs, within]),
        WeightPart::Values | WeightPart::Scales | WeightPart::Offsets => LogicalAxes::of(&[&blocks, outputs]),
    }
}

/// Logical axes of a weight.
fn axes_of(role: WeightRole) -> &'static [&'static str] {
    match role {
        WeightRole::Embedding => &["vocab", "embed"],
        WeightRole::FinalNorm
        | WeightRole::InputNorm
        | WeightRole::PostAttentionNorm
        | WeightRole::PreFeedforwardNorm
        | WeightRole::PostFeedforwardNorm => &["embed"],
        WeightRole::Query => &["heads", "embed"],
        WeightRole::Key | WeightRole::Value => &["kv_heads", "embed"],
        WeightRole::AttentionOutput => &["embed", "heads"],
        WeightRole::Gate | WeightRole::Up => &["ffn", "embed"],
        WeightRole::Down => &["embed", "ffn"],
    }
}
