//! Ranges that every config must keep.

use super::{Architecture, AttentionKind, ConfigError, GemmaConfig};

/// No real model comes near these; what exceeds them is a damaged or hostile file. Together they keep every
/// product of sizes (the largest weight, the parameter count, its bytes) far inside 64 bits.
const MAX_VOCAB: usize = 1 << 24;
const MAX_WIDTH: usize = 1 << 20;
pub(super) const MAX_LAYERS: usize = 1 << 12;
const MAX_HEADS: usize = 1 << 12;
const MAX_HEAD_DIM: usize = 1 << 12;
/// Positions are 32-bit integers in the programs.
const MAX_CONTEXT: usize = 1 << 30;

impl GemmaConfig {
    /// Checks every field against the others and against what can be built.
    ///
    /// # Errors
    /// The first field found out of range, by its name in `config.json`.
    pub fn validate(&self) -> Result<(), ConfigError> {
        size("vocab_size", self.vocab_size, MAX_VOCAB)?;
        size("hidden_size", self.hidden_size, MAX_WIDTH)?;
        size("intermediate_size", self.intermediate_size, MAX_WIDTH)?;
        size("num_hidden_layers", self.num_layers, MAX_LAYERS)?;
        size("num_attention_heads", self.num_heads, MAX_HEADS)?;
        size("num_key_value_heads", self.num_kv_heads, MAX_HEADS)?;
        size("head_dim", self.head_dim, MAX_HEAD_DIM)?;
        size("max_position_embeddings", self.context, MAX_CONTEXT)?;
        if !self.num_heads.is_multiple_of(self.num_kv_heads) {
            return Err(out_of_range(
                "num_attention_heads",
                self.num_heads,
                format!("a multiple of num_key_value_heads, {}", self.num_kv_heads),
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(out_of_range(
                "head_dim",
                self.head_dim,
                "even, since RoPE rotates its halves".into(),
            ));
        }
        self.validate_layers()?;
        positive("query_pre_attn_scalar", self.query_pre_attn_scalar)?;
        positive("rms_norm_eps", self.rms_norm_eps)?;
        positive("rope_theta", self.rope_theta)?;
        if let Some(cap) = self.attn_logit_softcap {
            positive("attn_logit_softcapping", cap)?;
        }
        if let Some(cap) = self.final_logit_softcap {
            positive("final_logit_softcapping", cap)?;
        }
        self.validate_ids()
    }

    fn validate_layers(&self) -> Result<(), ConfigError> {
        if let Some(window) = self.sliding_window {
            size("sliding_window", window, MAX_CONTEXT)?;
        }
        if self.layer_kinds.len() != self.num_layers {
            return Err(out_of_range(
                "layer_types",
                format_args!("a list of {}", self.layer_kinds.len()),
                format!("a list of num_hidden_layers = {}", self.num_layers),
            ));
        }
        for kind in &self.layer_kinds {
            match *kind {
                AttentionKind::Global => {}
                AttentionKind::Local { window } => {
                    size("sliding_window", window, MAX_CONTEXT)?;
                    if self.architecture == Architecture::Gemma1 {
                        return Err(ConfigError::Unsupported {
                            field: "layer_types",
                            value: "`sliding_attention`".into(),
                            reason: "Gemma 1 has no local layers",
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn validate_ids(&self) -> Result<(), ConfigError> {
        if self.eos_token_ids.is_empty() {
            return Err(ConfigError::Missing { field: "eos_token_id" });
        }
        let bos = ("bos_token_id", self.bos_token_id);
        let pad = ("pad_token_id", self.pad_token_id);
        let eos = self.eos_token_ids.iter().map(|id| ("eos_token_id", *id));
        for (field, id) in eos.chain([bos, pad]) {
            if id as usize >= self.vocab_size {
                return Err(out_of_range(field, id, format!("less than vocab_size, {}", self.vocab_size)));
            }
        }
        Ok(())
    }
}

fn size(field: &'static str, value: usize, max: usize) -> Result<(), ConfigError> {
    if value == 0 || value > max {
        return Err(out_of_range(field, value, format!("from 1 to {max}")));
    }
    Ok(())
}

/// Scalars reach the programs as f32, in which they must still be finite and not vanish.
fn positive(field: &'static str, value: f64) -> Result<(), ConfigError> {
    let narrowed = value as f32;
    if !narrowed.is_finite() || !narrowed.is_normal() || narrowed < 0.0 {
        return Err(out_of_range(field, value, "a positive finite number within the range of f32".into()));
    }
    Ok(())
}

fn out_of_range(field: &'static str, value: impl std::fmt::Display, expected: String) -> ConfigError {
    ConfigError::OutOfRange { field, value: value.to_string(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_checked_and_named() {
        type Change = fn(&mut GemmaConfig);
        let changes: [(&str, Change); 20] = [
            ("vocab_size", |c| c.vocab_size = 0),
            ("vocab_size", |c| c.vocab_size = usize::MAX),
            ("hidden_size", |c| c.hidden_size = 0),
            ("hidden_size", |c| c.hidden_size = 1 << 40),
            ("intermediate_size", |c| c.intermediate_size = 0),
            ("num_hidden_layers", |c| c.num_layers = 0),
            ("num_attention_heads", |c| c.num_heads = 0),
            ("num_attention_heads", |c| c.num_heads = 6),
            ("num_key_value_heads", |c| c.num_kv_heads = 0),
            ("head_dim", |c| c.head_dim = 255),
            ("head_dim", |c| c.head_dim = 0),
            ("max_position_embeddings", |c| c.context = 0),
            ("sliding_window", |c| c.sliding_window = Some(0)),
            ("layer_types", |c| c.layer_kinds.truncate(3)),
            ("query_pre_attn_scalar", |c| c.query_pre_attn_scalar = f64::NAN),
            ("rms_norm_eps", |c| c.rms_norm_eps = -1e-6),
            ("rope_theta", |c| c.rope_theta = f64::INFINITY),
            ("attn_logit_softcapping", |c| c.attn_logit_softcap = Some(0.0)),
            ("final_logit_softcapping", |c| c.final_logit_softcap = Some(1e300)),
            ("eos_token_id", |c| c.eos_token_ids = vec![1, 256_000]),
        ];
        for (field, change) in changes {
            let mut config = GemmaConfig::named("gemma2-2b").unwrap();
            change(&mut config);
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(&format!("`{field}`")), "{field}: {message}");
        }
    }

    #[test]
    fn gemma1_has_no_local_layers() {
        let mut config = GemmaConfig::named("gemma-2b").unwrap();
        config.layer_kinds[0] = AttentionKind::Local { window: 4096 };
        assert!(matches!(config.validate(), Err(ConfigError::Unsupported { field: "layer_types", .. })));
    }
}
