//! How large random weights are, so that a made-up model computes with numbers like a trained one's.

use crate::config::{Architecture, GemmaConfig};
use crate::encoding::{Encoding, WeightPart, WeightTensor};
use crate::weights::{WeightRole, WeightSpec};

/// A normal distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normal {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
}

/// Standard deviation of the logits.
const LOGIT_STD: f64 = 4.0;
/// Spread of the norms' `w` about its mean; nothing is normalised by exactly one.
const NORM_STD: f64 = 0.05;
/// How far, in standard deviations, the current token's own logit stands out.
const SELF_LOGIT: f64 = 2.0;
/// Standard deviation of codes of 8 bits, of which the furthest quantile is 4.33 from zero.
const INT8_STD: f64 = 29.0;
/// Standard deviation of codes of 4 bits, as that of groups which are scaled by their largest weight.
const INT4_STD: f64 = 2.8;
/// Spread of scales about their mean, which they are far from leaving by as much again.
const SCALE_SPREAD: f64 = 0.06;

/// The distribution of the elements of one weight.
///
/// Projections keep the variance of what they are given (`1 / fan_in`), and norms multiply by about one. That
/// leaves the embedding, which is tied: a residual stream dominated by it would predict the current token again
/// and again. It is therefore made so small that, beside what the layers add, the current token's logit stands
/// out by [`SELF_LOGIT`] standard deviations only; the final norm makes up for its size in the logits.
pub fn distribution(config: &GemmaConfig, spec: &WeightSpec) -> Normal {
    let embedding = scaled_embedding_std(config);
    match spec.role {
        WeightRole::Embedding => Normal { mean: 0.0, std: embedding / (config.hidden_size as f64).sqrt() },
        // A logit is a sum over `hidden` of unit variances times the embedding's.
        WeightRole::FinalNorm => Normal { mean: LOGIT_STD / embedding - 1.0, std: NORM_STD },
        WeightRole::InputNorm
        | WeightRole::PostAttentionNorm
        | WeightRole::PreFeedforwardNorm
        | WeightRole::PostFeedforwardNorm => Normal { mean: 0.0, std: NORM_STD },
        WeightRole::Query
        | WeightRole::Key
        | WeightRole::Value
        | WeightRole::AttentionOutput
        | WeightRole::Gate
        | WeightRole::Up
        | WeightRole::Down => {
            let fan_in = spec.dims.last().copied().unwrap_or(1);
            Normal { mean: 0.0, std: (fan_in as f64).sqrt().recip() }
        }
    }
}

/// The distribution of the elements of one tensor of a weight, in the encoding of `config`. Codes, which are rounded to
/// whole numbers, times scales are as large as the weight's own elements would be.
pub fn tensor_distribution(config: &GemmaConfig, tensor: &WeightTensor) -> Normal {
    let weights = distribution(config, &tensor.weight);
    weights.of_part(tensor.part, config.encodings.of(&tensor.weight))
}

impl Normal {
    /// The distribution of what is in one part of weights that are distributed like this and encoded.
    pub(super) fn of_part(self, part: WeightPart, encoding: Encoding) -> Self {
        let codes = if matches!(encoding, Encoding::Int4(_)) { INT4_STD } else { INT8_STD };
        match part {
            WeightPart::Values => self,
            WeightPart::Codes => Self { mean: 0.0, std: codes },
            WeightPart::Scales => Self { mean: self.std / codes, std: SCALE_SPREAD * self.std / codes },
            WeightPart::Offsets => Self { mean: self.mean, std: 0.0 },
        }
    }
}

/// Standard deviation of the embedding after the model has multiplied it by `sqrt(hidden)`.
fn scaled_embedding_std(config: &GemmaConfig) -> f64 {
    // Variance that one layer's two branches add to the residual stream. Gemma 2 normalises each to one. In
    // Gemma 1 the feed-forward's is that of GELU of a standard normal, 0.43, and attention averages most of its
    // away.
    let added_by_layer = match config.architecture {
        Architecture::Gemma1 => 0.5,
        Architecture::Gemma2 => 2.0,
    };
    let added = added_by_layer * config.num_layers as f64;
    (SELF_LOGIT * (added / config.hidden_size as f64).sqrt()).min(1.0)
}
