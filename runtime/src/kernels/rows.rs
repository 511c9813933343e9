//! `lapidary_rms_norm`, `lapidary_rope`, `lapidary_geglu` and `lapidary_residual_add`.

use half::bf16;
use lapidary_kernels::{
    Features, Pool, RmsNormShape, RopeShape, RopeTables, geglu, residual_add, rms_norm, rope,
};

use crate::{Call, CallError, CustomCall};

/// The composite `lapidary.rms_norm` in bf16: `x` `[..., d]` and `weight` `[d]`. Attribute: `eps`.
#[derive(Clone, Copy, Debug)]
pub struct RmsNorm;

/// The composite `lapidary.rope` in bf16: `x` `[batch, seq, heads, head_dim]`, and cosines and sines `[batch, seq,
/// head_dim]` in F32.
#[derive(Clone, Copy, Debug)]
pub struct Rope;

/// The composite `lapidary.geglu` in bf16: `gate` and `up`, of one shape.
#[derive(Clone, Copy, Debug)]
pub struct Geglu;

/// The composite `lapidary.residual_add` in bf16: `residual` and `branch`, of one shape.
#[derive(Clone, Copy, Debug)]
pub struct ResidualAdd;

impl CustomCall for RmsNorm {
    const NAME: &'static str = "lapidary_rms_norm";

    fn call(call: &mut Call<'_>) -> Result<(), CallError> {
        let (x, weight) = (call.operand::<bf16>(0)?, call.operand::<bf16>(1)?);
        let width = weight.elements.len();
        let shape = RmsNormShape { rows: x.elements.len().checked_div(width).unwrap_or(0), width };
        let eps = call.float("eps").ok_or_else(|| CallError::new("there is no attribute `eps`"))? as f32;
        let (pool, features) = (Pool::global(), Features::detect());
        rms_norm(pool, features, shape, eps, x.elements, weight.elements, call.result(0)?)
            .map_err(CallError::new)
    }
}

impl CustomCall for Rope {
    const NAME: &'static str = "lapidary_rope";

    fn call(call: &mut Call<'_>) -> Result<(), CallError> {
        let x = call.operand::<bf16>(0)?;
        let (cos, sin) = (call.operand::<f32>(1)?, call.operand::<f32>(2)?);
        let shape = rope_shape(x.dims)?;
        let tables = RopeTables { cos: cos.elements, sin: sin.elements };
        let (pool, features) = (Pool::global(), Features::detect());
        rope(pool, features, shape, x.elements, tables, call.result(0)?).map_err(CallError::new)
    }
}

impl CustomCall for Geglu {
    const NAME: &'static str = "lapidary_geglu";

    fn call(call: &mut Call<'_>) -> Result<(), CallError> {
        let (gate, up) = (call.operand::<bf16>(0)?, call.operand::<bf16>(1)?);
        let (pool, features) = (Pool::global(), Features::detect());
        geglu(pool, features, gate.elements, up.elements, call.result(0)?).map_err(CallError::new)
    }
}

impl CustomCall for ResidualAdd {
    const NAME: &'static str = "lapidary_residual_add";

    fn call(call: &mut Call<'_>) -> Result<(), CallError> {
        let (residual, branch) = (call.operand::<bf16>(0)?, call.operand::<bf16>(1)?);
        let (pool, features) = (Pool::global(), Features::detect());
        residual_add(pool, features, residual.elements, branch.elements, call.result(0)?)
            .map_err(CallError::new)
    }
}

fn rope_shape(dims: &[i64]) -> Result<RopeShape, CallError> {
    let sizes: Option<Vec<usize>> = dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    match sizes.as_deref() {
        Some(&[batch, seq, heads, head_dim]) => {
            Ok(RopeShape { tokens: batch.saturating_mul(seq), heads, head_dim })
        }
        _ => Err(CallError::new(format!("{dims:?} are not heads of tokens"))),
    }
}
