//! Attention of many queries, a block at a time.

use super::attention::{Attention, AttentionMask, KeyValueScales, KeyValues, attend};
use crate::op::Comparison;
use crate::{BuildError, DType, FunctionBuilder, Literal, ValueId};

/// Queries that are attended at a time. Only the scores of one block exist at once, so that the memory of a
/// step grows with its tokens and not with their square.
pub const QUERY_BLOCK: usize = 512;

/// How many keys each of `queries` queries is multiplied by where `keys` are given, in order or not: all of
/// them, or what the window of its block can reach.
pub fn keys_attended(mask: AttentionMask, queries: usize, keys: usize, ordered: bool) -> usize {
    match mask {
        AttentionMask::Window { window } if queries > QUERY_BLOCK && ordered => {
            keys.min(window.saturating_add(QUERY_BLOCK))
        }
        AttentionMask::Window { .. } | AttentionMask::Causal => keys,
    }
}

/// Attention of one block of queries after the other. A loop, because compilers take blocks that are written
/// out for independent and keep the scores of all of them.
pub(super) fn in_blocks(
    b: &mut FunctionBuilder<'_>,
    layer: &Attention,
    query: ValueId,
    positions: ValueId,
    kv: KeyValues,
) -> Result<ValueId, BuildError> {
    let query_ty = b.ty(query)?;
    let queries = query_ty.dims.get(1).copied().unwrap_or(0);
    if queries <= QUERY_BLOCK {
        return attend(b, layer, query, positions, kv);
    }
    let keys = b.ty(kv.keys)?.dims.get(2).copied().unwrap_or(0);
    let blocks = Blocks { queries, keys, seen: keys_attended(layer.mask, queries, keys, kv.ordered) };

    let first = b.constant(Literal::int(DType::S32, 0))?;
    let mixed = b.splat(0.0, &query_ty)?;
    let carried: Vec<ValueId> = [first, mixed, query, positions].into_iter().chain(kv.operands()).collect();
    let more = |b: &mut FunctionBuilder<'_>, state: &[ValueId]| {
        let start = b.nth("while", state, 0)?;
        let end = b.constant(Literal::int(DType::S32, queries as i64))?;
        b.compare(Comparison::Lt, start, end)
    };
    let results = b.while_with("attention_block", &carried, more, |b, state| {
        let mut state = state.to_vec();
        if let [start, mixed, query, positions, kv_operands @ ..] = state.as_mut_slice() {
            let kv = kv.under(kv_operands);
            let at = blocks.query_start(b, *start)?;
            let block = slice_at(b, *query, 1, at, QUERY_BLOCK)?;
            let block_positions = slice_at(b, *positions, 1, at, QUERY_BLOCK)?;
            let kv = blocks.reach(b, kv, at)?;
            let attended = attend(b, layer, block, block_positions, kv)?;
            *mixed = update_at(b, *mixed, attended, 1, at)?;
            let step = b.constant(Literal::int(DType::S32, QUERY_BLOCK as i64))?;
            *start = b.add(*start, step)?;
        }
        Ok(state)
    })?;
    b.nth("while", &results, 1)
}

/// Sizes of the loop.
#[derive(Clone, Copy)]
struct Blocks {
    queries: usize,
    keys: usize,
    /// Keys that a block is multiplied by.
    seen: usize,
}

impl Blocks {
    /// Where the block from `start` on really starts: the last one is moved back to be whole, and computes some
    /// queries again.
    fn query_start(self, b: &mut FunctionBuilder<'_>, start: ValueId) -> Result<ValueId, BuildError> {
        let last = b.constant(Literal::int(DType::S32, (self.queries - QUERY_BLOCK) as i64))?;
        b.min(start, last)
    }

    /// The keys that the block from `at` on may see: those up to its last query's own.
    fn reach(self, b: &mut FunctionBuilder<'_>, kv: KeyValues, at: ValueId) -> Result<KeyValues, BuildError> {
        if self.seen == self.keys {
            return Ok(kv);
        }
        // The own key of query `i` is key `keys - queries + i`. Before the first keys there is nothing to see, and a
        // slice that would start there is moved to the first.
        let end = self.keys as i64 - self.queries as i64 + QUERY_BLOCK as i64;
        let before = b.constant(Literal::int(DType::S32, end - self.seen as i64))?;
        let first = b.add(at, before)?;
        let scales = match kv.scales {
            None => None,
            Some(KeyValueScales { keys, values }) => Some(KeyValueScales {
                keys: slice_at(b, keys, 2, first, self.seen)?,
                values: slice_at(b, values, 2, first, self.seen)?,
            }),
        };
        Ok(KeyValues {
            keys: slice_at(b, kv.keys, 2, first, self.seen)?,
            values: slice_at(b, kv.values, 2, first, self.seen)?,
            positions: slice_at(b, kv.positions, 1, first, self.seen)?,
            scales,
            ..kv
        })
    }
}

/// `size` elements of dimension `dim` from `at` on.
fn slice_at(
    b: &mut FunctionBuilder<'_>,
    x: ValueId,
    dim: usize,
    at: ValueId,
    size: usize,
) -> Result<ValueId, BuildError> {
    let mut sizes = b.ty(x)?.dims;
    let starts = starts(b, sizes.len(), dim, at)?;
    if let Some(sliced) = sizes.get_mut(dim) {
        *sliced = size;
    }
    b.dynamic_slice(x, &starts, &sizes)
}

/// `x` with `update` from `at` on in dimension `dim`.
fn update_at(
    b: &mut FunctionBuilder<'_>,
    x: ValueId,
    update: ValueId,
    dim: usize,
    at: ValueId,
) -> Result<ValueId, BuildError> {
    let rank = b.ty(x)?.rank();
    let starts = starts(b, rank, dim, at)?;
    b.dynamic_update_slice(x, update, &starts)
}

/// The start of a slice: `at` in dimension `dim`, 0 in the others.
fn starts(
    b: &mut FunctionBuilder<'_>,
    rank: usize,
    dim: usize,
    at: ValueId,
) -> Result<Vec<ValueId>, BuildError> {
    let zero = b.constant(Literal::int(DType::S32, 0))?;
    Ok((0..rank).map(|d| if d == dim { at } else { zero }).collect())
}
