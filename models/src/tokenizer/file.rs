//! What is checked in a `tokenizer.json` before the `tokenizers` crate reads it, which panics on some damage.

use serde::Deserialize;
use serde_json::Value;

/// The parts that matter here. The vocabulary, which is most of the file, is passed over.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct TokenizerFile {
    model: Model,
    #[serde(default)]
    normalizer: Value,
    /// `tokenizers` unwraps the JSON errors of this part. Nothing of it is used, but read as a value it has none.
    #[serde(default, rename = "decoder")]
    _decoder: Value,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Model {
    continuing_subword_prefix: Option<String>,
}

impl TokenizerFile {
    /// Reads the text of a `tokenizer.json`.
    pub(super) fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// A feature in use that Gemma's tokenizers do not have, and that `tokenizers` panics on where its details
    /// (merges that do not fit the prefix, a damaged character map) are wrong.
    pub(super) fn foreign_feature(&self) -> Option<&'static str> {
        if self.model.continuing_subword_prefix.as_ref().is_some_and(|prefix| !prefix.is_empty()) {
            return Some("continuing_subword_prefix");
        }
        has_type(&self.normalizer, "Precompiled").then_some("a Precompiled normalizer")
    }
}

/// Whether a component, or one in it, is of a type.
fn has_type(component: &Value, name: &str) -> bool {
    match component {
        Value::Object(fields) => {
            fields.get("type").is_some_and(|kind| kind == name)
                || fields.values().any(|field| has_type(field, name))
        }
        Value::Array(parts) => parts.iter().any(|part| has_type(part, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
