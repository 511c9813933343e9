//! Grouped-query attention with softcap and window, as a composite.

use super::activation::softcap;
use super::attention_blocks::in_blocks;
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
    /// `[batch, kv_heads, keys, head_dim]`.
    pub keys: ValueId,
    /// `[batch, kv_heads, keys, head_dim]`.
    pub values: ValueId,
    /// `[batch, keys]` s32; negative for a slot that holds nothing.
    pub positions: ValueId,
    /// Whether the keys stand in the order of their positions and end with the queries' own. Then a block of
    /// queries need not look at what its window cannot reach.
    pub ordered: bool,
}

/// Attention of `query` `[batch, seq, heads, head_dim]` at `positions` `[batch, seq]` (s32) over `kv`;
/// the result has the query's type. Query head `h` uses key head `h / (heads / kv_heads)`.
///
/// Scores, softcap, mask and softmax are f32, in this order; the weights are rounded to the values'
/// dtype for the second product, which accumulates in f32. Many queries are attended in blocks of
/// [`QUERY_BLOCK`](super::QUERY_BLOCK). A composite named `lapidary.attention`.
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
    let mut attributes: Attributes = vec![("scale".to_string(), Attr::Float(layer.scale))];
    if let Some(cap) = layer.softcap {
        attributes.push(("softcap".to_string(), Attr::Float(cap)));
    }
    if let AttentionMask::Window { window } = layer.mask {
        attributes.push(("window".to_string(), Attr::Int(window as i64)));
    }
    let operands = [query, positions, kv.keys, kv.values, kv.positions];
    b.composite("lapidary.attention", attributes, operands, |b, operands| {
        let [query, positions, keys, values, key_positions] = operands;
        let kv = KeyValues { keys, values, positions: key_positions, ordered: kv.ordered };
        in_blocks(b, layer, query, positions, kv)
    })
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
    if let Some(cap) = layer.softcap {
        scores = softcap(b, scores, cap)?;
    }
    let visible = visible_keys(b, layer.mask, positions, kv.positions)?;
    let visible = b.broadcast(visible, &score_ty.dims, &[0, 2, 4])?;
    // Finite, so that a padded row without any visible key gives numbers rather than NaN.
    let hidden = b.splat(f64::from(f32::MIN), &score_ty)?;
    let scores = b.select(visible, scores, hidden)?;
    let weights = softmax(b, scores, 4)?;

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
