//! `lapidary_cache_write`.

use half::bf16;
use lapidary_kernels::{CacheWriteShape, cache_write};

use crate::{Call, CallError, CustomCall};

/// The composite `lapidary.cache_write` in bf16, in place.
///
/// Operands: the cache `[batch, kv_heads, slots, head_dim]`, which is also the result, the update `[batch, tokens, kv_heads,
/// head_dim]`, and the slot of each token, `[batch, tokens]`.
#[derive(Clone, Copy, Debug)]
pub struct CacheWrite;

impl CustomCall for CacheWrite {
    const NAME: &'static str = "lapidary_cache_write";

    fn call(call: &mut Call<'_>) -> Result<(), CallError> {
        let update = call.operand::<bf16>(1)?;
        let slots = call.operand::<i32>(2)?;
        let cache = call.updated::<bf16>(0, 0)?;
        let shape = shape(cache.dims, update.dims)?;
        cache_write(shape, cache.elements, update.elements, slots.elements).map_err(CallError::new)
    }
}

fn shape(cache: &[i64], update: &[i64]) -> Result<CacheWriteShape, CallError> {
    let dims = |dims: &[i64]| -> Option<[usize; 4]> {
        let dims: Vec<usize> = dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<_, _>>().ok()?;
        dims.try_into().ok()
    };
    match (dims(cache), dims(update)) {
        (Some([batch, kv_heads, slots, head_dim]), Some([_, tokens, _, _])) => {
            Ok(CacheWriteShape { batch, tokens, kv_heads, slots, head_dim })
        }
        _ => Err(CallError::new(format!("{update:?} are not tokens for a cache {cache:?}"))),
    }
}
