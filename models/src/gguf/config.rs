//! Metadata to a config.

use super::error::GgufError;
use super::header::TensorInfo;
use super::metadata::{Metadata, missing};
use super::tensor_type::TensorType;
use super::vocabulary;
use crate::config::{Architecture, GemmaConfig, alternating_layers};
use crate::dtype::StoredDtype;
use crate::encoding::Encodings;

/// Gemma 2 27B, by the number of its layers.
const LAYERS_OF_27B: usize = 46;

/// The config of a model that has these metadata, in the file `bytes`, and this embedding. How weights are stored is
/// left to the tensors.
pub(super) fn config(
    bytes: &[u8],
    metadata: &Metadata,
    embedding: Option<&TensorInfo>,
) -> Result<GemmaConfig, GgufError> {
    let architecture = architecture(metadata)?;
    let keys = Keys { metadata, prefix: architecture.model_type() };
    let num_layers = keys.required("block_count")?;
    let num_heads = keys.required("attention.head_count")?;
    let hidden_size = keys.required("embedding_length")?;
    let head_dim = match keys.size("attention.key_length")? {
        Some(length) => length,
        None => hidden_size / num_heads.max(1),
    };
    keys.refuse_variations(head_dim)?;
    let vocab_size = match embedding.and_then(|tensor| tensor.dims.first()) {
        Some(rows) => *rows,
        None => keys.required("vocab_size")?,
    };
    let (sliding_window, softcaps) = match architecture {
        Architecture::Gemma1 => (None, (None, None)),
        Architecture::Gemma2 => (
            Some(keys.size("attention.sliding_window")?.unwrap_or(4096)),
            (
                Some(keys.number("attn_logit_softcapping")?.unwrap_or(50.0)),
                Some(keys.number("final_logit_softcapping")?.unwrap_or(30.0)),
            ),
        ),
    };
    let config = GemmaConfig {
        architecture,
        vocab_size,
        hidden_size,
        intermediate_size: keys.required("feed_forward_length")?,
        num_layers,
        num_heads,
        num_kv_heads: keys.size("attention.head_count_kv")?.unwrap_or(num_heads),
        head_dim,
        query_pre_attn_scalar: query_pre_attn_scalar(
            architecture,
            num_layers,
            hidden_size,
            num_heads,
            head_dim,
        ),
        rms_norm_eps: narrowed(keys.number("attention.layer_norm_rms_epsilon")?.unwrap_or(1e-6)),
        rope_theta: keys.number("rope.freq_base")?.unwrap_or(10_000.0),
        context: keys.size("context_length")?.unwrap_or(8192),
        layer_kinds: alternating_layers(num_layers, sliding_window),
        sliding_window,
        attn_logit_softcap: softcaps.0,
        final_logit_softcap: softcaps.1,
        bos_token_id: token_id(metadata, "tokenizer.ggml.bos_token_id")?.unwrap_or(2),
        eos_token_ids: vocabulary::eos_ids(bytes, metadata)?,
        pad_token_id: token_id(metadata, "tokenizer.ggml.padding_token_id")?.unwrap_or(0),
        checkpoint_dtype: checkpoint_dtype(embedding),
        encodings: Encodings::default(),
    };
    config.validate().map_err(GgufError::Config)?;
    Ok(config)
}

fn architecture(metadata: &Metadata) -> Result<Architecture, GgufError> {
    const KEY: &str = "general.architecture";
    let found = metadata.text(KEY)?.ok_or_else(|| missing(KEY))?;
    [Architecture::Gemma1, Architecture::Gemma2]
        .into_iter()
        .find(|known| known.model_type() == found)
        .ok_or_else(|| GgufError::Architecture { found: found.to_owned() })
}

/// Keys of one architecture.
struct Keys<'a> {
    metadata: &'a Metadata,
    prefix: &'static str,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn size(&self, name: &str) -> Result<Option<usize>, GgufError> {
        // What does not fit is refused like any other size out of range.
        Ok(self.metadata.unsigned(&self.key(name))?.map(|size| size.try_into().unwrap_or(usize::MAX)))
    }

    fn required(&self, name: &str) -> Result<usize, GgufError> {
        self.size(name)?.ok_or_else(|| missing(self.key(name)))
    }

    fn number(&self, name: &str) -> Result<Option<f64>, GgufError> {
        self.metadata.number(&self.key(name))
    }

    /// Refuses what would silently change the mathematics if it were ignored.
    fn refuse_variations(&self, head_dim: usize) -> Result<(), GgufError> {
        for name in ["attention.value_length", "rope.dimension_count"] {
            let found = self.size(name)?.filter(|length| *length != head_dim);
            if let Some(found) = found {
                return Err(self.refusal(name, found.to_string(), format!("the length of keys, {head_dim}")));
            }
        }
        let name = "rope.scaling.type";
        match self.metadata.text(&self.key(name))? {
            None | Some("none") => Ok(()),
            Some(found) => Err(self.refusal(name, format!("{found:?}"), "\"none\"".to_owned())),
        }
    }

    fn refusal(&self, name: &str, found: String, expected: String) -> GgufError {
        GgufError::Value { key: self.key(name), expected, found }
    }
}

/// What the file does not say. llama.cpp derives it the same way (`f_attention_scale` of Gemma 2): from the width of a
/// head, but in 27B, which it knows by its layers, from the hidden size's share of one.
fn query_pre_attn_scalar(
    architecture: Architecture,
    num_layers: usize,
    hidden_size: usize,
    num_heads: usize,
    head_dim: usize,
) -> f64 {
    match architecture {
        Architecture::Gemma2 if num_layers == LAYERS_OF_27B => (hidden_size / num_heads.max(1)) as f64,
        Architecture::Gemma1 | Architecture::Gemma2 => head_dim as f64,
    }
}

/// The shortest decimal that is the same f32: metadata hold 1e-6 as an f32, which as an f64 is 9.99999997e-7.
fn narrowed(value: f64) -> f64 {
    let narrow = value as f32;
    narrow.to_string().parse().unwrap_or(value)
}

/// A token id that a key holds.
pub(super) fn token_id(metadata: &Metadata, key: &str) -> Result<Option<u32>, GgufError> {
    let Some(id) = metadata.unsigned(key)? else { return Ok(None) };
    // llama.cpp writes an id that does not exist as -1, as an unsigned number.
    Ok(u32::try_from(id).ok().filter(|id| *id != u32::MAX))
}

/// The type to compute in: that of the embedding where it is dense. Codes say nothing of it, and Gemma was trained in
/// bf16.
fn checkpoint_dtype(embedding: Option<&TensorInfo>) -> StoredDtype {
    embedding.map(|tensor| tensor.kind).and_then(TensorType::dense).unwrap_or(StoredDtype::Bf16)
}
