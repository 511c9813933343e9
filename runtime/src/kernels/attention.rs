//! `lapidary_attention`.

use half::bf16;
use lapidary_kernels::{AttentionNumbers, AttentionOperands, AttentionShape, Features, Pool, attention};

use crate::{Call, CallError, CustomCall};

/// The composite `lapidary.attention` in bf16.
///
/// Operands: query `[batch, seq, heads, head_dim]`, positions `[batch, seq]`, keys and values `[batch, kv_heads, slots,
/// head_dim]`, positions of the slots `[batch, slots]`. Attributes: `scale`, and `softcap` and `window` if there are
/// such. The result is like the query.
#[derive(Clone, Copy, Debug)]
pub struct Attention;

impl CustomCall for Attention {
    const NAME: &'static str = "lapidary_attention";

    fn call(call: &mut Call<'_>) -> Result<(), CallError> {
        let query = call.operand::<bf16>(0)?;
        let positions = call.operand::<i32>(1)?;
        let keys = call.operand::<bf16>(2)?;
        let values = call.operand::<bf16>(3)?;
        let slot_positions = call.operand::<i32>(4)?;
        let shape = shape(query.dims, keys.dims)?;
        let scale = call.float("scale").ok_or_else(|| CallError::new("there is no attribute `scale`"))?;
        let window = call.integer("window").map(i32::try_from).transpose();
        let numbers = AttentionNumbers {
            scale: scale as f32,
            softcap: call.float("softcap").map(|cap| cap as f32),
            // A window beyond all positions is none.
            window: window.unwrap_or(None),
        };
        let operands = AttentionOperands {
            query: query.elements,
            positions: positions.elements,
            keys: keys.elements,
            values: values.elements,
            slot_positions: slot_positions.elements,
        };
        let (pool, features) = (Pool::global(), Features::detect());
        attention(pool, features, shape, numbers, operands, call.result(0)?).map_err(CallError::new)
    }
}

fn shape(query: &[i64], keys: &[i64]) -> Result<AttentionShape, CallError> {
    let dims = |dims: &[i64]| -> Option<[usize; 4]> {
        let dims: Vec<usize> = dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<_, _>>().ok()?;
        dims.try_into().ok()
    };
    match (dims(query), dims(keys)) {
        (Some([batch, queries, heads, head_dim]), Some([_, kv_heads, slots, _])) if kv_heads > 0 => {
            Ok(AttentionShape { batch, queries, kv_heads, group: heads / kv_heads, slots, head_dim })
        }
        _ => Err(CallError::new(format!("a query {query:?} and keys {keys:?} are not those of attention"))),
    }
}
