//! `lapidary_linear`.

use half::bf16;
use lapidary_kernels::{Features, LinearResult, LinearShape, Pool, linear};

use crate::{Call, CallError, CustomCall, ElementType, Operand};

/// The composite `lapidary.linear` for bf16: `x` `[..., in]` and `weight` `[out, in]` to `[..., out]` in bf16 or f32.
#[derive(Clone, Copy, Debug)]
pub struct Linear;

impl CustomCall for Linear {
    const NAME: &'static str = "lapidary_linear";

    fn call(call: &mut Call<'_>) -> Result<(), CallError> {
        let x = call.operand::<bf16>(0)?;
        let weight = call.operand::<bf16>(1)?;
        let shape = shape(&x, &weight)?;
        let (pool, features) = (Pool::global(), Features::detect());
        let out = match call.result_type(0) {
            Some(ElementType::BF16) => LinearResult::Bf16(call.result(0)?),
            _ => LinearResult::F32(call.result(0)?),
        };
        linear(pool, features, shape, x.elements, weight.elements, out).map_err(CallError::new)
    }
}

fn shape(x: &Operand<'_, bf16>, weight: &Operand<'_, bf16>) -> Result<LinearShape, CallError> {
    let &[outputs, inputs] = weight.dims else {
        return Err(CallError::new(format!("the weight has {} dimensions, not 2", weight.dims.len())));
    };
    let rows = x.dims.split_last().map(|(_, leading)| leading.iter().product::<i64>());
    match (usize::try_from(rows.unwrap_or(1)), usize::try_from(inputs), usize::try_from(outputs)) {
        (Ok(rows), Ok(inputs), Ok(outputs)) => Ok(LinearShape { rows, inputs, outputs }),
        _ => Err(CallError::new("a dimension is negative")),
    }
}
