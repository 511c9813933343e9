//! Attention of one token a sequence over a KV cache.

mod exponential;
mod part;
#[cfg(test)]
mod tests;

use half::bf16;

use crate::{Features, Pool};
use part::{Part, Partial};

/// Sizes of the attention of one new token in each sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttentionShape {
    /// Sequences.
    pub batch: usize,
    /// Heads of the cache.
    pub kv_heads: usize,
    /// Query heads that share a head of the cache.
    pub group: usize,
    /// Slots of the cache.
    pub slots: usize,
    /// Elements of a head.
    pub head_dim: usize,
}

/// The numbers of an attention layer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AttentionNumbers {
    /// Factor on the scores, before the softcap.
    pub scale: f32,
    /// Softcap `c` of the scaled scores: `c · tanh(score / c)`.
    pub softcap: Option<f32>,
    /// A query sees the last this many keys, its own included; all of them if none.
    pub window: Option<i32>,
}

/// What attention reads.
#[derive(Clone, Copy, Debug)]
pub struct AttentionOperands<'a> {
    /// `[batch, kv_heads, group, head_dim]`.
    pub query: &'a [bf16],
    /// Position of each sequence's query, `[batch]`.
    pub positions: &'a [i32],
    /// `[batch, kv_heads, slots, head_dim]`.
    pub keys: &'a [bf16],
    /// `[batch, kv_heads, slots, head_dim]`.
    pub values: &'a [bf16],
    /// Position of what each slot holds, in any order and negative for nothing, `[batch, slots]`.
    pub slot_positions: &'a [i32],
}

/// A slice that is not of the size that the shape says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{operand} of attention: {found} elements, not {expected}")]
pub struct AttentionError {
    operand: &'static str,
    expected: usize,
    found: usize,
}

impl AttentionShape {
    fn check(&self, operands: &AttentionOperands<'_>, out: usize) -> Result<(), AttentionError> {
        let Self { batch, kv_heads, group, slots, head_dim } = *self;
        let size = |factors: &[usize]| factors.iter().copied().fold(1, usize::saturating_mul);
        let cache = size(&[batch, kv_heads, slots, head_dim]);
        let heads = size(&[batch, kv_heads, group, head_dim]);
        let sizes = [
            ("query", heads, operands.query.len()),
            ("positions", batch, operands.positions.len()),
            ("keys", cache, operands.keys.len()),
            ("values", cache, operands.values.len()),
            ("slot positions", size(&[batch, slots]), operands.slot_positions.len()),
            ("result", heads, out),
        ];
        match sizes.into_iter().find(|(_, expected, found)| expected != found) {
            Some((operand, expected, found)) => Err(AttentionError { operand, expected, found }),
            None => Ok(()),
        }
    }
}

/// Slots that one part of the work covers: enough to be worth a thread's while, few enough for every thread to have
/// some where there are few heads.
const SLOTS_A_PART: usize = 512;

/// `out = softmax(softcap(scale · query · keysᵀ)) · values` over the keys that each query sees, `[batch, kv_heads,
/// group, head_dim]`. Scores, weights and sums are f32. Stretches of the cache of which nothing is seen are not read;
/// a query that sees nothing gets zeros.
///
/// Parts of a cache are attended to apart, and put together by their greatest scores and sums of weights. Source: Dao
/// et al., "Flash-Decoding for long-context inference", 2023.
///
/// # Errors
/// If a slice has another size than `shape` says.
pub fn decode_attention(
    pool: &Pool,
    features: Features,
    shape: AttentionShape,
    numbers: AttentionNumbers,
    operands: AttentionOperands<'_>,
    out: &mut [bf16],
) -> Result<(), AttentionError> {
    shape.check(&operands, out.len())?;
    let AttentionShape { kv_heads, group, slots, head_dim, .. } = shape;
    if out.is_empty() {
        return Ok(());
    }
    let parts_a_head = slots.div_ceil(SLOTS_A_PART).max(1);
    let heads = shape.batch * kv_heads;
    let mut partials = vec![0.0; heads * parts_a_head * Partial::size(group, head_dim)];
    pool.each_chunk(&mut partials, Partial::size(group, head_dim), &|part, memory| {
        let head = part / parts_a_head;
        let sequence = head / kv_heads;
        let first = part % parts_a_head * SLOTS_A_PART;
        let end = (first + SLOTS_A_PART).min(slots);
        let cache = (head * slots + first) * head_dim..(head * slots + end) * head_dim;
        let part = Part {
            numbers,
            head_dim,
            query: slice(operands.query, head * group * head_dim..(head + 1) * group * head_dim),
            position: slice(operands.positions, sequence..sequence + 1).first().copied().unwrap_or(-1),
            keys: slice(operands.keys, cache.clone()),
            values: slice(operands.values, cache),
            slot_positions: slice(operands.slot_positions, sequence * slots + first..sequence * slots + end),
        };
        part.attend(features, &mut Partial::of(memory, group));
    });
    let partials = partials.chunks_mut(parts_a_head * Partial::size(group, head_dim));
    for (out, partials) in out.chunks_mut(group * head_dim).zip(partials) {
        let (whole, others) = partials.split_at_mut(Partial::size(group, head_dim));
        let mut whole = Partial::of(whole, group);
        for other in others.chunks_mut(Partial::size(group, head_dim)) {
            whole.join(&Partial::of(other, group));
        }
        whole.finish(out);
    }
    Ok(())
}

fn slice<T>(all: &[T], range: std::ops::Range<usize>) -> &[T] {
    all.get(range).unwrap_or_default()
}
