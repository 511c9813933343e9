//! What distinguishes one Gemma from another: sizes, numerics, special ids.

mod error;
mod from_json;
mod generation;
mod named;
mod quantization;
mod to_json;
mod validate;

pub use error::ConfigError;
pub use generation::GenerationConfig;

use crate::dtype::StoredDtype;
use crate::encoding::Encodings;
use crate::weights::{weight_specs, weight_tensors};

/// Gemma's vocabulary before any padding.
const GEMMA_VOCAB: usize = 256_000;
/// Rows of the embedding in checkpoints that were converted from Flax with its padding kept.
const FLAX_PADDED_VOCAB: usize = 256_128;

/// The two generations, which differ in structure (norms a layer, softcaps, windows).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// Gemma 1 and 1.1: two norms a layer, no softcap, every layer attends globally.
    Gemma1,
    /// Gemma 2: four norms a layer, softcaps, every other layer attends within a window.
    Gemma2,
}

impl Architecture {
    /// `model_type` in `config.json`.
    pub const fn model_type(self) -> &'static str {
        match self {
            Self::Gemma1 => "gemma",
            Self::Gemma2 => "gemma2",
        }
    }

    /// The entry of `architectures` in `config.json`.
    pub const fn class_name(self) -> &'static str {
        match self {
            Self::Gemma1 => "GemmaForCausalLM",
            Self::Gemma2 => "Gemma2ForCausalLM",
        }
    }
}

/// Which keys the queries of one layer may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttentionKind {
    /// Every key up to and including the query's own.
    Global,
    /// The last `window` keys, the query's own included: `q - window < k <= q`.
    Local {
        /// Keys a query sees, itself included.
        window: usize,
    },
}

/// The sizes and numerics of one Gemma 1 or Gemma 2 model.
///
/// Obtained from [`GemmaConfig::named`] or [`GemmaConfig::from_json`], which validate; after changing a field
/// by hand, call [`GemmaConfig::validate`].
#[derive(Debug, Clone, PartialEq)]
pub struct GemmaConfig {
    /// Gemma 1 or Gemma 2.
    pub architecture: Architecture,
    /// Rows of the embedding. See [`GemmaConfig::live_vocab_size`] for how many stand for a token.
    pub vocab_size: usize,
    /// Width of the residual stream, `d_model`.
    pub hidden_size: usize,
    /// Width of each of the two branches of the GeGLU feed-forward.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_layers: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads; divides `num_heads`.
    pub num_kv_heads: usize,
    /// Width of one head; even, since RoPE rotates its halves.
    pub head_dim: usize,
    /// Queries are multiplied by this to the power -1/2 ([`GemmaConfig::query_scale`]). It equals `head_dim`
    /// in every Gemma but 27B, where it is `hidden_size / num_heads`.
    pub query_pre_attn_scalar: f64,
    /// Added to the mean square inside RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the RoPE frequencies.
    pub rope_theta: f64,
    /// The context: positions the model was trained for (`max_position_embeddings`).
    pub context: usize,
    /// The window of the local layers; `None` where all layers are global.
    pub sliding_window: Option<usize>,
    /// What each layer attends to; `num_layers` entries.
    pub layer_kinds: Vec<AttentionKind>,
    /// `cap * tanh(x / cap)` on attention scores; `None` for Gemma 1.
    pub attn_logit_softcap: Option<f64>,
    /// `cap * tanh(x / cap)` on the logits; `None` for Gemma 1.
    pub final_logit_softcap: Option<f64>,
    /// Begins every sequence, exactly once.
    pub bos_token_id: u32,
    /// Generation stops on any of these.
    pub eos_token_ids: Vec<u32>,
    /// Fills a batch; never meant to be generated.
    pub pad_token_id: u32,
    /// The element type the config declares for the checkpoint. The tensors themselves have the last word.
    pub checkpoint_dtype: StoredDtype,
    /// How each weight is stored, which is how programs take it. In the config of a
    /// [`Checkpoint`](crate::checkpoint::Checkpoint), as its tensors are; else as `quantization_config` declares.
    pub encodings: Encodings,
}

impl GemmaConfig {
    /// The factor on queries before the dot product with keys: `query_pre_attn_scalar^-1/2`.
    pub fn query_scale(&self) -> f64 {
        self.query_pre_attn_scalar.sqrt().recip()
    }

