//! Metadata to configs.

use super::file::{Field, GgufFile};
use super::model::{config, metadata, with_weights};
use super::{opened, refusal};
use crate::config::GemmaConfig;
use crate::dtype::StoredDtype;
use crate::gguf::config::config as read;
use crate::gguf::header;

/// The config of a file's metadata alone.
fn of(file: &GgufFile) -> GemmaConfig {
    let bytes = file.bytes();
    let header = header::parse(&bytes).unwrap();
    read(&bytes, &header.metadata, None).unwrap()
}

#[test]
fn published_models_read_back_as_themselves() {
    // The tiny one has a query scale of its own, which no GGUF file can say.
    for name in GemmaConfig::names().into_iter().filter(|name| *name != GemmaConfig::TINY) {
        let published = GemmaConfig::named(name).unwrap();
        let prefix = published.architecture.model_type();
        let vocab = Field::U32(published.vocab_size as u32);
        let file = metadata(&published).with(&format!("{prefix}.vocab_size"), vocab);
        // Among them 27B, whose query scale follows from no key of the file.
        assert_eq!(of(&file), published, "{name}");
    }
}

#[test]
fn absent_keys_mean_what_llama_cpp_takes_them_to_mean() {
    let mut file = metadata(&config()).with("gemma2.vocab_size", Field::U32(512));
    for key in [
        "attention.head_count_kv",
        "attention.key_length",
        "attention.value_length",
        "attention.sliding_window",
        "attn_logit_softcapping",
        "final_logit_softcapping",
    ] {
        file = file.without(&format!("gemma2.{key}"));
    }
    for id in ["bos", "eos", "eot", "padding"] {
        file = file.without(&format!("tokenizer.ggml.{id}_token_id"));
    }
    let read = of(&file);
    assert_eq!((read.num_kv_heads, read.head_dim, read.sliding_window), (4, 64, Some(4096)));
    assert_eq!((read.attn_logit_softcap, read.final_logit_softcap), (Some(50.0), Some(30.0)));
    assert_eq!((read.bos_token_id, read.eos_token_ids, read.pad_token_id), (2, vec![1], 0));
    assert_eq!((read.rope_theta, read.checkpoint_dtype), (10_000.0, StoredDtype::Bf16));
}

#[test]
fn ends_of_generation_are_gathered() {
    let pieces = (0..512).map(|id| if id == 107 { "<end_of_turn>".into() } else { format!("<{id}>") });
    let file = metadata(&config())
        .with("gemma2.vocab_size", Field::U32(512))
        .with("tokenizer.ggml.eot_token_id", Field::U32(5))
        .with("tokenizer.ggml.padding_token_id", Field::U32(u32::MAX))
        .with("tokenizer.ggml.tokens", Field::Texts(pieces.collect()));
    let read = of(&file);
    assert_eq!((read.eos_token_ids, read.pad_token_id), (vec![1, 5, 107], 0));
}

#[test]
fn other_models_are_named() {
    for other in ["llama", "gemma3"] {
        let file = metadata(&config()).with("general.architecture", Field::Text(other.into()));
        let message = refusal(&file);
        assert!(
            message.contains(&format!("it is a {other} model; Lapidary runs gemma and gemma2")),
            "{message}"
        );
    }
    assert!(refusal(&GgufFile::default()).contains("`general.architecture` is missing"));
}

#[test]
fn keys_are_checked() {
    let sound = metadata(&config()).with("gemma2.vocab_size", Field::U32(512));
    let refused = |key: &str, field: Field| refusal(&sound.clone().with(key, field));
    let missing = refusal(&sound.clone().without("gemma2.block_count"));
    assert!(missing.contains("`gemma2.block_count` is missing"), "{missing}");
    for (key, field) in [
        ("gemma2.block_count", Field::Text("two".into())),
        ("gemma2.block_count", Field::Raw(5, (-1_i32).to_le_bytes().to_vec())),
        ("gemma2.attention.value_length", Field::U32(32)),
        ("gemma2.rope.dimension_count", Field::U32(32)),
        ("gemma2.rope.scaling.type", Field::Text("yarn".into())),
        ("gemma2.attn_logit_softcapping", Field::Text("50".into())),
    ] {
        let message = refused(key, field);
        assert!(message.contains(key), "{key}: {message}");
    }
    let message = refused("gemma2.block_count", Field::U32(u32::MAX));
    assert!(message.contains("num_hidden_layers"), "{message}");
}

#[test]
fn a_dense_embedding_says_what_to_compute_in() {
    for (kind, dtype) in
        [(0, StoredDtype::F32), (1, StoredDtype::F16), (30, StoredDtype::Bf16), (8, StoredDtype::Bf16)]
    {
        let config = config();
        let checkpoint = opened(&with_weights(metadata(&config), &config, kind)).unwrap();
        assert_eq!(checkpoint.config().checkpoint_dtype, dtype);
    }
}
