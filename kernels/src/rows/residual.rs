//! Residual sums.

use half::bf16;

use super::{ELEMENTS_A_ROW, Rows, RowsError, check, compute};
use crate::dot::wide;
use crate::{Features, Pool};

/// `residual + branch` of as many elements as `out` has, rounded once.
///
/// # Errors
/// If the slices differ in size.
pub fn residual_add(
    pool: &Pool,
    features: Features,
    residual: &[bf16],
    branch: &[bf16],
    out: &mut [bf16],
) -> Result<(), RowsError> {
    check([("a residual", out.len(), residual.len()), ("a branch", out.len(), branch.len())])?;
    compute(pool, features, &Sum { residual, branch }, ELEMENTS_A_ROW, out);
    Ok(())
}

struct Sum<'a> {
    residual: &'a [bf16],
    branch: &'a [bf16],
}

impl Rows for Sum<'_> {
    #[inline(always)]
    fn compute(&self, row: usize, out: &mut [bf16]) {
        let range = row * ELEMENTS_A_ROW..row * ELEMENTS_A_ROW + out.len();
        let (Some(residual), Some(branch)) = (self.residual.get(range.clone()), self.branch.get(range))
        else {
            return;
        };
        for ((out, &residual), &branch) in out.iter_mut().zip(residual).zip(branch) {
            *out = bf16::from_f32(wide(residual) + wide(branch));
        }
    }
}
