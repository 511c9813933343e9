//! `lapidary_quantized_linear`.

use half::{bf16, f16};
use lapidary_kernels::{
    Codes, EncodedWeight, Features, LinearResult, LinearShape, Pool, Scales, quantized_linear,
};

use crate::{Call, CallError, CustomCall, ElementType};

/// The composite `lapidary.quantized_linear` for bf16: `x` `[..., in]`, codes (S8 `[out, in]`, or two of four bits in
/// each of U8 `[out, in / 2]`), scales `[out, groups]` in BF16, F16 or F32 and, where there are some, offsets
/// `[out, groups]` in F32, to `[..., out]` in bf16 or f32.
#[derive(Clone, Copy, Debug)]
pub struct QuantizedLinear;

impl CustomCall for QuantizedLinear {
    const NAME: &'static str = "lapidary_quantized_linear";

    fn call(call: &mut Call<'_>) -> Result<(), CallError> {
        let x = call.operand::<bf16>(0)?;
        let (codes, code_dims) = match call.operand_type(1) {
            Some(ElementType::S8) => {
                let codes = call.operand::<i8>(1)?;
                (Codes::Int8(codes.elements), codes.dims)
            }
            Some(ElementType::U8) => {
                let codes = call.operand::<u8>(1)?;
                (Codes::Int4(codes.elements), codes.dims)
            }
            found => return Err(unexpected("codes", "S8 or U8", found)),
        };
        let (scales, scale_dims) = match call.operand_type(2) {
            Some(ElementType::BF16) => {
                let scales = call.operand::<bf16>(2)?;
                (Scales::Bf16(scales.elements), scales.dims)
            }
            Some(ElementType::F16) => {
                let scales = call.operand::<f16>(2)?;
                (Scales::F16(scales.elements), scales.dims)
            }
            Some(ElementType::F32) => {
                let scales = call.operand::<f32>(2)?;
                (Scales::F32(scales.elements), scales.dims)
            }
            found => return Err(unexpected("scales", "BF16, F16 or F32", found)),
        };
        let offsets = match call.operand_type(3) {
            Some(_) => Some(call.operand::<f32>(3)?.elements),
            None => None,
        };
        let (shape, groups) = shape(x.dims, code_dims, scale_dims)?;
        let weight = EncodedWeight { codes, scales, offsets, groups };
        let (pool, features) = (Pool::global(), Features::detect());
        let out = match call.result_type(0) {
            Some(ElementType::BF16) => LinearResult::Bf16(call.result(0)?),
            _ => LinearResult::F32(call.result(0)?),
        };
        quantized_linear(pool, features, shape, x.elements, weight, out).map_err(CallError::new)
    }
}

/// The layer's sizes, and the groups of an output.
fn shape(x: &[i64], codes: &[i64], scales: &[i64]) -> Result<(LinearShape, usize), CallError> {
    let (Some((&inputs, leading)), &[outputs, _], &[_, groups]) = (x.split_last(), codes, scales) else {
        return Err(CallError::new(format!(
            "x {x:?}, codes {codes:?} and scales {scales:?} are not those of a linear layer"
        )));
    };
    let rows = leading.iter().product::<i64>();
    let sizes = [rows, inputs, outputs, groups].map(|size| usize::try_from(size).ok());
    match sizes {
        [Some(rows), Some(inputs), Some(outputs), Some(groups)] => {
            Ok((LinearShape { rows, inputs, outputs }, groups))
        }
        _ => Err(CallError::new("a dimension is negative")),
    }
}

fn unexpected(operand: &str, expected: &str, found: Option<ElementType>) -> CallError {
    let found = found.map_or("nothing".to_string(), |found| found.to_string());
    CallError::new(format!("the {operand} are {found}, not {expected}"))
}
