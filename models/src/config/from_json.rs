//! Reading `config.json`, as old and as new versions of transformers write it.

use std::path::Path;

use serde_json::Value;

use super::{
    Architecture, AttentionKind, ConfigError, GemmaConfig, GenerationConfig, alternating_layers, quantization,
};
use crate::dtype::StoredDtype;
use crate::encoding::Encodings;
use crate::files;
use crate::gguf::{self, Gguf};
use crate::json::{FieldTypeError, Fields, excerpt, type_name};

/// The tanh approximation of GELU, by the names it goes under.
const GELU_TANH: [&str; 3] = ["gelu_pytorch_tanh", "gelu_tanh", "gelu_new"];

impl GemmaConfig {
    /// Reads `config.json` in a model directory and, if it is there, `generation_config.json`, whose
    /// end-of-sequence ids add to those of the former; or the metadata of a GGUF file.
    ///
    /// # Errors
    /// [`ConfigError::NoConfig`], [`ConfigError::Read`], [`ConfigError::File`] or [`ConfigError::Gguf`], with the path.
    pub fn open(model: &Path) -> Result<Self, ConfigError> {
        if gguf::is_gguf(model) {
            return Ok(Gguf::open(model)?.config()?);
        }
        let path = model.join(files::CONFIG);
        let text = std::fs::read(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                ConfigError::NoConfig { directory: model.to_owned(), gguf_files: gguf::files_in(model) }
            }
            _ => ConfigError::Read { path: path.clone(), source },
        })?;
        let config =
            Self::from_json(&text).map_err(|source| ConfigError::File { path, source: Box::new(source) })?;

        let path = model.join(files::GENERATION_CONFIG);
        match GenerationConfig::open(&path)? {
            None => Ok(config),
            Some(generation) => config
                .with_generation(&generation)
                .map_err(|source| ConfigError::File { path, source: Box::new(source) }),
        }
    }

    /// Reads the text of a `config.json`.
    ///
    /// # Errors
    /// Names the field that is missing, mistyped, out of range, or asks for what is not implemented.
    pub fn from_json(text: &[u8]) -> Result<Self, ConfigError> {
        let value: Value = serde_json::from_slice(text).map_err(ConfigError::Json)?;
        let Value::Object(object) = &value else {
            return Err(ConfigError::NotAnObject { found: type_name(&value) });
        };
        let fields = Fields::new(object);
        let architecture = architecture(&fields)?;
        refuse_variations(&fields)?;
        check_activation(&fields, architecture)?;

        let num_layers = required(&fields, "num_hidden_layers")?;
        let num_heads = required(&fields, "num_attention_heads")?;
        let head_dim = required(&fields, "head_dim")?;
        let sliding_window = sliding_window(&fields, architecture)?;
        let softcap = |field, default| softcap(&fields, architecture, field, default);
        let mut config = Self {
            architecture,
            vocab_size: required(&fields, "vocab_size")?,
            hidden_size: required(&fields, "hidden_size")?,
            intermediate_size: required(&fields, "intermediate_size")?,
            num_layers,
            num_heads,
            num_kv_heads: required(&fields, "num_key_value_heads")?,
            head_dim,
            query_pre_attn_scalar: query_pre_attn_scalar(&fields, architecture, head_dim)?,
            rms_norm_eps: fields.number("rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta: rope_theta(&fields)?,
            context: fields.size("max_position_embeddings")?.unwrap_or(8192),
            layer_kinds: layer_kinds(&fields, num_layers, sliding_window)?,
            sliding_window,
            attn_logit_softcap: softcap("attn_logit_softcapping", 50.0)?,
            final_logit_softcap: softcap("final_logit_softcapping", 30.0)?,
            bos_token_id: fields.token_id("bos_token_id")?.unwrap_or(2),
            eos_token_ids: some_or(fields.token_ids("eos_token_id")?, 1),
            pad_token_id: fields.token_id("pad_token_id")?.unwrap_or(0),
            checkpoint_dtype: checkpoint_dtype(&fields)?,
            encodings: Encodings::default(),
        };
        config.validate()?;
        config.encodings = quantization::read(&fields, &config)?;
        Ok(config)
    }

    /// This config with the end-of-sequence ids that generation knows beyond the model's own.
    ///
    /// # Errors
    /// [`ConfigError`] if such an id is out of range.
    pub fn with_generation(mut self, generation: &GenerationConfig) -> Result<Self, ConfigError> {
        for id in &generation.eos_token_ids {
            if !self.eos_token_ids.contains(id) {
                self.eos_token_ids.push(*id);
            }
        }
        self.validate()?;
        Ok(self)
    }
}

