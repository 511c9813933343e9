//! The KV cache: one ring buffer a layer and row, written before it is read.
//!
//! A buffer of `len` slots holds position `p` in slot `p mod len`. A layer that attends to everything has
//! as many slots as the context, so it never wraps; a layer with a window needs only the window.

use crate::op::{Comparison, GatherDims, ScatterDims};
use crate::{BuildError, DType, FuncId, FunctionBuilder, Literal, TensorType, ValueId};

/// Where the tokens of a step go: computed once for all layers whose caches have the same length.
#[derive(Clone, Copy, Debug)]
pub struct CacheWrite {
    /// Slot of each token, `[batch, seq]` s32; `len` (out of range, so dropped) for padding and for
    /// tokens that later tokens of the same step overwrite.
    pub slots: ValueId,
}

/// Slots for `seq` tokens of each row that start at `start` `[batch]`, of which the first `count`
/// `[batch]` are real, in buffers of `len` slots.
///
/// # Errors
/// If `start` and `count` are not s32 vectors of one length.
pub fn cache_slots(
    b: &mut FunctionBuilder<'_>,
    start: ValueId,
    count: ValueId,
    seq: usize,
    len: usize,
) -> Result<CacheWrite, BuildError> {
    let batch = b.ty(start)?.num_elements();
    let ty = TensorType::new(DType::S32, [batch, seq]);
    let offset = b.iota(ty.clone(), 1)?;
    let start = b.broadcast(start, &ty.dims, &[0])?;
    let count = b.broadcast(count, &ty.dims, &[0])?;
    let position = b.add(start, offset)?;
    let len_splat = b.splat(len as f64, &ty)?;
    let slot = b.rem(position, len_splat)?;

    let real = b.compare(Comparison::Lt, offset, count)?;
    let first_kept = b.sub(count, len_splat)?;
    let kept = b.compare(Comparison::Ge, offset, first_kept)?;
    let written = b.and(real, kept)?;
    Ok(CacheWrite { slots: b.select(written, slot, len_splat)? })
}

/// The position that each slot holds once rows have `end` `[batch]` tokens in all: `[batch, len]` s32,
/// negative where a slot holds nothing yet.
///
/// Slot `s` holds the last position below `end` that is congruent to `s` modulo `len`.
///
/// # Errors
/// If `end` is not an s32 vector.
pub fn cache_positions(b: &mut FunctionBuilder<'_>, end: ValueId, len: usize) -> Result<ValueId, BuildError> {
    let batch = b.ty(end)?.num_elements();
    let ty = TensorType::new(DType::S32, [batch, len]);
    let slot = b.iota(ty.clone(), 1)?;
    let one = b.splat(1.0, &ty)?;
    let end = b.broadcast(end, &ty.dims, &[0])?;
    let last = b.sub(end, one)?;
    // `last - slot` can be negative by up to `len`, and `remainder` takes the dividend's sign.
    let distance = b.sub(last, slot)?;
    let len_splat = b.splat(len as f64, &ty)?;
    let distance = b.add(distance, len_splat)?;
    let age = b.rem(distance, len_splat)?;
    b.sub(last, age)
}

/// The slots of `cache` `[batch, kv_heads, len, ...]` in the order of the positions that they hold once
/// rows have `end` `[batch]` tokens, with these positions `[batch, len]` (s32, negative where a slot holds
/// nothing yet): slot `i` of the result holds position `end - len + i`.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn cache_in_order(
    b: &mut FunctionBuilder<'_>,
    cache: ValueId,
    end: ValueId,
) -> Result<(ValueId, ValueId), BuildError> {
    let dims = b.ty(cache)?.dims;
    let dim = |i: usize| dims.get(i).copied().unwrap_or(0);
    let ty = TensorType::new(DType::S32, [dim(0), dim(2)]);
    let index = b.iota(ty.clone(), 1)?;
    let end = b.broadcast(end, &ty.dims, &[0])?;
    let len = b.splat(dim(2) as f64, &ty)?;
    let next_lap = b.add(end, index)?;
    let positions = b.sub(next_lap, len)?;
    let slots = b.rem(next_lap, len)?;
    let gather = GatherDims {
        offset_dims: (1..dims.len()).filter(|&dim| dim != 2).collect(),
        collapsed_slice_dims: vec![2],
        operand_batching_dims: vec![0],
        start_indices_batching_dims: vec![0],
        start_index_map: vec![2],
        index_vector_dim: 2,
    };
    let sizes: Vec<usize> =
        dims.iter().enumerate().map(|(i, &size)| if i == 0 || i == 2 { 1 } else { size }).collect();
    let ordered = b.gather(cache, slots, gather, &sizes)?;
    Ok((ordered, positions))
}

