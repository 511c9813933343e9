//! `lapidary_attention`.

use half::bf16;
use lapidary_kernels::{
    AttentionNumbers, AttentionOperands, AttentionShape, Features, KeyValues, Pool, attention,
};

use crate::{Call, CallError, CustomCall, ElementType};

/// The composite `lapidary.attention` in bf16.
///
/// Operands: query `[batch, seq, heads, head_dim]`, positions `[batch, seq]`, keys and values `[batch, kv_heads, slots,
/// head_dim]`, positions of the slots `[batch, slots]`. Keys and values are bf16, or codes in S8, whose scales in F32
/// `[batch, kv_heads, slots]` are two more operands: those of the keys, and of the values. Attributes: `scale`, and `softcap` and `window` if there are
/// such. The result is like the query.
#[derive(Clone, Copy, Debug)]
pub struct Attention;

impl CustomCall for Attention {
    const NAME: &'static str = "lapidary_attention";

    fn call(call: &mut Call<'_>) -> Result<(), CallError> {
        let query = call.operand::<bf16>(0)?;
        let positions = call.operand::<i32>(1)?;
        let (cache, key_dims) = cache(call)?;
        let slot_positions = call.operand::<i32>(4)?;
        let shape = shape(query.dims, key_dims)?;
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
            cache,
            slot_positions: slot_positions.elements,
        };
        let (pool, features) = (Pool::global(), Features::detect());
        attention(pool, features, shape, numbers, operands, call.result(0)?).map_err(CallError::new)
    }
}

/// Keys and values, and the dimensions of either.
fn cache<'a>(call: &Call<'a>) -> Result<(KeyValues<'a>, &'a [i64]), CallError> {
    if call.operand_type(2) == Some(ElementType::S8) {
        let (keys, values) = (call.operand::<i8>(2)?, call.operand::<i8>(3)?);
        let (key_scales, value_scales) = (call.operand::<f32>(5)?, call.operand::<f32>(6)?);
        let cache = KeyValues::Int8 {
            keys: keys.elements,
            key_scales: key_scales.elements,
            values: values.elements,
            value_scales: value_scales.elements,
        };
        return Ok((cache, keys.dims));
    }
    let (keys, values) = (call.operand::<bf16>(2)?, call.operand::<bf16>(3)?);
    Ok((KeyValues::Bf16 { keys: keys.elements, values: values.elements }, keys.dims))
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
