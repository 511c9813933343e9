//! What GGUF calls Gemma's tensors.

use crate::config::Architecture;
use crate::weights::{WeightRole, WeightSpec};

pub(super) const EMBEDDING: &str = "token_embd.weight";
/// The projection to the logits, in files of models that do not use the embedding for it.
pub(super) const OUTPUT: &str = "output.weight";

/// The name of a weight.
pub(super) fn tensor_name(architecture: Architecture, weight: &WeightSpec) -> String {
    let module = match weight.role {
        WeightRole::Embedding => "token_embd",
        WeightRole::FinalNorm => "output_norm",
        WeightRole::InputNorm => "attn_norm",
        // Hugging Face's name means the norm before the feed-forward in Gemma 1; GGUF names it by what it does.
        WeightRole::PostAttentionNorm => match architecture {
            Architecture::Gemma1 => "ffn_norm",
            Architecture::Gemma2 => "post_attention_norm",
        },
        WeightRole::PreFeedforwardNorm => "ffn_norm",
        WeightRole::PostFeedforwardNorm => "post_ffw_norm",
        WeightRole::Query => "attn_q",
        WeightRole::Key => "attn_k",
        WeightRole::Value => "attn_v",
        WeightRole::AttentionOutput => "attn_output",
        WeightRole::Gate => "ffn_gate",
        WeightRole::Up => "ffn_up",
        WeightRole::Down => "ffn_down",
    };
    match weight.layer {
        None => format!("{module}.weight"),
        Some(layer) => format!("blk.{layer}.{module}.weight"),
    }
}
