//! What a test has to do, at least.

use lapidary_models::config::{AttentionKind, GemmaConfig};
use lapidary_models::weights::{WeightRole, weight_specs};

use super::{Kind, Test};

/// What a test has to do for each token, at least.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Work {
    /// Operations of the matrix products, which bound the reading of a prompt; a multiplication and an addition are
    /// two.
    Flops(f64),
    /// Bytes of weights and KV cache to be read, which bound generation.
    Bytes(f64),
}

impl Work {
    /// The work of `test` on a model of `config`, whose weights take `weight_bytes` on the devices and whose keys and
    /// values take `position_bytes` for each position of a layer.
    pub fn of(test: &Test, config: &GemmaConfig, weight_bytes: u64, position_bytes: usize) -> Self {
        match test.kind {
            Kind::Prompt => Self::Flops(flops_per_token(test, config)),
            Kind::Generation => Self::Bytes(bytes_per_token(test, config, weight_bytes, position_bytes)),
        }
    }
}

/// Every token takes part in every matrix of the layers, and each row's last token in the projection to the logits.
/// Attention multiplies a query by each key that it sees, and mixes as many values.
fn flops_per_token(test: &Test, config: &GemmaConfig) -> f64 {
    let mut layers = 0.0;
    let mut logits = 0.0;
    for spec in weight_specs(config).iter().filter(|spec| spec.dims.len() == 2) {
        let elements = spec.element_count() as f64;
        match spec.role {
            WeightRole::Embedding => logits += elements,
            _ => layers += elements,
        }
    }
    let attention = 4.0 * config.query_size() as f64 * mean_keys_seen(test, config);
    2.0 * layers + 2.0 * logits / test.tokens as f64 + attention
}

/// Each step reads the weights once, whatever the number of rows: the embedding whole, since it projects to the
/// logits, and the rows of it that a step looks up are nothing beside that. Of the cache it reads the keys and values
/// that it sees.
fn bytes_per_token(test: &Test, config: &GemmaConfig, weight_bytes: u64, position_bytes: usize) -> f64 {
    weight_bytes as f64 / test.batch as f64 + position_bytes as f64 * mean_keys_seen(test, config)
}

/// Keys that a token of the test sees, its own included: the sum over the layers, the mean over the tokens.
fn mean_keys_seen(test: &Test, config: &GemmaConfig) -> f64 {
    let seen = |position: usize| -> f64 {
        let kinds = config.layer_kinds.iter();
        let of_layer = |kind: &AttentionKind| match *kind {
            AttentionKind::Global => position + 1,
            AttentionKind::Local { window } => window.min(position + 1),
        };
        kinds.map(|kind| of_layer(kind) as f64).sum()
    };
    let total: f64 = (test.depth..test.positions()).map(seen).sum();
    total / test.tokens as f64
}
