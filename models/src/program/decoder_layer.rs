//! One decoder layer of Gemma 1 or 2.

use std::collections::HashMap;

use lapidary_graph::nn::{self, Attention, AttentionMask, CacheHalf, CacheWrite, KeyValues, RopeTables};
use lapidary_graph::op::Comparison;
use lapidary_graph::{BuildError, DType, FunctionBuilder, LogicalAxes, TensorType, ValueId};

use super::ProgramShape;
use super::params::Params;
use crate::config::{Architecture, AttentionKind, GemmaConfig};
use crate::weights::WeightRole;

/// What all layers of a step share: positions, RoPE tables, and the slots of each cache length.
pub(super) struct StepContext {
    /// Tokens that each row's cache holds before the step, `[batch]` s32.
    start: ValueId,
    /// Position of each token, `[batch, tokens]` s32.
    positions: ValueId,
    /// Position of each token as a key: -1 for padding.
    key_positions: ValueId,
    rope: RopeTables,
    /// Each layer's cache; layers of one cache length share the values.
    pub(super) caches: Vec<CacheContext>,
}

/// Slots and positions of the caches of one length.
#[derive(Clone, Copy)]
pub(super) struct CacheContext {
    write: CacheWrite,
    /// `[batch, len]`: position in each slot before the step.
    before: ValueId,
    /// `[batch, len]`: position in each slot after the step.
    after: ValueId,
}

impl StepContext {
    pub(super) fn new(
        b: &mut FunctionBuilder<'_>,
        config: &GemmaConfig,
        shape: &ProgramShape,
        start: ValueId,
        count: ValueId,
    ) -> Result<Self, BuildError> {
        let ty = TensorType::new(DType::S32, [shape.batch, shape.tokens]);
        let offset = b.iota(ty.clone(), 1)?;
        let starts = b.broadcast(start, &ty.dims, &[0])?;
        let counts = b.broadcast(count, &ty.dims, &[0])?;
        let positions = b.add(starts, offset)?;
        let real = b.compare(Comparison::Lt, offset, counts)?;
        let nowhere = b.splat(-1.0, &ty)?;
        let key_positions = b.select(real, positions, nowhere)?;
        let rope = nn::rope_tables(b, positions, config.head_dim, config.rope_theta)?;

        let end = b.add(start, count)?;
        let mut by_len: HashMap<usize, CacheContext> = HashMap::new();
        let mut caches = Vec::with_capacity(config.layer_kinds.len());
        for &kind in &config.layer_kinds {
            let len = shape.cache_len(kind);
            let cache = match by_len.get(&len) {
                Some(&cache) => cache,
                None => {
                    let write = nn::cache_slots(b, start, count, shape.tokens, len)?;
                    let before = nn::cache_positions(b, start, len)?;
                    let after = nn::cache_positions(b, end, len)?;
                    CacheContext { write, before, after }
                }
            };
            by_len.insert(len, cache);
            caches.push(cache);
        }
        Ok(Self { start, positions, key_positions, rope, caches })
    }
}

/// A layer about to be built.
pub(super) struct DecoderLayer<'a> {
    pub(super) config: &'a GemmaConfig,
    pub(super) shape: &'a ProgramShape,
    pub(super) context: &'a StepContext,
    pub(super) params: &'a Params,
    pub(super) cache: CacheContext,
    pub(super) index: usize,
    pub(super) kind: AttentionKind,
}

type Built = Result<ValueId, BuildError>;

