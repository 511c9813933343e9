//! Writing the files that transformers reads a config from.

use serde_json::{Map, Value, json};

use super::{Architecture, AttentionKind, GemmaConfig, quantization};

impl GemmaConfig {
    /// The text of `config.json`, in the spelling that every version of transformers with Gemma reads.
    pub fn to_json(&self) -> String {
        let mut object = json_object(json!({
            "architectures": [self.architecture.class_name()],
            "model_type": self.architecture.model_type(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_kv_heads,
            "head_dim": self.head_dim,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_activation": "gelu_pytorch_tanh",
            "max_position_embeddings": self.context,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "attention_bias": false,
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "tie_word_embeddings": true,
            "use_cache": true,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": self.eos_json(),
            "pad_token_id": self.pad_token_id,
            "torch_dtype": self.checkpoint_dtype.config_name(),
        }));
        match self.architecture {
            Architecture::Gemma1 => {}
            Architecture::Gemma2 => object.append(&mut json_object(json!({
                "query_pre_attn_scalar": integer_if_whole(self.query_pre_attn_scalar),
                "attn_logit_softcapping": self.attn_logit_softcap,
                "final_logit_softcapping": self.final_logit_softcap,
                "sliding_window": self.sliding_window,
                "layer_types": self.layer_kinds.iter().map(layer_type).collect::<Vec<_>>(),
            }))),
        }
        if let Some(quantization) = self.quantization_json() {
            object.insert("quantization_config".to_owned(), quantization);
        }
        pretty(&object)
    }

    /// How `config.json` says that the weights are stored; `None` if they are dense, or stored in a way that it has no
    /// words for.
    pub(crate) fn quantization_json(&self) -> Option<Value> {
        quantization::write(self)
    }

    /// The text of `generation_config.json`.
    pub fn to_generation_json(&self) -> String {
        pretty(&json_object(json!({
            "_from_model_config": true,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": self.eos_json(),
            "pad_token_id": self.pad_token_id,
        })))
    }

    fn eos_json(&self) -> Value {
        match self.eos_token_ids.as_slice() {
            [only] => json!(only),
            several => json!(several),
        }
    }
}

/// transformers 5 types the field as an integer, although it only ever takes its root.
fn integer_if_whole(value: f64) -> Value {
    let whole = value as u64;
    if whole as f64 == value { json!(whole) } else { json!(value) }
}

const fn layer_type(kind: &AttentionKind) -> &'static str {
    match kind {
        AttentionKind::Global => "full_attention",
        AttentionKind::Local { .. } => "sliding_attention",
    }
}

fn json_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn pretty(object: &Map<String, Value>) -> String {
    // The alternate form of `Value`'s Display is indented and, unlike a serializer, cannot fail.
    format!("{:#}\n", Value::Object(object.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_config_reads_back_as_itself() {
        for name in GemmaConfig::names() {
            let config = GemmaConfig::named(name).unwrap();
            assert_eq!(GemmaConfig::from_json(config.to_json().as_bytes()).unwrap(), config, "{name}");
        }
    }

    #[test]
    fn whole_query_scalars_are_integers() {
        let mut config = GemmaConfig::tiny();
        assert!(config.to_json().contains("\"query_pre_attn_scalar\": 16,"));
        config.query_pre_attn_scalar = 20.25;
        assert_eq!(GemmaConfig::from_json(config.to_json().as_bytes()).unwrap(), config);
    }

    #[test]
    fn softcaps_that_are_off_stay_off() {
        let mut config = GemmaConfig::named("gemma2-2b").unwrap();
        config.attn_logit_softcap = None;
        config.sliding_window = None;
        let config = config.with_layers(4).unwrap();
        assert_eq!(GemmaConfig::from_json(config.to_json().as_bytes()).unwrap(), config);
    }
}
