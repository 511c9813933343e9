//! Grouped-query attention with softcap and window, as a composite.

use super::activation::softcap;
use super::attention_blocks::in_blocks;
use super::cache_half::CacheHalf;
use super::linear::full_precision;
use super::sampling::softmax;
use crate::op::{Comparison, DotDims};
use crate::{Attr, Attributes, BuildError, DType, FunctionBuilder, TensorType, ValueId};

/// Which keys a query may see, beyond those that exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttentionMask {
    /// All keys at or before the query.
    Causal,
    /// The last `window` keys, the query's own included: `query - window < key <= query`.
    Window {
        /// Number of keys.
        window: usize,
    },
}

/// The numbers of an attention layer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Attention {
    /// Factor on the scores, before the softcap.
    pub scale: f64,
    /// Softcap of the scaled scores, before the mask.
    pub softcap: Option<f64>,
    /// Mask.
    pub mask: AttentionMask,
}

/// Keys and values with the positions they stand at.
#[derive(Clone, Copy, Debug)]
pub struct KeyValues {
    /// `[batch, kv_heads, keys, head_dim]`: floats, or codes in S8.
    pub keys: ValueId,
    /// The same of the values.
    pub values: ValueId,
    /// Of codes, their scales.
    pub scales: Option<KeyValueScales>,
    /// `[batch, keys]` s32; negative for a slot that holds nothing.
    pub positions: ValueId,
    /// Whether the keys stand in the order of their positions and end with the queries' own. Then a block of
    /// queries need not look at what its window cannot reach.
    pub ordered: bool,
}

/// What the codes of keys and values are multiplied by, for each head of each position.
#[derive(Clone, Copy, Debug)]
pub struct KeyValueScales {
    /// f32 `[batch, kv_heads, keys]`.
    pub keys: ValueId,
    /// f32 `[batch, kv_heads, keys]`.
    pub values: ValueId,
}

impl KeyValues {
    /// Keys and values in the form that a cache holds them in.
    pub fn of_cache(keys: CacheHalf, values: CacheHalf, positions: ValueId, ordered: bool) -> Self {
        let scales = keys.scales.zip(values.scales);
        Self {
            keys: keys.elements,
            values: values.elements,
            scales: scales.map(|(keys, values)| KeyValueScales { keys, values }),
            positions,
            ordered,
        }
    }

    /// All its values: keys, values, positions, and the scales if there are some.
    pub(super) fn operands(self) -> impl Iterator<Item = ValueId> {
        let scales = self.scales.map(|scales| [scales.keys, scales.values]);
        [self.keys, self.values, self.positions].into_iter().chain(scales.into_iter().flatten())
    }

    /// The same under other values, in the order of [`operands`](Self::operands).
    pub(super) fn under(self, operands: &[ValueId]) -> Self {
        let mut operands = operands.iter().copied();
        // An id outside the function for one that is missing: the builder reports its first use.
        let mut next = || operands.next().unwrap_or(ValueId::new(usize::MAX));
        let (keys, values, positions) = (next(), next(), next());
        let scales = self.scales.map(|_| KeyValueScales { keys: next(), values: next() });
        Self { keys, values, scales, positions, ordered: self.ordered }
    }
}

/// Attention of `query` `[batch, seq, heads, head_dim]` at `positions` `[batch, seq]` (s32) over `kv`;
/// the result has the query's type. Query head `h` uses key head `h / (heads / kv_heads)`.
///
/// Scores, softcap, mask and softmax are f32, in this order; the weights are rounded to the values'
/// dtype for the second product, which accumulates in f32. Many queries are attended in blocks of
/// [`QUERY_BLOCK`](super::QUERY_BLOCK).
///
/// Codes are multiplied as they are, in the query's dtype, which holds them exactly: scales of keys multiply the scores, those
/// of values the weights before they are rounded. So no array of the cache's size is made of them.
///
/// A composite named `lapidary.attention` of `[query, positions, keys, values, key positions]`, behind which those of codes
/// have `[scales of keys, scales of values]`.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention(
    b: &mut FunctionBuilder<'_>,
    layer: &Attention,
    query: ValueId,
    positions: ValueId,
    kv: KeyValues,
) -> Result<ValueId, BuildError> {
    const NAME: &str = "lapidary.attention";
    let mut attributes: Attributes = vec![("scale".to_string(), Attr::Float(layer.scale))];
    if let Some(cap) = layer.softcap {
        attributes.push(("softcap".to_string(), Attr::Float(cap)));
    }
    if let AttentionMask::Window { window } = layer.mask {
        attributes.push(("window".to_string(), Attr::Int(window as i64)));
    }
    let KeyValues { keys, values, positions: key_positions, scales, .. } = kv;
    match scales {
        None => {
            let operands = [query, positions, keys, values, key_positions];
            b.composite(NAME, attributes, operands, |b, [query, positions, kv_operands @ ..]| {
                in_blocks(b, layer, query, positions, kv.under(&kv_operands))
            })
        }
        Some(scales) => {
            let operands = [query, positions, keys, values, key_positions, scales.keys, scales.values];
            b.composite(NAME, attributes, operands, |b, [query, positions, kv_operands @ ..]| {
                in_blocks(b, layer, query, positions, kv.under(&kv_operands))
            })
        }
    }
}