impl From<FieldTypeError> for ConfigError {
    fn from(error: FieldTypeError) -> Self {
        Self::Type { field: error.field, expected: error.expected, found: error.found }
    }
}

fn required(fields: &Fields<'_>, field: &'static str) -> Result<usize, ConfigError> {
    fields.size(field)?.ok_or(ConfigError::Missing { field })
}

fn some_or(ids: Vec<u32>, default: u32) -> Vec<u32> {
    if ids.is_empty() { vec![default] } else { ids }
}

/// `model_type` says what the sizes mean; `architectures` says with which head it was saved. Both must fit.
fn architecture(fields: &Fields<'_>) -> Result<Architecture, ConfigError> {
    let known = [Architecture::Gemma1, Architecture::Gemma2];
    let architecture = match fields.text("model_type")? {
        None => None,
        Some(found) => {
            Some(known.into_iter().find(|known| known.model_type() == found).ok_or_else(|| {
                ConfigError::Architecture { field: "model_type", found: format!("`{found}`") }
            })?)
        }
    };
    let class = fields.list("architectures")?.and_then(|classes| classes.first());
    match (architecture, class) {
        (Some(architecture), None) => Ok(architecture),
        (None, None) => Err(ConfigError::Missing { field: "model_type" }),
        (expected, Some(class)) => known
            .into_iter()
            .find(|known| class.as_str() == Some(known.class_name()))
            .filter(|found| expected.is_none_or(|expected| expected == *found))
            .ok_or_else(|| ConfigError::Architecture { field: "architectures", found: excerpt(class) }),
    }
}

/// Refuses what would silently change the mathematics if it were ignored.
fn refuse_variations(fields: &Fields<'_>) -> Result<(), ConfigError> {
    let unsupported =
        |field, value: &Value, reason| Err(ConfigError::Unsupported { field, value: excerpt(value), reason });
    let unwanted = [
        ("attention_bias", true, "Gemma's projections have no bias"),
        ("tie_word_embeddings", false, "Gemma's embedding is also its output projection"),
        ("use_bidirectional_attention", true, "only causal attention is implemented"),
    ];
    for (field, unwanted, reason) in unwanted {
        if fields.boolean(field)? == Some(unwanted) {
            return unsupported(field, &Value::Bool(unwanted), reason);
        }
    }
    Ok(())
}

/// `hidden_activation` decides where it is given. Google's first Gemma configs have only `hidden_act: gelu`,
/// which by their own later correction means the tanh approximation.
fn check_activation(fields: &Fields<'_>, architecture: Architecture) -> Result<(), ConfigError> {
    let (field, name) = match (fields.text("hidden_activation")?, fields.text("hidden_act")?) {
        (Some(name), _) => ("hidden_activation", name),
        (None, Some("gelu")) if architecture == Architecture::Gemma1 => return Ok(()),
        (None, Some(name)) => ("hidden_act", name),
        (None, None) => return Ok(()),
    };
    if GELU_TANH.contains(&name) {
        return Ok(());
    }
    Err(ConfigError::Unsupported {
        field,
        value: format!("`{name}`"),
        reason: "Gemma's feed-forward uses the tanh approximation of GELU (`gelu_pytorch_tanh`)",
    })
}

