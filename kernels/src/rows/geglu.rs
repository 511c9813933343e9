//! The gate of the feed-forward.

use half::bf16;

use super::{ELEMENTS_A_ROW, Rows, RowsError, check, compute};
use crate::dot::wide;
use crate::exponential::exp;
use crate::{Features, Pool};

/// `gelu(gate) · up` of as many elements as `out` has, in f32, rounded once: the approximation of GELU by tanh,
/// `x/2 · (1 + tanh(u))` with `u = sqrt(2/π) · (x + 0.044715 x³)`.
///
/// Source: Shazeer, arXiv 2002.05202; Hendrycks and Gimpel, arXiv 1606.08415.
///
/// # Errors
/// If the slices differ in size.
pub fn geglu(
    pool: &Pool,
    features: Features,
    gate: &[bf16],
    up: &[bf16],
    out: &mut [bf16],
) -> Result<(), RowsError> {
    check([("a gate", out.len(), gate.len()), ("what is gated", out.len(), up.len())])?;
    compute(pool, features, &Gate { gate, up }, ELEMENTS_A_ROW, out);
    Ok(())
}

struct Gate<'a> {
    gate: &'a [bf16],
    up: &'a [bf16],
}

impl Rows for Gate<'_> {
    #[inline(always)]
    fn compute(&self, row: usize, out: &mut [bf16]) {
        let range = row * ELEMENTS_A_ROW..row * ELEMENTS_A_ROW + out.len();
        let (Some(gate), Some(up)) = (self.gate.get(range.clone()), self.up.get(range)) else { return };
        for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
            *out = bf16::from_f32(gelu(wide(gate)) * wide(up));
        }
    }
}

/// GELU by tanh, written as `x / (1 + exp(-2u))`, which is the same and loses no digits where the result is small.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    const SLOPE: f32 = 0.797_884_6;
    let exponent = (x + 0.044_715 * (x * x * x)) * (-2.0 * SLOPE);
    // Beyond, `exp` has no value; a factor of zero makes NaN of an infinite gate, as 1 + tanh does.
    let share = if exponent > 87.0 { 0.0 } else { 1.0 / (1.0 + exp(exponent)) };
    x * share
}
