//! Residual sums.

use crate::{BuildError, FunctionBuilder, ValueId};

/// `residual + branch`, of one type. It is a composite named `lapidary.residual_add` of both.
///
/// # Errors
/// If the operands differ in type.
pub fn residual_add(
    b: &mut FunctionBuilder<'_>,
    residual: ValueId,
    branch: ValueId,
) -> Result<ValueId, BuildError> {
    b.composite("lapidary.residual_add", Vec::new(), [residual, branch], |b, [residual, branch]| {
        b.add(residual, branch)
    })
}
