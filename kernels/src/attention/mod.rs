//! Attention over a KV cache.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod block;
mod decode;
mod held;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod part;
mod partial;
mod prefill;
#[cfg(target_arch = "x86_64")]
mod sight;
#[cfg(test)]
mod tests;

use half::bf16;

use crate::{Features, Instructions, Pool};
use held::{Element, Half, Held};

pub use held::KeyValues;

/// Sizes of attention.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttentionShape {
    /// Sequences.
    pub batch: usize,
    /// Queries of each sequence.
    pub queries: usize,
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
    /// `[batch, queries, kv_heads, group, head_dim]`.
    pub query: &'a [bf16],
    /// Position of each query, `[batch, queries]`.
    pub positions: &'a [i32],
    /// The cache.
    pub cache: KeyValues<'a>,
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
        let Self { batch, queries, kv_heads, group, slots, head_dim } = *self;
        let size = |factors: &[usize]| factors.iter().copied().fold(1, usize::saturating_mul);
        let cache = size(&[batch, kv_heads, slots, head_dim]);
        let heads = size(&[batch, queries, kv_heads, group, head_dim]);
        let scales = size(&[batch, kv_heads, slots]);
        let held = match operands.cache {
            KeyValues::Bf16 { keys, values } => {
                vec![("keys", cache, keys.len()), ("values", cache, values.len())]
            }
            KeyValues::Int8 { keys, key_scales, values, value_scales } => vec![
                ("keys", cache, keys.len()),
                ("values", cache, values.len()),
                ("scales of the keys", scales, key_scales.len()),
                ("scales of the values", scales, value_scales.len()),
            ],
        };
        let sizes = [
            ("query", heads, operands.query.len()),
            ("positions", size(&[batch, queries]), operands.positions.len()),
            ("slot positions", size(&[batch, slots]), operands.slot_positions.len()),
            ("result", heads, out),
        ];
        match sizes.into_iter().chain(held).find(|(_, expected, found)| expected != found) {
            Some((operand, expected, found)) => Err(AttentionError { operand, expected, found }),
            None => Ok(()),
        }
    }
}

/// `out = softmax(softcap(scale · query · keysᵀ)) · values` over the keys that each query sees, `[batch, queries,
/// kv_heads, group, head_dim]`. Scores and sums are f32. Stretches of the cache of which nothing is seen are not read; a
/// query that sees nothing gets zeros.
///
/// # Errors
/// If a slice has another size than `shape` says.
pub fn attention(
    pool: &Pool,
    features: Features,
    shape: AttentionShape,
    numbers: AttentionNumbers,
    operands: AttentionOperands<'_>,
    out: &mut [bf16],
) -> Result<(), AttentionError> {
    shape.check(&operands, out.len())?;
    if out.is_empty() {
        return Ok(());
    }
    let layer = Layer { pool, features, shape, numbers, operands };
    match operands.cache {
        KeyValues::Bf16 { keys, values } => layer.attend(
            Held {
                keys: Half { elements: keys, scales: None },
                values: Half { elements: values, scales: None },
            },
            out,
        ),
        KeyValues::Int8 { keys, key_scales, values, value_scales } => layer.attend(
            Held {
                keys: Half { elements: keys, scales: Some(key_scales) },
                values: Half { elements: values, scales: Some(value_scales) },
            },
            out,
        ),
    }
    Ok(())
}

/// All that attention takes but the cache.
#[derive(Clone, Copy)]
struct Layer<'a> {
    pool: &'a Pool,
    features: Features,
    shape: AttentionShape,
    numbers: AttentionNumbers,
    operands: AttentionOperands<'a>,
}

impl Layer<'_> {
    fn attend<E: Element>(self, cache: Held<'_, E>, out: &mut [bf16]) {
        if self.shape.queries == 1 {
            return decode::attend(self, cache, out);
        }
        #[cfg(target_arch = "x86_64")]
        if self.features.has(Instructions::AmxBf16) && amx::takes(self.shape) {
            // SAFETY: the processor has AMX, and the slices are of the shape's sizes.
            return unsafe { amx::attend(self, cache, out) };
        }
        #[cfg(target_arch = "x86_64")]
        if self.features.has(Instructions::Avx2) && avx2::takes(self.shape) {
            // SAFETY: the processor has AVX2 and FMA, and the slices are of the shape's sizes.
            return unsafe { avx2::attend(self, cache, out) };
        }
        let _ = Instructions::Portable;
        prefill::attend(self, cache, out);
    }
}

fn slice<T>(all: &[T], range: std::ops::Range<usize>) -> &[T] {
    all.get(range).unwrap_or_default()
}