/// Old files have `rope_theta` and a `rope_scaling` that is null; new ones `rope_parameters` with both.
fn rope_theta(fields: &Fields<'_>) -> Result<f64, ConfigError> {
    let mut theta = fields.number("rope_theta")?;
    for field in ["rope_scaling", "rope_parameters"] {
        let Some(rope) = fields.object(field)? else { continue };
        for per_layer in ["full_attention", "sliding_attention"] {
            if let Some(value) = rope.value(per_layer) {
                let reason = "RoPE parameters by layer type are not part of Gemma 1 or 2";
                return Err(ConfigError::Unsupported { field, value: excerpt(value), reason });
            }
        }
        let kind = rope.text("rope_type")?.or(rope.text("type")?).unwrap_or("default");
        if kind != "default" {
            let reason = "only unscaled RoPE (`default`) is implemented";
            return Err(ConfigError::Unsupported { field, value: format!("`{kind}`"), reason });
        }
        if let Some(value) = rope.number("partial_rotary_factor")?
            && value != 1.0
        {
            let reason = "a partial_rotary_factor other than 1 is not implemented";
            return Err(ConfigError::Unsupported { field, value: value.to_string(), reason });
        }
        theta = rope.number("rope_theta")?.or(theta);
    }
    Ok(theta.unwrap_or(10_000.0))
}

fn query_pre_attn_scalar(
    fields: &Fields<'_>,
    architecture: Architecture,
    head_dim: usize,
) -> Result<f64, ConfigError> {
    match architecture {
        Architecture::Gemma1 => Ok(head_dim as f64),
        // transformers' default is a constant, not head_dim.
        Architecture::Gemma2 => Ok(fields.number("query_pre_attn_scalar")?.unwrap_or(256.0)),
    }
}

/// An explicit null switches a Gemma 2 softcap off; an absent field means the family's value.
fn softcap(
    fields: &Fields<'_>,
    architecture: Architecture,
    field: &'static str,
    default: f64,
) -> Result<Option<f64>, ConfigError> {
    match architecture {
        Architecture::Gemma1 => Ok(None),
        Architecture::Gemma2 if fields.is_null(field) => Ok(None),
        Architecture::Gemma2 => Ok(Some(fields.number(field)?.unwrap_or(default))),
    }
}

fn sliding_window(fields: &Fields<'_>, architecture: Architecture) -> Result<Option<usize>, ConfigError> {
    match architecture {
        Architecture::Gemma1 => Ok(None),
        Architecture::Gemma2 if fields.is_null("sliding_window") => Ok(None),
        Architecture::Gemma2 => Ok(Some(fields.size("sliding_window")?.unwrap_or(4096))),
    }
}

fn layer_kinds(
    fields: &Fields<'_>,
    num_layers: usize,
    sliding_window: Option<usize>,
) -> Result<Vec<AttentionKind>, ConfigError> {
    const FIELD: &str = "layer_types";
    let Some(types) = fields.list(FIELD)? else {
        return Ok(alternating_layers(num_layers, sliding_window));
    };
    let kind = |value: &Value| match (value.as_str(), sliding_window) {
        (Some("full_attention"), _) => Ok(AttentionKind::Global),
        (Some("sliding_attention"), Some(window)) => Ok(AttentionKind::Local { window }),
        (Some("sliding_attention"), None) => Err(ConfigError::Missing { field: "sliding_window" }),
        _ => Err(ConfigError::Unsupported {
            field: FIELD,
            value: excerpt(value),
            reason: "a layer is `full_attention` or `sliding_attention`",
        }),
    };
    types.iter().map(kind).collect()
}

fn checkpoint_dtype(fields: &Fields<'_>) -> Result<StoredDtype, ConfigError> {
    for field in ["dtype", "torch_dtype"] {
        if let Some(name) = fields.text(field)? {
            return StoredDtype::from_config_name(name).ok_or_else(|| ConfigError::Unsupported {
                field,
                value: format!("`{name}`"),
                reason: "a checkpoint is float32, bfloat16 or float16",
            });
        }
    }
    // What transformers assumes when the file does not say.
    Ok(StoredDtype::F32)
}

#[cfg(test)]
#[path = "from_json_tests.rs"]
mod tests;
