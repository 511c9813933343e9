use serde_json::json;

use super::*;

/// As google/gemma-2-2b ships it.
const GEMMA2_2B_OLD: &str = r#"{
  "architectures": ["Gemma2ForCausalLM"],
  "attention_bias": false,
  "attention_dropout": 0.0,
  "attn_logit_softcapping": 50.0,
  "bos_token_id": 2,
  "cache_implementation": "hybrid",
  "eos_token_id": [1, 107],
  "final_logit_softcapping": 30.0,
  "head_dim": 256,
  "hidden_act": "gelu_pytorch_tanh",
  "hidden_activation": "gelu_pytorch_tanh",
  "hidden_size": 2304,
  "initializer_range": 0.02,
  "intermediate_size": 9216,
  "max_position_embeddings": 8192,
  "model_type": "gemma2",
  "num_attention_heads": 8,
  "num_hidden_layers": 26,
  "num_key_value_heads": 4,
  "pad_token_id": 0,
  "query_pre_attn_scalar": 256,
  "rms_norm_eps": 1e-06,
  "rope_theta": 10000.0,
  "sliding_window": 4096,
  "torch_dtype": "bfloat16",
  "transformers_version": "4.42.4",
  "use_cache": true,
  "vocab_size": 256000
}"#;

/// As google/gemma-2b first shipped it: `hidden_act: gelu`, and nothing that only Gemma 2 has.
const GEMMA_2B_OLD: &str = r#"{
  "architectures": ["GemmaForCausalLM"],
  "attention_bias": false,
  "attention_dropout": 0.0,
  "bos_token_id": 2,
  "eos_token_id": 1,
  "head_dim": 256,
  "hidden_act": "gelu",
  "hidden_size": 2048,
  "initializer_range": 0.02,
  "intermediate_size": 16384,
  "max_position_embeddings": 8192,
  "model_type": "gemma",
  "num_attention_heads": 8,
  "num_hidden_layers": 18,
  "num_key_value_heads": 1,
  "pad_token_id": 0,
  "rms_norm_eps": 1e-06,
  "rope_scaling": null,
  "rope_theta": 10000.0,
  "torch_dtype": "bfloat16",
  "transformers_version": "4.38.0.dev0",
  "use_cache": true,
  "vocab_size": 256000
}"#;

/// google/gemma-2-27b, as a transformers 5 would save it.
fn gemma2_27b_new() -> Value {
    let layer_types: Vec<_> =
        (0..46).map(|i| if i % 2 == 0 { "sliding_attention" } else { "full_attention" }).collect();
    json!({
        "architectures": ["Gemma2ForCausalLM"],
        "attention_bias": false,
        "attn_logit_softcapping": 50.0,
        "bos_token_id": 2,
        "dtype": "bfloat16",
        "eos_token_id": [1, 107],
        "final_logit_softcapping": 30.0,
        "head_dim": 128,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 4608,
        "intermediate_size": 36864,
        "layer_types": layer_types,
        "max_position_embeddings": 8192,
        "model_type": "gemma2",
        "num_attention_heads": 32,
        "num_hidden_layers": 46,
        "num_key_value_heads": 16,
        "pad_token_id": 0,
        "query_pre_attn_scalar": 144,
        "rms_norm_eps": 1e-06,
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
        "sliding_window": 4096,
        "tie_word_embeddings": true,
        "use_bidirectional_attention": null,
        "vocab_size": 256000
    })
}

fn parse(value: &Value) -> Result<GemmaConfig, ConfigError> {
    GemmaConfig::from_json(value.to_string().as_bytes())
}

fn gemma2_2b_with(field: &str, value: Value) -> Result<GemmaConfig, ConfigError> {
    let mut config: Value = serde_json::from_str(GEMMA2_2B_OLD).unwrap();
    config[field] = value;
    parse(&config)
}

fn gemma2_2b_without(field: &str) -> Result<GemmaConfig, ConfigError> {
    let mut config: Value = serde_json::from_str(GEMMA2_2B_OLD).unwrap();
    config.as_object_mut().unwrap().shift_remove(field).unwrap();
    parse(&config)
}

#[test]
fn published_files_equal_the_table() {
    let old = GemmaConfig::from_json(GEMMA2_2B_OLD.as_bytes()).unwrap();
    assert_eq!(old, GemmaConfig::named("gemma2-2b").unwrap());
    assert_eq!(parse(&gemma2_27b_new()).unwrap(), GemmaConfig::named("gemma2-27b").unwrap());
    let gemma1 = GemmaConfig::from_json(GEMMA_2B_OLD.as_bytes()).unwrap();
    let expected = GemmaConfig { eos_token_ids: vec![1], ..GemmaConfig::named("gemma-2b").unwrap() };
    assert_eq!(gemma1, expected);
}

#[test]
fn layer_types_override_the_even_rule() {
    let mut config = gemma2_27b_new();
    config["layer_types"][0] = json!("full_attention");
    let config = parse(&config).unwrap();
    assert_eq!(config.layer_kinds[0], AttentionKind::Global);
    assert_eq!(config.layer_kinds[2], AttentionKind::Local { window: 4096 });
}

