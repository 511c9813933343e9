//! One step through the model: from token ids to hidden states, logits and the KV cache after it.

use lapidary_graph::{BuildError, DType, FunctionBuilder, LogicalAxes, ValueId, nn};

use super::decoder_layer::{DecoderLayer, StepContext};
use super::params::Params;
use super::{Input, ProgramShape, StateKind};
use crate::config::GemmaConfig;
use crate::weights::WeightRole;

/// A model of some sizes with values for its parameters.
#[derive(Clone, Copy)]
pub(super) struct Model<'a> {
    pub(super) config: &'a GemmaConfig,
    pub(super) shape: &'a ProgramShape,
    pub(super) params: &'a Params,
}

/// What each layer has of the KV cache.
pub(super) type States = Vec<(usize, StateKind, ValueId)>;

impl Model<'_> {
    /// The same sizes with other values.
    pub(super) fn under<'b>(&self, params: &'b Params) -> Model<'b>
    where
        Self: 'b,
    {
        Model { params, ..*self }
    }

    /// Hidden states of every token, `[batch, tokens, hidden]`, before the final norm, and the state after the step.
    pub(super) fn step(&self, b: &mut FunctionBuilder<'_>) -> Result<(ValueId, States), BuildError> {
        let Self { config, shape, params } = *self;
        let embedding = params.weight(WeightRole::Embedding, None);
        let mut hidden = b.scoped("embed_tokens", |b| {
            let rows = nn::embed(b, embedding, params.input(Input::Tokens), shape.dtype)?;
            let scaled = nn::scale(b, rows, (config.hidden_size as f64).sqrt())?;
            b.sharding_constraint(scaled, LogicalAxes::of(&["batch", "seq", "embed"]))
        })?;

        let (start, count) = (params.input(Input::Start), params.input(Input::Count));
        let context = b.scoped("positions", |b| StepContext::new(b, config, shape, start, count))?;
        let mut states = States::new();
        for (index, (&kind, &cache)) in config.layer_kinds.iter().zip(&context.caches).enumerate() {
            let layer = DecoderLayer { config, shape, context: &context, params, cache, index, kind };
            let (output, keys, values) = b.scoped(&format!("layers.{index}"), |b| layer.build(b, hidden))?;
            hidden = output;
            states.push((index, StateKind::Keys, keys.elements));
            states.push((index, StateKind::Values, values.elements));
            states.extend(keys.scales.map(|scales| (index, StateKind::KeyScales, scales)));
            states.extend(values.scales.map(|scales| (index, StateKind::ValueScales, scales)));
        }
        Ok((hidden, states))
    }

    /// Logits after each row's last real token, `[batch, vocab]`, given the hidden states of a step.
    pub(super) fn last_logits(
        &self,
        b: &mut FunctionBuilder<'_>,
        hidden: ValueId,
    ) -> Result<ValueId, BuildError> {
        let last = if self.shape.phase.is_decode() {
            b.reshape(hidden, &[self.shape.batch, self.config.hidden_size])?
        } else {
            b.scoped("last_token", |b| {
                let count = self.params.input(Input::Count);
                let one = b.splat(1.0, &b.ty(count)?)?;
                let last = b.sub(count, one)?;
                nn::take(b, hidden, last)
            })?
        };
        self.logits(b, last)
    }

    /// Logits of hidden states, f32 whatever the weights are, without the rows of a padded vocabulary.
    pub(super) fn logits(&self, b: &mut FunctionBuilder<'_>, hidden: ValueId) -> Result<ValueId, BuildError> {
        let Self { config, params, .. } = *self;
        let final_norm = params.norm(WeightRole::FinalNorm, None);
        let hidden = b.scoped("norm", |b| nn::rms_norm(b, hidden, final_norm, config.rms_norm_eps))?;
        b.scoped("lm_head", |b| {
            let mut logits = nn::linear(b, hidden, params.weight(WeightRole::Embedding, None), DType::F32)?;
            if let Some(cap) = config.final_logit_softcap {
                logits = nn::softcap(b, logits, cap)?;
            }
            let last = b.ty(logits)?.rank().saturating_sub(1);
            if config.live_vocab_size() < config.vocab_size {
                logits = b.slice_dim(logits, last, 0, config.live_vocab_size())?;
            }
            Ok(logits)
        })
    }
}
