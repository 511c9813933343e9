//! Logical axes of a program's parameters.

use lapidary_graph::LogicalAxes;

use crate::encoding::WeightTensor;
use crate::weights::WeightRole;

/// Logical axes of a layer's keys or values.
pub(super) fn cache_axes() -> LogicalAxes {
    LogicalAxes::of(&["cache_batch", "kv_heads", "cache", "head_dim"])
}

/// Logical axes of a tensor of a weight. Fused `heads * head_dim` dimensions carry the axis of the heads; what stands for
/// several inputs, such as the scale of a group, carries blocks of the axis of the inputs.
pub(super) fn weight_axes(tensor: &WeightTensor) -> LogicalAxes {
    let of_weight: &[&str] = match tensor.weight.role {
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
    };
    let dims = tensor.weight.dims.iter().zip(&tensor.dims);
    let axes = of_weight.iter().zip(dims).map(|(axis, (&elements, &held))| {
        Some(LogicalAxes::blocks(axis, elements.checked_div(held).unwrap_or(1)))
    });
    LogicalAxes(axes.collect())
}
