//! The linear layer, the composite through which kernels and encoded weights come in.

use crate::op::{DotDims, Precision};
use crate::{BuildError, DType, FunctionBuilder, ValueId};

/// `x · weightᵀ`: `x` is `[..., in]`, `weight` is `[out, in]` as checkpoints store it; the result is
/// `[..., out]` of element type `result`, accumulated in at least f32.
///
/// A composite named `lapidary.linear`; its decomposition is one `dot_general`. An f32 product asks for
/// the full precision of f32, since TPUs and GPUs would otherwise round the operands.
///
/// # Errors
/// If the last dimensions of `x` and `weight` differ, or their dtypes do.
pub fn linear(
    b: &mut FunctionBuilder<'_>,
    x: ValueId,
    weight: ValueId,
    result: DType,
) -> Result<ValueId, BuildError> {
    let last = b.ty(x)?.rank().saturating_sub(1);
    b.composite("lapidary.linear", Vec::new(), [x, weight], |b, [x, weight]| {
        let dims = DotDims { lhs_contract: vec![last], rhs_contract: vec![1], ..DotDims::default() };
        let precision = full_precision(b.ty(x)?.dtype);
        b.dot_general(x, weight, dims, precision, result)
    })
}

/// The precision at which products of this operand type are exact to their own rounding.
pub(super) fn full_precision(operand: DType) -> Precision {
    match operand {
        DType::F32 | DType::F64 => Precision::Highest,
        _ => Precision::Default,
    }
}
