//! RMSNorm.

use half::bf16;

use super::{Rows, RowsError, check, compute};
use crate::dot::{dot, wide};
use crate::{Features, Pool};

/// Sizes of a norm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RmsNormShape {
    /// Rows, each normed by itself.
    pub rows: usize,
    /// Elements of a row.
    pub width: usize,
}

/// Gemma's RMSNorm of each row of `x` `[rows, width]`: `x / sqrt(mean(x²) + eps) · (1 + weight)` with `weight` `[width]`,
/// in f32, rounded once.
///
/// # Errors
/// If a slice has another size than `shape` says.
pub fn rms_norm(
    pool: &Pool,
    features: Features,
    shape: RmsNormShape,
    eps: f32,
    x: &[bf16],
    weight: &[bf16],
    out: &mut [bf16],
) -> Result<(), RowsError> {
    let elements = shape.rows.saturating_mul(shape.width);
    check([
        ("the input of a norm", elements, x.len()),
        ("the weight of a norm", shape.width, weight.len()),
        ("the result of a norm", elements, out.len()),
    ])?;
    let norm = Norm { x, weight, eps, reciprocal_width: 1.0 / shape.width as f32 };
    compute(pool, features, &norm, shape.width, out);
    Ok(())
}

struct Norm<'a> {
    x: &'a [bf16],
    weight: &'a [bf16],
    eps: f32,
    reciprocal_width: f32,
}

/// Partial sums that are kept side by side: four registers of sixteen f32.
const SUMS: usize = 64;

impl Rows for Norm<'_> {
    #[inline(always)]
    fn compute(&self, row: usize, out: &mut [bf16]) {
        let start = row * out.len();
        let Some(x) = self.x.get(start..start + out.len()) else { return };
        let mean = dot::<SUMS>(x, x) * self.reciprocal_width;
        let inverse = 1.0 / (mean + self.eps).sqrt();
        for ((out, &x), &weight) in out.iter_mut().zip(x).zip(self.weight) {
            *out = bf16::from_f32(wide(x) * inverse * (1.0 + wide(weight)));
        }
    }
}
