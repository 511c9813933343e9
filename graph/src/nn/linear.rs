//! The linear layer, the composite through which kernels and encoded weights come in.

use super::encoded_product::encoded_product;
use super::{EncodedWeight, Weight};
use crate::op::{DotDims, Precision};
use crate::{BuildError, DType, FunctionBuilder, ValueId};

/// `x · weightᵀ`: `x` is `[..., in]`, `weight` is `[out, in]` as checkpoints store it; the result is
/// `[..., out]` of element type `result`, accumulated in at least f32.
///
/// Of a dense weight it is a composite named `lapidary.linear` of `[x, weight]`; its decomposition is one
/// `dot_general`. An f32 product asks for the full precision of f32, since TPUs and GPUs would otherwise round the
/// operands.
///
/// Of an encoded weight it is a composite named `lapidary.quantized_linear` of `[x, codes, scales]` or
/// `[x, codes, scales, offsets]`, without attributes: sizes and bits follow from the types. Its decomposition multiplies
/// by the codes and scales the products where there is one scale for each output; otherwise it decodes the weight to the
/// element type of `x` and multiplies by that. Of codes by groups it scales the sums over each group.
///
/// # Errors
/// If the last dimension of `x` is not the weight's `in`, or the element types of `x` and a dense weight differ; if
/// the parts of an encoded weight do not go together.
pub fn linear(
    b: &mut FunctionBuilder<'_>,
    x: ValueId,
    weight: impl Into<Weight>,
    result: DType,
) -> Result<ValueId, BuildError> {
    match weight.into() {
        Weight::Dense(weight) => b.composite("lapidary.linear", Vec::new(), [x, weight], |b, [x, weight]| {
            product(b, x, weight, result)
        }),
        Weight::Encoded(weight) => encoded_linear(b, x, weight, result),
    }
}

fn encoded_linear(
    b: &mut FunctionBuilder<'_>,
    x: ValueId,
    weight: EncodedWeight,
    result: DType,
) -> Result<ValueId, BuildError> {
    const NAME: &str = "lapidary.quantized_linear";
    weight.check(b)?;
    let EncodedWeight { codes, scales, offsets } = weight;
    match offsets {
        None => b.composite(NAME, Vec::new(), [x, codes, scales], |b, [x, codes, scales]| {
            encoded_product(b, x, EncodedWeight { codes, scales, offsets: None }, result)
        }),
        Some(offsets) => {
            b.composite(NAME, Vec::new(), [x, codes, scales, offsets], |b, [x, codes, scales, offsets]| {
                encoded_product(b, x, EncodedWeight { codes, scales, offsets: Some(offsets) }, result)
            })
        }
    }
}

/// The product of `x` `[..., in]` and `weight` `[out, in]`.
pub(super) fn product(
    b: &mut FunctionBuilder<'_>,
    x: ValueId,
    weight: ValueId,
    result: DType,
) -> Result<ValueId, BuildError> {
    let x_type = b.ty(x)?;
    let dims = DotDims {
        lhs_contract: vec![x_type.rank().saturating_sub(1)],
        rhs_contract: vec![1],
        ..DotDims::default()
    };
    b.dot_general(x, weight, dims, full_precision(x_type.dtype), result)
}

/// The precision at which products of this operand type are exact to their own rounding.
pub(super) fn full_precision(operand: DType) -> Precision {
    match operand {
        DType::F32 | DType::F64 => Precision::Highest,
        _ => Precision::Default,
    }
}
