//! The table of published models: the single source of truth for their sizes.

use super::{Architecture, ConfigError, GemmaConfig, alternating_layers};
use crate::dtype::StoredDtype;
use crate::encoding::Encodings;

/// One published model, or the tiny one. What is common to all of them is in [`Row::config`].
struct Row {
    name: &'static str,
    architecture: Architecture,
    num_layers: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_heads: usize,
    num_kv_heads: usize,
    head_dim: usize,
    query_pre_attn_scalar: f64,
    vocab_size: usize,
    context: usize,
    sliding_window: Option<usize>,
}

const GEMMA_2B: Row = Row {
    name: "gemma-2b",
    architecture: Architecture::Gemma1,
    num_layers: 18,
    hidden_size: 2048,
    intermediate_size: 16_384,
    num_heads: 8,
    num_kv_heads: 1,
    head_dim: 256,
    query_pre_attn_scalar: 256.0,
    vocab_size: 256_000,
    context: 8192,
    sliding_window: None,
};

const GEMMA_7B: Row = Row {
    name: "gemma-7b",
    num_layers: 28,
    hidden_size: 3072,
    intermediate_size: 24_576,
    num_heads: 16,
    num_kv_heads: 16,
    ..GEMMA_2B
};

const GEMMA2_2B: Row = Row {
    name: "gemma2-2b",
    architecture: Architecture::Gemma2,
    num_layers: 26,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_heads: 8,
    num_kv_heads: 4,
    sliding_window: Some(4096),
    ..GEMMA_2B
};

const ROWS: [Row; 8] = [
    GEMMA_2B,
    GEMMA_7B,
    // Gemma 1.1 is Gemma 1 with other weights.
    Row { name: "gemma-1.1-2b", ..GEMMA_2B },
    Row { name: "gemma-1.1-7b", ..GEMMA_7B },
    GEMMA2_2B,
    Row {
        name: "gemma2-9b",
        num_layers: 42,
        hidden_size: 3584,
        intermediate_size: 14_336,
        num_heads: 16,
        num_kv_heads: 8,
        ..GEMMA2_2B
    },
    Row {
        name: "gemma2-27b",
        num_layers: 46,
        hidden_size: 4608,
        intermediate_size: 36_864,
        num_heads: 32,
        num_kv_heads: 16,
        head_dim: 128,
        query_pre_attn_scalar: 144.0,
        ..GEMMA2_2B
    },
    // For tests, with everything Gemma 2 has in the least space: grouped queries, a window that a
    // sentence outgrows, and a query scale that is not head_dim's.
    Row {
        name: GemmaConfig::TINY,
        num_layers: 2,
        hidden_size: 64,
        intermediate_size: 192,
        num_heads: 4,
        num_kv_heads: 2,
        head_dim: 32,
        query_pre_attn_scalar: 16.0,
        vocab_size: 512,
        context: 1024,
        sliding_window: Some(32),
        ..GEMMA2_2B
    },
];

impl Row {
    fn config(&self) -> GemmaConfig {
        let softcaps = match self.architecture {
            Architecture::Gemma1 => (None, None),
            Architecture::Gemma2 => (Some(50.0), Some(30.0)),
        };
        GemmaConfig {
            architecture: self.architecture,
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_layers: self.num_layers,
            num_heads: self.num_heads,
            num_kv_heads: self.num_kv_heads,
            head_dim: self.head_dim,
            query_pre_attn_scalar: self.query_pre_attn_scalar,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            context: self.context,
            sliding_window: self.sliding_window,
            layer_kinds: alternating_layers(self.num_layers, self.sliding_window),
            attn_logit_softcap: softcaps.0,
            final_logit_softcap: softcaps.1,
            bos_token_id: 2,
            eos_token_ids: vec![1, 107],
            pad_token_id: 0,
            checkpoint_dtype: StoredDtype::Bf16,
            encodings: Encodings::default(),
        }
    }
}

impl GemmaConfig {
    /// Name of the smallest config, which no published model has.
    pub const TINY: &'static str = "tiny";

    /// The names that [`GemmaConfig::named`] knows.
    pub fn names() -> Vec<&'static str> {
        ROWS.iter().map(|row| row.name).collect()
    }

    /// The config of a published model, by the name in the table. Hugging Face's own spelling is understood
    /// too: `google/gemma-2-2b-it` is `gemma2-2b`.
    ///
    /// # Errors
    /// [`ConfigError::UnknownName`], which lists the names and suggests the nearest.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        let key = table_spelling(name);
        if let Some(row) = ROWS.iter().find(|row| row.name == key) {
            return Ok(row.config());
        }
        // A typing slip or two; a name that shares less is another model, not a misspelling.
        let suggestion = ROWS
            .iter()
            .map(|row| (strsim::damerau_levenshtein(&key, row.name), row.name))
            .min()
            .filter(|(distance, _)| *distance <= 3)
            .map(|(_, name)| name);
        Err(ConfigError::UnknownName { name: name.to_owned(), suggestion, known: Self::names() })
    }

    /// The smallest config: a Gemma 2 with everything that the large ones have, for random weights.
    pub fn tiny() -> Self {
        let [.., tiny] = &ROWS;
        tiny.config()
    }
}

/// Reduces Hugging Face's spelling of a repository to the table's.
fn table_spelling(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let base = lower.strip_prefix("google/").unwrap_or(&lower);
    let base = base.strip_suffix("-it").unwrap_or(base);
    match base.strip_prefix("gemma-2-") {
        Some(size) => format!("gemma2-{size}"),
        None => base.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_valid_and_found_by_its_name() {
        for row in &ROWS {
            let config = GemmaConfig::named(row.name).unwrap();
            config.validate().unwrap();
            assert_eq!(config.num_layers, row.num_layers);
        }
        assert_eq!(GemmaConfig::tiny(), GemmaConfig::named("tiny").unwrap());
    }

    #[test]
    fn hub_spelling_is_understood() {
        let expected = GemmaConfig::named("gemma2-27b").unwrap();
        assert_eq!(GemmaConfig::named("google/gemma-2-27b-it").unwrap(), expected);
        assert_eq!(GemmaConfig::named("Gemma-2-27b").unwrap(), expected);
        // 2b of the first generation is not to be mistaken for the second generation.
        let first = GemmaConfig::named("google/gemma-2b").unwrap();
        assert_eq!(first.architecture, Architecture::Gemma1);
    }

    #[test]
    fn unknown_name_lists_and_suggests() {
        let near = GemmaConfig::named("gemma2-2").unwrap_err().to_string();
        assert!(near.contains("did you mean `gemma2-2b`?"), "{near}");
        let far = GemmaConfig::named("llama-3-70b-instruct").unwrap_err().to_string();
        assert!(!far.contains("did you mean"), "{far}");
        assert!(far.contains("gemma2-27b") && far.contains("gemma-1.1-7b"), "{far}");
    }
}