#[test]
fn null_softcap_is_off_and_absent_softcap_is_the_familys() {
    let field = "attn_logit_softcapping";
    assert_eq!(gemma2_2b_with(field, Value::Null).unwrap().attn_logit_softcap, None);
    assert_eq!(gemma2_2b_without(field).unwrap().attn_logit_softcap, Some(50.0));
    assert_eq!(gemma2_2b_without("sliding_window").unwrap().sliding_window, Some(4096));
}

#[test]
fn other_architectures_are_refused_by_name() {
    for (field, value, found) in [
        ("model_type", json!("llama"), "`llama`"),
        ("model_type", json!("gemma3_text"), "`gemma3_text`"),
        ("architectures", json!(["Gemma2ForSequenceClassification"]), "Gemma2ForSequenceClassification"),
        ("architectures", json!(["GemmaForCausalLM"]), "GemmaForCausalLM"),
    ] {
        let message = gemma2_2b_with(field, value).unwrap_err().to_string();
        assert!(message.contains(field) && message.contains(found), "{message}");
    }
    let config = gemma2_2b_without("model_type").unwrap();
    assert_eq!(config.architecture, Architecture::Gemma2);
    let config = gemma2_2b_without("architectures").unwrap();
    assert_eq!(config.architecture, Architecture::Gemma2);
}

#[test]
fn variations_are_refused_by_field() {
    for (field, value) in [
        ("hidden_activation", json!("gelu")),
        ("hidden_activation", json!("silu")),
        ("rope_scaling", json!({"type": "linear", "factor": 2.0})),
        ("rope_parameters", json!({"rope_type": "yarn", "rope_theta": 1e4})),
        ("rope_parameters", json!({"full_attention": {"rope_theta": 1e4}})),
        ("rope_parameters", json!({"rope_theta": 1e4, "partial_rotary_factor": 0.5})),
        ("quantization_config", json!({"bits": 4})),
        ("attention_bias", json!(true)),
        ("tie_word_embeddings", json!(false)),
        ("use_bidirectional_attention", json!(true)),
        ("torch_dtype", json!("float8_e4m3fn")),
        ("layer_types", json!(["linear_attention"])),
    ] {
        let message = gemma2_2b_with(field, value.clone()).unwrap_err().to_string();
        assert!(message.contains(&format!("`{field}`")), "{field} = {value}: {message}");
    }
}

#[test]
fn out_of_range_and_mistyped_values_name_the_field() {
    for (field, value) in [
        ("hidden_size", json!(-1)),
        ("hidden_size", json!(0)),
        ("hidden_size", json!("2304")),
        ("hidden_size", json!(2304.5)),
        ("vocab_size", json!(0)),
        ("num_hidden_layers", json!(u64::MAX)),
        ("num_hidden_layers", json!(1_000_000_000_000_u64)),
        ("num_attention_heads", json!(7)),
        ("head_dim", json!(127)),
        ("rms_norm_eps", json!(-1.0)),
        ("rms_norm_eps", json!("tiny")),
        ("rope_theta", json!(0)),
        ("query_pre_attn_scalar", json!(-256)),
        ("sliding_window", json!(0)),
        ("eos_token_id", json!("1")),
        ("eos_token_id", json!([1, -107])),
        ("eos_token_id", json!(256_000)),
        ("bos_token_id", json!(1_u64 << 40)),
        ("layer_types", json!([])),
        ("layer_types", json!("full_attention")),
        ("rope_parameters", json!([1])),
    ] {
        let message = gemma2_2b_with(field, value.clone()).unwrap_err().to_string();
        assert!(message.contains(&format!("`{field}`")), "{field} = {value}: {message}");
    }
}

#[test]
fn missing_sizes_are_named() {
    for field in ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"] {
        let message = gemma2_2b_without(field).unwrap_err().to_string();
        assert!(message.contains(field) && message.contains("missing"), "{message}");
    }
}

#[test]
fn text_that_is_no_json_object_is_refused() {
    assert!(matches!(GemmaConfig::from_json(b"[]"), Err(ConfigError::NotAnObject { .. })));
    // Python writes NaN, which is not JSON.
    for text in [&b"{\"rms_norm_eps\": NaN}"[..], b"{\"hidden_size\": ", b"", b"\xff\xfe", b"{\"a\": 1e999}"]
    {
        assert!(matches!(GemmaConfig::from_json(text), Err(ConfigError::Json(_))));
    }
}

#[test]
fn generation_config_adds_end_of_sequence_ids() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("config.json", GEMMA_2B_OLD);
    assert_eq!(GemmaConfig::open(directory.path()).unwrap().eos_token_ids, [1]);
    write("generation_config.json", r#"{"eos_token_id": [1, 107]}"#);
    assert_eq!(GemmaConfig::open(directory.path()).unwrap().eos_token_ids, [1, 107]);

    write("generation_config.json", r#"{"eos_token_id": [999999]}"#);
    let error = GemmaConfig::open(directory.path()).unwrap_err();
    assert!(error.to_string().contains("generation_config.json"), "{error}");
}

#[test]
fn absent_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let error = GemmaConfig::open(directory.path()).unwrap_err();
    assert!(
        matches!(error, ConfigError::NoConfig { .. }) && error.to_string().contains("config.json"),
        "{error}"
    );
}