impl DecoderLayer<'_> {
    /// The layer's output for `hidden` `[batch, tokens, hidden]`, and its keys and values afterwards.
    pub(super) fn build(
        &self,
        b: &mut FunctionBuilder<'_>,
        hidden: ValueId,
    ) -> Result<(ValueId, CacheHalf, CacheHalf), BuildError> {
        let normed = self.norm(b, WeightRole::InputNorm, hidden)?;
        let (mut attended, keys, values) = b.scoped("self_attn", |b| self.self_attention(b, normed))?;
        // `post_attention_layernorm` norms the branch in Gemma 2, but the feed-forward's input in Gemma 1.
        let feedforward_norm = match self.config.architecture {
            Architecture::Gemma1 => WeightRole::PostAttentionNorm,
            Architecture::Gemma2 => {
                attended = self.norm(b, WeightRole::PostAttentionNorm, attended)?;
                WeightRole::PreFeedforwardNorm
            }
        };
        let hidden = self.add_residual(b, hidden, attended)?;

        let normed = self.norm(b, feedforward_norm, hidden)?;
        let mut fed = b.scoped("mlp", |b| self.feedforward(b, normed))?;
        if self.config.architecture == Architecture::Gemma2 {
            fed = self.norm(b, WeightRole::PostFeedforwardNorm, fed)?;
        }
        Ok((self.add_residual(b, hidden, fed)?, keys, values))
    }

    fn self_attention(
        &self,
        b: &mut FunctionBuilder<'_>,
        x: ValueId,
    ) -> Result<(ValueId, CacheHalf, CacheHalf), BuildError> {
        let config = self.config;
        let query = self.heads(b, WeightRole::Query, x, config.num_heads, "heads")?;
        let key = self.heads(b, WeightRole::Key, x, config.num_kv_heads, "kv_heads")?;
        let value = self.heads(b, WeightRole::Value, x, config.num_kv_heads, "kv_heads")?;
        let query = b.scoped("rope", |b| nn::rope(b, query, self.context.rope))?;
        let key = b.scoped("rope", |b| nn::rope(b, key, self.context.rope))?;

        let (kv, keys, values) = b.scoped("cache", |b| self.update_cache(b, key, value))?;
        let layer = Attention {
            scale: config.query_scale(),
            softcap: config.attn_logit_softcap,
            mask: match self.kind {
                AttentionKind::Global => AttentionMask::Causal,
                AttentionKind::Local { window } => AttentionMask::Window { window },
            },
        };
        let mixed = b.scoped("attention", |b| nn::attention(b, &layer, query, self.context.positions, kv))?;
        let mixed = b.sharding_constraint(mixed, LogicalAxes::of(&["batch", "seq", "heads", "head_dim"]))?;
        let flat = b.reshape(mixed, &[self.shape.batch, self.shape.tokens, config.query_size()])?;
        let output = self.project(b, WeightRole::AttentionOutput, flat)?;
        Ok((output, keys, values))
    }

    /// The keys and values to attend to, and the layer's cache after the step.
    ///
    /// Where no token of this step overwrites what another of its tokens still sees, the updated cache
    /// serves both. Otherwise (many tokens into a ring) attention sees the old ring and the new tokens; if they
    /// are more than a block of queries, in order, so that each block sees only what its window can reach.
    fn update_cache(
        &self,
        b: &mut FunctionBuilder<'_>,
        key: ValueId,
        value: ValueId,
    ) -> Result<(KeyValues, CacheHalf, CacheHalf), BuildError> {
        let len = self.shape.cache_len(self.kind);
        let (old_keys, old_values) =
            (self.params.cached_keys(self.index), self.params.cached_values(self.index));
        let (key, value) = (old_keys.update(b, key)?, old_values.update(b, value)?);
        let keys = old_keys.write(b, key, self.cache.write)?;
        let values = old_values.write(b, value, self.cache.write)?;
        if self.shape.tokens == 1 || len == self.shape.capacity {
            return Ok((KeyValues::of_cache(keys, values, self.cache.after, false), keys, values));
        }
        let ordered = self.shape.tokens > nn::QUERY_BLOCK;
        let (old_keys, old_values, before) = match ordered {
            false => (old_keys, old_values, self.cache.before),
            true => {
                let (keys, before) = old_keys.in_order(b, self.context.start)?;
                (keys, old_values.in_order(b, self.context.start)?.0, before)
            }
        };
        let (seen_keys, seen_values) = (old_keys.followed_by(b, key)?, old_values.followed_by(b, value)?);
        let positions = b.concatenate(&[before, self.context.key_positions], 1)?;
        Ok((KeyValues::of_cache(seen_keys, seen_values, positions, ordered), keys, values))
    }

    fn feedforward(&self, b: &mut FunctionBuilder<'_>, x: ValueId) -> Built {
        let gate = self.project(b, WeightRole::Gate, x)?;
        let up = self.project(b, WeightRole::Up, x)?;
        let gated = b.scoped("geglu", |b| nn::geglu(b, gate, up))?;
        let gated = b.sharding_constraint(gated, LogicalAxes::of(&["batch", "seq", "ffn"]))?;
        self.project(b, WeightRole::Down, gated)
    }

    /// A projection of `x` split into heads: `[batch, tokens, heads, head_dim]`.
    fn heads(
        &self,
        b: &mut FunctionBuilder<'_>,
        role: WeightRole,
        x: ValueId,
        heads: usize,
        axis: &str,
    ) -> Built {
        let projected = self.project(b, role, x)?;
        let dims = [self.shape.batch, self.shape.tokens, heads, self.config.head_dim];
        let split = b.reshape(projected, &dims)?;
        let split = b.sharding_constraint(split, LogicalAxes::of(&["batch", "seq", axis, "head_dim"]))?;
        // Attention happens where the cache is, whose rows may be split over more devices than others.
        b.sharding_constraint(split, LogicalAxes::of(&["cache_batch", "seq", axis, "head_dim"]))
    }

    fn project(&self, b: &mut FunctionBuilder<'_>, role: WeightRole, x: ValueId) -> Built {
        let weight = self.params.weight(role, Some(self.index));
        b.scoped(role.leaf(), |b| nn::linear(b, x, weight, self.shape.dtype))
    }

    fn norm(&self, b: &mut FunctionBuilder<'_>, role: WeightRole, x: ValueId) -> Built {
        let weight = self.params.norm(role, Some(self.index));
        b.scoped(role.leaf(), |b| nn::rms_norm(b, x, weight, self.config.rms_norm_eps))
    }

    fn add_residual(&self, b: &mut FunctionBuilder<'_>, residual: ValueId, branch: ValueId) -> Built {
        let sum = b.scoped("residual", |b| nn::residual_add(b, residual, branch))?;
        b.sharding_constraint(sum, LogicalAxes::of(&["batch", "seq", "embed"]))
    }
}
