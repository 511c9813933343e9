//! A whole model as a GGUF file: metadata as llama.cpp's converter writes them, and tensors of one type.

use super::file::{Field, GgufFile};
use crate::config::{Architecture, GemmaConfig};
use crate::gguf::names::tensor_name;
use crate::gguf::tensor_type::TensorType;
use crate::weights::weight_specs;

/// A Gemma 2 whose rows are whole blocks of every type.
pub(super) fn config() -> GemmaConfig {
    GemmaConfig {
        hidden_size: 256,
        intermediate_size: 256,
        num_heads: 4,
        num_kv_heads: 2,
        head_dim: 64,
        query_pre_attn_scalar: 64.0,
        ..GemmaConfig::tiny()
    }
    .with_layers(2)
    .unwrap()
}

pub(super) fn metadata(config: &GemmaConfig) -> GgufFile {
    let prefix = config.architecture.model_type();
    let size = |file: GgufFile, key: &str, value: usize| {
        file.with(&format!("{prefix}.{key}"), Field::U32(value as u32))
    };
    let mut file = GgufFile::default().with("general.architecture", Field::Text(prefix.to_owned()));
    for (key, value) in [
        ("context_length", config.context),
        ("embedding_length", config.hidden_size),
        ("block_count", config.num_layers),
        ("feed_forward_length", config.intermediate_size),
        ("attention.head_count", config.num_heads),
        ("attention.head_count_kv", config.num_kv_heads),
        ("attention.key_length", config.head_dim),
        ("attention.value_length", config.head_dim),
    ] {
        file = size(file, key, value);
    }
    let number = |file: GgufFile, key: &str, value: f64| {
        file.with(&format!("{prefix}.{key}"), Field::F32(value as f32))
    };
    file = number(file, "attention.layer_norm_rms_epsilon", config.rms_norm_eps);
    if config.architecture == Architecture::Gemma2 {
        file = number(file, "attn_logit_softcapping", config.attn_logit_softcap.unwrap());
        file = number(file, "final_logit_softcapping", config.final_logit_softcap.unwrap());
        file = size(file, "attention.sliding_window", config.sliding_window.unwrap());
    }
    for (key, id) in [
        ("bos", config.bos_token_id),
        ("eos", config.eos_token_ids[0]),
        ("eot", config.eos_token_ids[1]),
        ("padding", config.pad_token_id),
    ] {
        file = file.with(&format!("tokenizer.ggml.{key}_token_id"), Field::U32(id));
    }
    file
}

/// The weights of `config` with matrices of type `kind`, all bytes zero, and norms of 1.
pub(super) fn with_weights(mut file: GgufFile, config: &GemmaConfig, kind: u32) -> GgufFile {
    let stored = TensorType::of(kind).unwrap();
    for weight in weight_specs(config) {
        let name = tensor_name(config.architecture, &weight);
        let dims: Vec<u64> = weight.dims.iter().rev().map(|extent| *extent as u64).collect();
        let elements = weight.element_count();
        file = match weight.dims.len() {
            1 => file.with_tensor(&name, &dims, 0, 1.0_f32.to_le_bytes().repeat(elements)),
            _ => {
                let bytes = elements / stored.block_elements() * stored.block_bytes();
                file.with_tensor(&name, &dims, kind, vec![0; bytes])
            }
        };
    }
    file
}

/// A sound file of the smallest model.
pub(super) fn sound() -> GgufFile {
    let config = config();
    with_weights(metadata(&config), &config, 8)
}
