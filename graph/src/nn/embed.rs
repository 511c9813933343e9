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
            let rows = rows(b, table, ids, 0)?;
            b.convert(rows, dtype)
        }
        Weight::Encoded(table) => {
            table.check(b)?;
            let by_groups = b.ty(table.codes)?.rank() == 3;
            let mut rows = table.try_map(|part| rows(b, part, ids, usize::from(by_groups)))?;
            if by_groups {
                rows.codes = joined(b, rows.codes)?;
            }
            rows.decode(b, dtype)
        }
    }
}

/// What a table has for each id, where ids count its dimension `dim`: `[batch, seq, ...]` with the table's other
/// dimensions.
fn rows(
    b: &mut FunctionBuilder<'_>,
    table: ValueId,
    ids: ValueId,
    dim: usize,
) -> Result<ValueId, BuildError> {
    let dims = b.ty(table)?.dims;
    let size = |dim: usize| dims.get(dim).copied().unwrap_or(0);
    let slice = match dim {
        // What is no matrix is refused for it.
        0 => vec![1, size(1)],
        _ => (0..dims.len()).map(|other| if other == dim { 1 } else { size(other) }).collect(),
    };
    let rank = b.ty(ids)?.rank();
    let dims = GatherDims {
        offset_dims: (rank..rank + slice.len().saturating_sub(1)).collect(),
        collapsed_slice_dims: vec![dim],
        start_index_map: vec![dim],
        index_vector_dim: rank,
        ..GatherDims::default()
    };
    b.gather(table, ids, dims, &slice)
}

/// `[..., groups, group]` as `[..., groups * group]`.
fn joined(b: &mut FunctionBuilder<'_>, codes: ValueId) -> Result<ValueId, BuildError> {
    let dims = b.ty(codes)?.dims;
    match dims.as_slice() {
        [leading @ .., groups, group] => {
            let joined = [leading, &[groups.saturating_mul(*group)]].concat();
            b.reshape(codes, &joined)
        }
        _ => Ok(codes),
    }
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