    /// Width of the query projection's output, `num_heads * head_dim`.
    pub const fn query_size(&self) -> usize {
        self.num_heads * self.head_dim
    }

    /// Width of the key (or value) projection's output, `num_kv_heads * head_dim`.
    pub const fn kv_size(&self) -> usize {
        self.num_kv_heads * self.head_dim
    }

    /// Ids that stand for a token. Less than `vocab_size` where the embedding keeps Flax's padding rows, whose
    /// logits mean nothing and must never be sampled.
    pub const fn live_vocab_size(&self) -> usize {
        if self.vocab_size == FLAX_PADDED_VOCAB { GEMMA_VOCAB } else { self.vocab_size }
    }

    /// Elements over all weights; the embedding, which also projects to the logits, counts once.
    pub fn parameter_count(&self) -> u64 {
        weight_specs(self).iter().map(|spec| spec.element_count() as u64).sum()
    }

    /// Bytes of all weights as they are stored, where those that are dense are of `dtype`.
    pub fn weight_bytes(&self, dtype: StoredDtype) -> u64 {
        weight_tensors(self).iter().map(|tensor| tensor.byte_count(dtype)).sum()
    }

    /// Bytes that the keys and values of one position take over all layers, in a cache of `dtype` that keeps
    /// every position (a ring buffer of the window's length needs less for local layers).
    pub const fn kv_bytes_per_token(&self, dtype: StoredDtype) -> u64 {
        (2 * self.num_layers * self.kv_size() * dtype.size()) as u64
    }

    /// The same model with `num_layers` layers, for which the family's rule says anew which are local. The weights of
    /// layers that it did not have are dense.
    pub fn with_layers(mut self, num_layers: usize) -> Result<Self, ConfigError> {
        self.num_layers = num_layers;
        self.layer_kinds = alternating_layers(num_layers, self.sliding_window);
        self.validate()?;
        self.encodings.retain(&weight_specs(&self));
        Ok(self)
    }
}

/// Gemma 2's rule: layers 0, 2, ... attend within the window, the others globally.
pub(crate) fn alternating_layers(num_layers: usize, sliding_window: Option<usize>) -> Vec<AttentionKind> {
    // An absurd count is `validate`'s to refuse; it must not be allocated for before that.
    (0..num_layers.min(validate::MAX_LAYERS))
        .map(|layer| match sliding_window {
            Some(window) if layer % 2 == 0 => AttentionKind::Local { window },
            Some(_) | None => AttentionKind::Global,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_counts_and_cache_sizes_of_the_published_models() {
        let facts: [(&str, u64, u64); 5] = [
            ("gemma2-2b", 2_614_341_888, 106_496),
            ("gemma2-9b", 9_241_705_984, 344_064),
            ("gemma2-27b", 27_227_128_320, 376_832),
            ("gemma-2b", 2_506_172_416, 18_432),
            ("gemma-7b", 8_537_680_896, 458_752),
        ];
        for (name, parameters, kv_bytes) in facts {
            let config = GemmaConfig::named(name).unwrap();
            assert_eq!(config.parameter_count(), parameters, "{name}");
            assert_eq!(config.kv_bytes_per_token(StoredDtype::Bf16), kv_bytes, "{name}");
        }
    }

    #[test]
    fn query_scale_of_27b_is_not_its_head_dim() {
        assert_eq!(GemmaConfig::named("gemma2-27b").unwrap().query_scale(), 1.0 / 12.0);
        assert_eq!(GemmaConfig::named("gemma2-2b").unwrap().query_scale(), 1.0 / 16.0);
    }

    #[test]
    fn even_layers_are_local() {
        let config = GemmaConfig::named("gemma2-2b").unwrap().with_layers(3).unwrap();
        let local = AttentionKind::Local { window: 4096 };
        assert_eq!(config.layer_kinds, [local, AttentionKind::Global, local]);
        let gemma1 = GemmaConfig::named("gemma-2b").unwrap();
        assert!(gemma1.layer_kinds.iter().all(|kind| *kind == AttentionKind::Global));
    }

    #[test]
    fn only_the_flax_padding_is_dead() {
        let mut config = GemmaConfig::named("gemma-2b").unwrap();
        assert_eq!(config.live_vocab_size(), 256_000);
        config.vocab_size = 256_128;
        assert_eq!(config.live_vocab_size(), 256_000);
        config.vocab_size = 512;
        assert_eq!(config.live_vocab_size(), 512);
    }
}
