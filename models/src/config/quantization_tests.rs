use serde_json::{Value, json};

use super::*;
use crate::dtype::StoredDtype;
use crate::encoding::WeightScheme;

fn encoded(scheme: &str) -> GemmaConfig {
    let mut config = GemmaConfig::named("gemma2-2b").unwrap().with_layers(2).unwrap();
    config.encodings = Encodings::uniform(&config, scheme.parse::<WeightScheme>().unwrap()).unwrap();
    config
}

/// A config with this `quantization_config`.
fn with(quantization: &Value) -> Result<GemmaConfig, ConfigError> {
    let mut object: Map<String, Value> = serde_json::from_str(&encoded("bf16").to_json()).unwrap();
    object.insert(FIELD.to_owned(), quantization.clone());
    GemmaConfig::from_json(Value::Object(object).to_string().as_bytes())
}

/// As quantizers write it for 4 bits in groups of 128.
fn w4a16() -> Value {
    json!({
        "config_groups": {"group_0": {
            "input_activations": null,
            "output_activations": null,
            "targets": ["Linear"],
            "weights": {
                "actorder": null, "block_structure": null, "dynamic": false, "group_size": 128, "num_bits": 4,
                "observer": "minmax", "observer_kwargs": {}, "strategy": "group", "symmetric": true, "type": "int",
            },
        }},
        "format": "pack-quantized",
        "global_compression_ratio": 1.8,
        "ignore": ["lm_head"],
        "kv_cache_scheme": null,
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
        "sparsity_config": {},
    })
}

#[test]
fn what_is_written_is_read() {
    for scheme in ["int8", "int8:64", "int4:32", "int4:128"] {
        let mut config = encoded(scheme);
        assert_eq!(GemmaConfig::from_json(config.to_json().as_bytes()).unwrap(), config, "{scheme}");
        // Exceptions: a dense weight, and one of another encoding.
        let specs = weight_specs(&config);
        let of = |name: &str| specs.iter().find(|spec| spec.name.contains(name)).unwrap();
        config.encodings.set(of("0.mlp.up_proj"), Encoding::Dense);
        let groups = Groups { size: 256, scales: StoredDtype::Bf16, offsets: false };
        config.encodings.set(of("1.self_attn.q_proj"), Encoding::Int8(groups));
        config.encodings.set(of("embed_tokens"), Encoding::Dense);
        assert_eq!(GemmaConfig::from_json(config.to_json().as_bytes()).unwrap(), config, "{scheme}");
    }
    assert!(!encoded("bf16").to_json().contains(FIELD));
}

#[test]
fn others_configs_are_read() {
    let config = with(&w4a16()).unwrap();
    let encoding = |name: &str| {
        config.encodings.of(weight_specs(&config).iter().find(|spec| spec.name.contains(name)).unwrap())
    };
    let groups = Groups { size: 128, scales: StoredDtype::Bf16, offsets: false };
    assert_eq!(encoding("1.mlp.down_proj"), Encoding::Int4(groups));
    assert_eq!(encoding("embed_tokens"), Encoding::Dense);
    assert_eq!(encoding("input_layernorm"), Encoding::Dense);

    let mut targeted = w4a16();
    let group = &mut targeted["config_groups"]["group_0"];
    group["targets"] = json!(["re:.*(gate|up|down)_proj$", "model.layers.0.self_attn.q_proj"]);
    group["weights"]["actorder"] = json!("static");
    targeted["ignore"] = json!(["re:.*layers\\.1\\..*"]);
    let config = with(&targeted).unwrap();
    let encoded: Vec<_> = weight_specs(&config)
        .into_iter()
        .filter(|spec| config.encodings.of(spec) != Encoding::Dense)
        .map(|spec| spec.name.replace("model.layers.", "").replace(".weight", ""))
        .collect();
    assert_eq!(encoded, ["0.self_attn.q_proj", "0.mlp.gate_proj", "0.mlp.up_proj", "0.mlp.down_proj"]);
}

#[test]
fn what_is_not_supported_is_told() {
    let refused = |edit: &dyn Fn(&mut Value), part: &str| {
        let mut quantization = w4a16();
        edit(&mut quantization);
        let message = with(&quantization).unwrap_err().to_string();
        assert!(message.contains(FIELD) && message.contains(part), "{message}");
        message
    };
    let message = refused(&|config| config["quant_method"] = json!("gptq"), "method `gptq`");
    assert!(message.contains("pack-quantized") && message.contains("int-quantized"), "{message}");
    refused(&|config| config["quant_method"] = Value::Null, "method `none`");
    refused(&|config| config["config_groups"] = json!([]), "config_groups");
    refused(&|config| config["kv_cache_scheme"] = json!({"num_bits": 8}), "quantized KV cache");
    refused(&|config| config["sparsity_config"] = json!({"format": "sparse-24"}), "sparse-24");
    refused(&|config| config["format"] = json!("float-quantized"), "format `float-quantized`");
    refused(&|config| config["ignore"] = json!(["re:("]), "`ignore`");
    let group = |edit: &dyn Fn(&mut Value), part: &str| {
        refused(&|config| edit(&mut config["config_groups"]["group_0"]), part);
    };
    group(&|group| group["input_activations"] = json!({"num_bits": 8}), "quantized activations");
    group(&|group| group["targets"] = json!([3]), "`targets`");
    let weights = |field: &str, value: Value, part: &str| {
        group(&|group| group["weights"][field] = value.clone(), part);
    };
    weights("type", json!("float"), "type `float`");
    weights("num_bits", json!(3), "3 bits");
    weights("symmetric", json!(false), "asymmetric");
    weights("actorder", json!("group"), "actorder");
    weights("strategy", json!("tensor"), "strategy `tensor`");
    weights("group_size", json!(100), "groups of 100");
}
