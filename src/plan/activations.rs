//! An estimate of the temporaries of a step.

use lapidary_graph::nn::{self, AttentionMask, QUERY_BLOCK};
use lapidary_models::config::AttentionKind;
use lapidary_models::program::ProgramShape;
use lapidary_models::weights::WeightRole;

use super::layout::{Layout, product};

/// Bytes of an f32 logit or score.
const F32: usize = 4;

/// Estimate of the temporaries that a step of `shape` needs on each device at once.
///
/// Element-wise operations are taken to fuse, so that only what goes into and comes out of matrix products
/// exists. The layers follow each other, so that the most is needed in the greediest one of three places:
/// attention, the feed-forward, the logits.
pub(super) fn bytes(layout: &Layout<'_>, shape: &ProgramShape) -> u64 {
    let kinds = &layout.config.layer_kinds;
    let attention = kinds.iter().map(|&kind| attention(layout, shape, kind)).max().unwrap_or(0);
    attention.max(feedforward(layout, shape)).max(logits(layout, shape))
}

/// The residual stream, `[rows, tokens, hidden]`.
fn stream(layout: &Layout<'_>, shape: &ProgramShape) -> u64 {
    let step = layout.step(shape);
    product(&[step.rows, step.tokens, layout.config.hidden_size, shape.dtype.byte_width()])
}

/// Residual and normed stream; queries, keys, values and their mixture; scores of a block of queries and their
/// exponentials in f32. Where a ring is read beside the step's own keys and values, both are copied into one buffer.
fn attention(layout: &Layout<'_>, shape: &ProgramShape, kind: AttentionKind) -> u64 {
    let step = layout.step(shape);
    let width = shape.dtype.byte_width();
    let [query_size, _] = layout.weight_shard(WeightRole::Query);
    let [kv_size, _] = layout.weight_shard(WeightRole::Key);
    let heads = query_size / layout.config.head_dim.max(1);
    let keys = keys_seen(layout, shape, kind);
    let projected = product(&[2, step.rows, step.tokens, query_size.saturating_add(kv_size), width]);
    let scores = product(&[2, step.rows, heads, step.tokens.min(QUERY_BLOCK), keys, F32]);
    let joined = match reads_ring_and_step(shape, kind) {
        true => {
            let position = shape.kv_cache.position_bytes(layout.config, shape.dtype);
            // Of the heads that the device has.
            let position = position * kv_size / layout.config.kv_size().max(1);
            product(&[step.rows, keys_joined(layout, shape, kind), position])
        }
        false => 0,
    };
    [stream(layout, shape).saturating_mul(2), projected, scores, joined]
        .into_iter()
        .fold(0, u64::saturating_add)
}

/// Residual and normed stream, and both branches of the feed-forward.
fn feedforward(layout: &Layout<'_>, shape: &ProgramShape) -> u64 {
    let step = layout.step(shape);
    let [size, _] = layout.weight_shard(WeightRole::Gate);
    let branches = product(&[2, step.rows, step.tokens, size, shape.dtype.byte_width()]);
    stream(layout, shape).saturating_mul(2).saturating_add(branches)
}

/// Residual stream and the logits after each row's last token, in f32.
fn logits(layout: &Layout<'_>, shape: &ProgramShape) -> u64 {
    let [vocab, _] = layout.weight_shard(WeightRole::Embedding);
    stream(layout, shape).saturating_add(product(&[layout.step(shape).rows, vocab, F32]))
}

/// Keys that the scores of each token are computed over on each device: all slots of the cache, be they filled or
/// not, and the step's own tokens where these are read beside a ring; of many tokens those that the window of a
/// block of queries can reach.
pub(super) fn keys_seen(layout: &Layout<'_>, shape: &ProgramShape, kind: AttentionKind) -> usize {
    let keys = keys_joined(layout, shape, kind);
    match kind {
        AttentionKind::Local { window } if reads_ring_and_step(shape, kind) => {
            nn::keys_attended(AttentionMask::Window { window }, shape.tokens, keys, true)
        }
        AttentionKind::Local { .. } | AttentionKind::Global => keys,
    }
}

/// All slots of the cache, and the step's own tokens where these are read beside a ring.
fn keys_joined(layout: &Layout<'_>, shape: &ProgramShape, kind: AttentionKind) -> usize {
    let slots = layout.cache(shape, kind).map_or(0, |cache| cache.slots);
    if reads_ring_and_step(shape, kind) { slots.saturating_add(shape.tokens) } else { slots }
}

/// Whether a step may overwrite slots that its own tokens still see.
fn reads_ring_and_step(shape: &ProgramShape, kind: AttentionKind) -> bool {
    shape.tokens > 1 && shape.cache_len(kind) < shape.capacity
}
