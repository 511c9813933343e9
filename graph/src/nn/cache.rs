//! The KV cache: one ring buffer a layer and row, written before it is read.
//!
//! A buffer of `len` slots holds position `p` in slot `p mod len`. A layer that attends to everything has
//! as many slots as the context, so it never wraps; a layer with a window needs only the window.

use crate::op::{Comparison, ScatterDims};
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

/// Rows of a one-token step that are written one by one. More rows would cost more in operations than the
/// scatter costs in copies of the cache.
const MAX_SINGLE_WRITES: usize = 8;

/// `cache` `[batch, kv_heads, len, head_dim]` with the step's keys or values `[batch, seq, kv_heads,
/// head_dim]` written into their slots.
///
/// One token a row is written with `dynamic_update_slice`, which compilers do in place. XLA's CPU compiler
/// turns a bf16 scatter into a conversion of the whole cache to f32, a loop, and a conversion back.
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
    match cache_ty.dims[..] {
        // Only shapes that fit: a slice too many would be clamped into a row that exists, whereas `scatter`
        // refuses them.
        [batch, kv_heads, len, head_dim]
            if batch <= MAX_SINGLE_WRITES
                && update_dims == [batch, 1, kv_heads, head_dim]
                && slots_dims == [batch, 1] =>
        {
            write_rows(b, cache, update, write, [batch, kv_heads, len, head_dim])
        }
        _ => scatter_rows(b, cache, update, write),
    }
}

/// Writes the one token of each row by itself.
fn write_rows(
    b: &mut FunctionBuilder<'_>,
    mut cache: ValueId,
    update: ValueId,
    write: CacheWrite,
    [batch, kv_heads, len, head_dim]: [usize; 4],
) -> Result<ValueId, BuildError> {
    let box_dims = [1, kv_heads, 1, head_dim];
    let zero = b.constant(Literal::int(DType::S32, 0))?;
    let len = b.constant(Literal::int(DType::S32, len as i64))?;
    for row in 0..batch {
        let new = b.slice_dim(update, 0, row, row + 1)?;
        let new = b.reshape(new, &box_dims)?;
        let slot = b.slice(write.slots, &[row, 0], &[row + 1, 1], &[1, 1])?;
        let slot = b.reshape(slot, &[])?;
        let at_row = b.constant(Literal::int(DType::S32, row as i64))?;
        let starts = [at_row, zero, slot, zero];
        // A slot out of range means no write, but the update's start would be clamped into the cache.
        let written = b.compare(Comparison::Lt, slot, len)?;
        let old = b.dynamic_slice(cache, &starts, &box_dims)?;
        let kept = b.select(written, new, old)?;
        cache = b.dynamic_update_slice(cache, kept, &starts)?;
    }
    Ok(cache)
}

fn scatter_rows(
    b: &mut FunctionBuilder<'_>,
    cache: ValueId,
    update: ValueId,
    write: CacheWrite,
) -> Result<ValueId, BuildError> {
    let body = b.overwrite(b.ty(cache)?.dtype)?;
    let dims = ScatterDims {
        update_window_dims: vec![2, 3],
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
        if let Some(existing) = self.module().find(&name) {
            return Ok(existing);
        }
        self.nested(&name, |b| {
            b.param("old", TensorType::scalar(dtype));
            Ok(vec![b.param("new", TensorType::scalar(dtype))])
        })
    }
}
