//! `lapidary_cache_write`.

use half::bf16;
use lapidary_kernels::{CacheWriteShape, cache_write};

use crate::{Call, CallError, CustomCall, Element, ElementType};

/// The composite `lapidary.cache_write`, in place.
///
/// Operands: the cache `[batch, kv_heads, slots, head_dim]`, which is also the result, the update `[batch, tokens, kv_heads,
/// head_dim]`, and the slot of each token, `[batch, tokens]`. Both are bf16, codes in S8, or F32; of scales, of which a
/// head has one, the last dimension is left out.
#[derive(Clone, Copy, Debug)]
pub struct CacheWrite;

impl CustomCall for CacheWrite {
    const NAME: &'static str = "lapidary_cache_write";

    fn call(call: &mut Call<'_>) -> Result<(), CallError> {
        match call.operand_type(1) {
            Some(ElementType::S8) => write::<i8>(call),
            Some(ElementType::F32) => write::<f32>(call),
            _ => write::<bf16>(call),
        }
    }
}

fn write<T: Element>(call: &mut Call<'_>) -> Result<(), CallError> {
    let update = call.operand::<T>(1)?;
    let slots = call.operand::<i32>(2)?;
    let cache = call.updated::<T>(0, 0)?;
    let shape = shape(cache.dims, update.dims)?;
    cache_write(shape, cache.elements, update.elements, slots.elements).map_err(CallError::new)
}

fn shape(cache: &[i64], update: &[i64]) -> Result<CacheWriteShape, CallError> {
    let sizes =
        |dims: &[i64]| -> Option<Vec<usize>> { dims.iter().map(|&dim| usize::try_from(dim).ok()).collect() };
    match (sizes(cache).as_deref(), sizes(update).as_deref()) {
        (Some(&[batch, kv_heads, slots, head_dim]), Some(&[_, tokens, _, _])) => {
            Ok(CacheWriteShape { batch, tokens, kv_heads, slots, head_dim })
        }
        (Some(&[batch, kv_heads, slots]), Some(&[_, tokens, _])) => {
            Ok(CacheWriteShape { batch, tokens, kv_heads, slots, head_dim: 1 })
        }
        _ => Err(CallError::new(format!("{update:?} are not tokens for a cache {cache:?}"))),
    }
}
