//! Which weights a model has, under Hugging Face's names, and their shapes.

use crate::config::{Architecture, GemmaConfig};
use crate::encoding::WeightTensor;

/// What a weight does. Norm weights store `w` of RMSNorm's factor `1 + w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WeightRole {
    /// Token embedding `[vocab, hidden]`, which transposed is also the projection to the logits.
    Embedding,
    /// RMSNorm before the projection to the logits `[hidden]`.
    FinalNorm,
    /// RMSNorm before attention `[hidden]`.
    InputNorm,
    /// `[hidden]`. Gemma 2: RMSNorm of attention's output, before it joins the residual stream.
    /// Gemma 1: the name notwithstanding, RMSNorm before the feed-forward.
    PostAttentionNorm,
    /// Gemma 2's RMSNorm before the feed-forward `[hidden]`.
    PreFeedforwardNorm,
    /// Gemma 2's RMSNorm of the feed-forward's output `[hidden]`.
    PostFeedforwardNorm,
    /// Query projection `[num_heads * head_dim, hidden]`.
    Query,
    /// Key projection `[num_kv_heads * head_dim, hidden]`.
    Key,
    /// Value projection `[num_kv_heads * head_dim, hidden]`.
    Value,
    /// Attention's output projection `[hidden, num_heads * head_dim]`.
    AttentionOutput,
    /// The feed-forward's gated branch `[intermediate, hidden]`, which goes through GELU.
    Gate,
    /// The feed-forward's linear branch `[intermediate, hidden]`.
    Up,
    /// The feed-forward's output projection `[hidden, intermediate]`.
    Down,
}

impl WeightRole {
    /// The roles of one decoder layer's weights, in the order they are used.
    pub const fn of_layer(architecture: Architecture) -> &'static [Self] {
        use WeightRole::*;
        match architecture {
            Architecture::Gemma1 => {
                &[InputNorm, Query, Key, Value, AttentionOutput, PostAttentionNorm, Gate, Up, Down]
            }
            Architecture::Gemma2 => &[
                InputNorm,
                Query,
                Key,
                Value,
                AttentionOutput,
                PostAttentionNorm,
                PreFeedforwardNorm,
                Gate,
                Up,
                Down,
                PostFeedforwardNorm,
            ],
        }
    }

    /// The tensor's name after `model.` or `model.layers.{i}.`, without `.weight`.
    const fn module(self) -> &'static str {
        match self {
            Self::Embedding => "embed_tokens",
            Self::FinalNorm => "norm",
            Self::InputNorm => "input_layernorm",
            Self::PostAttentionNorm => "post_attention_layernorm",
            Self::PreFeedforwardNorm => "pre_feedforward_layernorm",
            Self::PostFeedforwardNorm => "post_feedforward_layernorm",
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::AttentionOutput => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// The name of the module that the weight belongs to within its parent, such as `q_proj`.
    pub(crate) fn leaf(self) -> &'static str {
        let module = self.module();
        module.rsplit_once('.').map_or(module, |(_, leaf)| leaf)
    }

    fn dims(self, config: &GemmaConfig) -> Vec<usize> {
        match self {
            Self::Embedding => vec![config.vocab_size, config.hidden_size],
            Self::FinalNorm
            | Self::InputNorm
            | Self::PostAttentionNorm
            | Self::PreFeedforwardNorm
            | Self::PostFeedforwardNorm => vec![config.hidden_size],
            Self::Query => vec![config.query_size(), config.hidden_size],
            Self::Key | Self::Value => vec![config.kv_size(), config.hidden_size],
            Self::AttentionOutput => vec![config.hidden_size, config.query_size()],
            Self::Gate | Self::Up => vec![config.intermediate_size, config.hidden_size],
            Self::Down => vec![config.hidden_size, config.intermediate_size],
        }
    }
}

/// One weight of a model, however it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightSpec {
    /// Name in the checkpoint, such as `model.layers.7.self_attn.q_proj.weight`; an encoded weight's
    /// [tensors](Self::tensors) have it in theirs.
    pub name: String,
    /// What it does.
    pub role: WeightRole,
    /// The decoder layer it belongs to; `None` for the embedding and the final norm.
    pub layer: Option<usize>,
    /// Its shape; matrices are `[out, in]`.
    pub dims: Vec<usize>,
}

impl WeightSpec {
    /// The weight of `role` in the model (`layer` = `None`) or in one decoder layer.
    pub fn new(config: &GemmaConfig, role: WeightRole, layer: Option<usize>) -> Self {
        let name = match layer {
            None => format!("model.{}.weight", role.module()),
            Some(layer) => format!("model.layers.{layer}.{}.weight", role.module()),
        };
        Self { name, role, layer, dims: role.dims(config) }
    }

    /// Elements in the weight.
    pub fn element_count(&self) -> usize {
        self.dims.iter().product()
    }
}

/// Every tensor that programs of `config` take of a checkpoint, each weight in its encoding and in the arrangement that
/// [`Encodings::arrangement`](crate::encoding::Encodings::arrangement) says, in the order a forward pass meets them.
pub fn weight_tensors(config: &GemmaConfig) -> Vec<WeightTensor> {
    let encodings = &config.encodings;
    let tensors = |weight: &WeightSpec| weight.arranged(encodings.of(weight), encodings.arrangement());
    weight_specs(config).iter().flat_map(tensors).collect()
}

/// Every weight of a model of `config`, in the order a forward pass meets them.
pub fn weight_specs(config: &GemmaConfig) -> Vec<WeightSpec> {
    let layers = (0..config.num_layers).flat_map(|layer| {
        let roles = WeightRole::of_layer(config.architecture).iter();
        roles.map(move |role| WeightSpec::new(config, *role, Some(layer)))
    });
    std::iter::once(WeightSpec::new(config, WeightRole::Embedding, None))
        .chain(layers)
        .chain(std::iter::once(WeightSpec::new(config, WeightRole::FinalNorm, None)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_shapes_are_hugging_faces() {
        let specs = weight_specs(&GemmaConfig::named("gemma2-27b").unwrap());
        assert_eq!(specs.len(), 46 * 11 + 2);
        let dims = |name: &str| specs.iter().find(|spec| spec.name == name).unwrap().dims.clone();
        assert_eq!(dims("model.embed_tokens.weight"), [256_000, 4608]);
        assert_eq!(dims("model.layers.45.self_attn.q_proj.weight"), [4096, 4608]);
        assert_eq!(dims("model.layers.0.self_attn.v_proj.weight"), [2048, 4608]);
        assert_eq!(dims("model.layers.3.self_attn.o_proj.weight"), [4608, 4096]);
        assert_eq!(dims("model.layers.3.mlp.down_proj.weight"), [4608, 36_864]);
        assert_eq!(dims("model.layers.3.post_feedforward_layernorm.weight"), [4608]);
        assert_eq!(dims("model.norm.weight"), [4608]);
    }

    #[test]
    fn gemma1_has_two_norms_a_layer() {
        let config = GemmaConfig::named("gemma-2b").unwrap();
        let specs = weight_specs(&config);
        let norms = specs.iter().filter(|spec| spec.layer == Some(0) && spec.dims.len() == 1);
        assert_eq!(norms.count(), 2);
    }
}
