//! Token embedding.

use super::Weight;
use crate::op::GatherDims;
use crate::{BuildError, DType, FunctionBuilder, ValueId};

/// Rows of an embedding table: `table` is `[vocab, d]`, `ids` `[batch, seq]` of integers; the result is
/// `[batch, seq, d]` of element type `dtype`. Ids out of range are clamped, so callers check them first. Of an encoded
/// table only the rows that are taken are decoded.
///
/// # Errors
/// If `table` is not a matrix, or the parts of an encoded one do not go together.
pub fn embed(
    b: &mut FunctionBuilder<'_>,
    table: impl Into<Weight>,
    ids: ValueId,
    dtype: DType,
) -> Result<ValueId, BuildError> {
    match table.into() {
        Weight::Dense(table) => {
            let rows = rows(b, table, ids)?;
            b.convert(rows, dtype)
        }
        Weight::Encoded(table) => {
            table.check(b)?;
            table.try_map(|part| rows(b, part, ids))?.decode(b, dtype)
        }
    }
}

/// Rows of a matrix `[vocab, d]`: `[batch, seq, d]`.
fn rows(b: &mut FunctionBuilder<'_>, table: ValueId, ids: ValueId) -> Result<ValueId, BuildError> {
    let width = b.ty(table)?.dims.get(1).copied().unwrap_or(0);
    let rank = b.ty(ids)?.rank();
    let dims = GatherDims {
        offset_dims: vec![rank],
        collapsed_slice_dims: vec![0],
        start_index_map: vec![0],
        index_vector_dim: rank,
        ..GatherDims::default()
    };
    b.gather(table, ids, dims, &[1, width])
}

/// `x * factor`, where the factor is first rounded to `x`'s dtype: Gemma multiplies embeddings by
/// `sqrt(d)` in the activations' own type (for bf16, sqrt(3584) is 59.75).
///
/// # Errors
/// If `x` is not a float tensor.
pub fn scale(b: &mut FunctionBuilder<'_>, x: ValueId, factor: f64) -> Result<ValueId, BuildError> {
    let ty = b.ty(x)?;
    let factor = b.splat(factor, &ty)?;
    b.mul(x, factor)
}