/// Attention of all queries at once.
pub(super) fn attend(
    b: &mut FunctionBuilder<'_>,
    layer: &Attention,
    query: ValueId,
    positions: ValueId,
    kv: KeyValues,
) -> Result<ValueId, BuildError> {
    let query_ty = b.ty(query)?;
    let kv = match kv.scales {
        None => kv,
        Some(_) => KeyValues {
            keys: b.convert(kv.keys, query_ty.dtype)?,
            values: b.convert(kv.values, query_ty.dtype)?,
            ..kv
        },
    };
    let value_dtype = b.ty(kv.values)?.dtype;
    let dim = |ty: &TensorType, i: usize| ty.dims.get(i).copied().unwrap_or(0);
    let (batch, seq, heads, head_dim) =
        (dim(&query_ty, 0), dim(&query_ty, 1), dim(&query_ty, 2), dim(&query_ty, 3));
    let kv_heads = dim(&b.ty(kv.keys)?, 1).max(1);
    let group = heads / kv_heads;

    let grouped = b.reshape(query, &[batch, seq, kv_heads, group, head_dim])?;
    let key_dtype = b.ty(kv.keys)?.dtype;
    let grouped = b.convert(grouped, key_dtype)?;
    let over_head_dim = DotDims {
        lhs_batch: vec![0, 2],
        rhs_batch: vec![0, 1],
        lhs_contract: vec![4],
        rhs_contract: vec![3],
    };
    // [batch, kv_heads, seq, group, keys]
    let scores = b.dot_general(grouped, kv.keys, over_head_dim, full_precision(key_dtype), DType::F32)?;
    let score_ty = b.ty(scores)?;
    let scale = b.splat(layer.scale, &score_ty)?;
    let mut scores = b.mul(scores, scale)?;
    if let Some(scales) = kv.scales {
        let scales = b.broadcast(scales.keys, &score_ty.dims, &[0, 1, 4])?;
        scores = b.mul(scores, scales)?;
    }
    if let Some(cap) = layer.softcap {
        scores = softcap(b, scores, cap)?;
    }
    let visible = visible_keys(b, layer.mask, positions, kv.positions)?;
    let visible = b.broadcast(visible, &score_ty.dims, &[0, 2, 4])?;
    // Finite, so that a padded row without any visible key gives numbers rather than NaN.
    let hidden = b.splat(f64::from(f32::MIN), &score_ty)?;
    let scores = b.select(visible, scores, hidden)?;
    let mut weights = softmax(b, scores, 4)?;
    if let Some(scales) = kv.scales {
        let scales = b.broadcast(scales.values, &score_ty.dims, &[0, 1, 4])?;
        weights = b.mul(weights, scales)?;
    }
    let weights = b.convert(weights, value_dtype)?;
    let over_keys = DotDims {
        lhs_batch: vec![0, 1],
        rhs_batch: vec![0, 1],
        lhs_contract: vec![4],
        rhs_contract: vec![2],
    };
    // [batch, kv_heads, seq, group, head_dim]
    let mixed = b.dot_general(weights, kv.values, over_keys, full_precision(value_dtype), query_ty.dtype)?;
    let mixed = b.transpose(mixed, &[0, 2, 1, 3, 4])?;
    b.reshape(mixed, &query_ty.dims)
}

/// `[batch, seq, keys]`: whether a query sees a key.
fn visible_keys(
    b: &mut FunctionBuilder<'_>,
    mask: AttentionMask,
    query_positions: ValueId,
    key_positions: ValueId,
) -> Result<ValueId, BuildError> {
    let queries = b.ty(query_positions)?;
    let keys = b.ty(key_positions)?;
    let mut dims = queries.dims.clone();
    dims.push(keys.dims.get(1).copied().unwrap_or(0));
    let query = b.broadcast(query_positions, &dims, &[0, 1])?;
    let key = b.broadcast(key_positions, &dims, &[0, 2])?;
    let ty = b.ty(key)?;
    let zero = b.splat(0.0, &ty)?;
    let exists = b.compare(Comparison::Ge, key, zero)?;
    let past = b.compare(Comparison::Le, key, query)?;
    let visible = b.and(exists, past)?;
    match mask {
        AttentionMask::Causal => Ok(visible),
        AttentionMask::Window { window } => {
            let window = b.splat(window as f64, &ty)?;
            let age = b.sub(query, key)?;
            let near = b.compare(Comparison::Lt, age, window)?;
            b.and(visible, near)
        }
    }
}