/// `cache` `[batch, kv_heads, len, ...]` with what a step has of each token and head, `[batch, seq, kv_heads, ...]`,
/// written into their slots: keys or values, or the scales of either.
///
/// A composite named `lapidary.cache_write` of `[cache, update, slots]`. Its decomposition writes a single token of a
/// single row with `dynamic_update_slice`, which compilers do in place, and others with `scatter`: slicing the batch axis
/// would gather a cache that is split over it. XLA's CPU compiler turns either, in bf16, into a conversion of the whole
/// cache to f32 and back, and a copy: there the lowering writes a selection instead.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn cache_write(
    b: &mut FunctionBuilder<'_>,
    cache: ValueId,
    update: ValueId,
    write: CacheWrite,
) -> Result<ValueId, BuildError> {
    let cache_ty = b.ty(cache)?;
    let update = b.convert(update, cache_ty.dtype)?;
    let (update_dims, slots_dims) = (b.ty(update)?.dims, b.ty(write.slots)?.dims);
    let operands = [cache, update, write.slots];
    b.composite("lapidary.cache_write", Vec::new(), operands, |b, [cache, update, slots]| {
        let write = CacheWrite { slots };
        match cache_ty.dims.split_at_checked(3) {
            // Only shapes that fit: `reshape` would accept swapped ones, which `scatter` refuses.
            Some((&[1, kv_heads, len], of_head))
                if update_dims == [&[1, 1, kv_heads], of_head].concat() && slots_dims == [1, 1] =>
            {
                write_token(b, cache, update, write, len)
            }
            _ => scatter_tokens(b, cache, update, write),
        }
    })
}

/// Writes one token of one row.
fn write_token(
    b: &mut FunctionBuilder<'_>,
    cache: ValueId,
    update: ValueId,
    write: CacheWrite,
    len: usize,
) -> Result<ValueId, BuildError> {
    let rank = b.ty(cache)?.rank();
    let by_head: Vec<usize> = [0, 2, 1].into_iter().chain(3..rank).collect();
    let new = b.transpose(update, &by_head)?;
    let slot = b.reshape(write.slots, &[])?;
    let zero = b.constant(Literal::int(DType::S32, 0))?;
    let starts: Vec<ValueId> = (0..rank).map(|dim| if dim == 2 { slot } else { zero }).collect();
    // A slot out of range means no write, but the update's start would be clamped into the cache.
    let len = b.constant(Literal::int(DType::S32, len as i64))?;
    let written = b.compare(Comparison::Lt, slot, len)?;
    let dims = b.ty(new)?.dims;
    let old = b.dynamic_slice(cache, &starts, &dims)?;
    let kept = b.select(written, new, old)?;
    b.dynamic_update_slice(cache, kept, &starts)
}

fn scatter_tokens(
    b: &mut FunctionBuilder<'_>,
    cache: ValueId,
    update: ValueId,
    write: CacheWrite,
) -> Result<ValueId, BuildError> {
    let cache_ty = b.ty(cache)?;
    let body = b.overwrite(cache_ty.dtype)?;
    let dims = ScatterDims {
        update_window_dims: (2..cache_ty.rank()).collect(),
        inserted_window_dims: vec![2],
        input_batching_dims: vec![0],
        scatter_indices_batching_dims: vec![0],
        scatter_dims_to_operand_dims: vec![2],
        index_vector_dim: 2,
    };
    b.scatter(cache, write.slots, update, dims, false, body)
}

impl FunctionBuilder<'_> {
    /// The scatter body that replaces the old element, made once a module.
    fn overwrite(&mut self, dtype: DType) -> Result<FuncId, BuildError> {
        let name = format!("overwrite.{dtype}");
        self.shared(&name, |b| {
            b.param("old", TensorType::scalar(dtype));
            Ok(vec![b.param("new", TensorType::scalar(dtype))])
        })
    }
}
