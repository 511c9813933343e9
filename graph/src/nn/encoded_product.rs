//! Products by weights in few bits, as primitive operations: in the forms that compilers for TPUs and GPUs fuse, so that
//! a weight is read in its bits.

use super::EncodedWeight;
use super::linear::{full_precision, product};
use crate::op::{BinaryKind, DotDims, Precision};
use crate::{BuildError, DType, FunctionBuilder, Literal, TensorType, ValueId};

type Built = Result<ValueId, BuildError>;

/// The product of `x` `[..., in]` and an encoded weight: `[..., out]` of element type `result`.
pub(super) fn encoded_product(
    b: &mut FunctionBuilder<'_>,
    x: ValueId,
    weight: EncodedWeight,
    result: DType,
) -> Built {
    let dtype = b.ty(x)?.dtype;
    let (codes, scales) = (b.ty(weight.codes)?, b.ty(weight.scales)?);
    match (codes.dims.as_slice(), scales.dims.as_slice()) {
        (&[groups, outputs, group], _) => ByGroups { weight, groups, outputs, group }.product(b, x, result),
        (_, &[outputs, 1]) if weight.offsets.is_none() => {
            // Exact: whole numbers of 8 bits are numbers of every float type that x has.
            let codes = weight.integers(b, dtype)?;
            let sums = product(b, x, codes, DType::F32)?;
            let scales = b.convert(weight.scales, DType::F32)?;
            let scales = b.reshape(scales, &[outputs])?;
            let dims = b.ty(sums)?.dims;
            let scales = b.broadcast(scales, &dims, &[dims.len().saturating_sub(1)])?;
            let scaled = b.mul(sums, scales)?;
            b.convert(scaled, result)
        }
        _ => {
            let numbers = weight.decode(b, dtype)?;
            product(b, x, numbers, result)
        }
    }
}

/// A weight by groups: codes `[groups, outputs, group]`, scales `[groups, outputs]`.
struct ByGroups {
    weight: EncodedWeight,
    groups: usize,
    outputs: usize,
    group: usize,
}

impl ByGroups {
    fn product(&self, b: &mut FunctionBuilder<'_>, x: ValueId, result: DType) -> Built {
        let ty = b.ty(x)?;
        let leading = ty.dims.get(..ty.rank().saturating_sub(1)).unwrap_or_default();
        let rows = leading.iter().product::<usize>();
        let grouped = b.reshape(x, &[rows, self.groups, self.group])?;
        // Partial sums are read and written, `8 rows` bytes for each group of an output; so is a decoded weight, `4 group`.
        let products = match rows.saturating_mul(2) <= self.group {
            true => self.scaled_sums(b, grouped)?,
            false => self.decoded_product(b, grouped, result)?,
        };
        let products = b.convert(products, result)?;
        b.reshape(products, &[leading, &[self.outputs]].concat())
    }

    /// Sums over each group, then over groups with their scales: `x` is `[rows, groups, group]`, the result f32
    /// `[rows, outputs]`. Where `x` is bf16, so are sums over a group: that costs as much exactness as rounding the weight's
    /// numbers to bf16, and halves what is moved where they go through memory.
    fn scaled_sums(&self, b: &mut FunctionBuilder<'_>, x: ValueId) -> Built {
        let dtype = b.ty(x)?.dtype;
        let codes = self.weight.integers(b, dtype)?;
        let dims =
            DotDims { lhs_batch: vec![1], rhs_batch: vec![0], lhs_contract: vec![2], rhs_contract: vec![2] };
        let sums = if dtype == DType::BF16 { DType::BF16 } else { DType::F32 };
        let of_groups = b.dot_general(x, codes, dims, full_precision(dtype), sums)?;
        let of_groups = b.convert(of_groups, DType::F32)?;
        let scales = b.convert(self.weight.scales, DType::F32)?;
        let dims =
            DotDims { lhs_batch: vec![2], rhs_batch: vec![1], lhs_contract: vec![0], rhs_contract: vec![0] };
        let mut sums = b.dot_general(of_groups, scales, dims, Precision::Highest, DType::F32)?;
        if let Some(offsets) = self.weight.offsets {
            let offset = self.offset(b, x, offsets)?;
            sums = b.add(sums, offset)?;
        }
        b.transpose(sums, &[1, 0])
    }

    /// What offsets add to each output: `[outputs, rows]`.
    fn offset(&self, b: &mut FunctionBuilder<'_>, x: ValueId, offsets: ValueId) -> Built {
        let wide = b.convert(x, DType::F32)?;
        let zero = b.constant(Literal::float(DType::F32, 0.0))?;
        let add = b.combiner(BinaryKind::Add, DType::F32)?;
        let inputs = b.reduce(wide, zero, &[2], add)?;
        let offsets = b.convert(offsets, DType::F32)?;
        let dims = DotDims { lhs_contract: vec![0], rhs_contract: vec![1], ..DotDims::default() };
        b.dot_general(offsets, inputs, dims, Precision::Highest, DType::F32)
    }

    /// The product of `x` `[rows, groups, group]` and the numbers themselves: `[rows, outputs]`.
    fn decoded_product(&self, b: &mut FunctionBuilder<'_>, x: ValueId, result: DType) -> Built {
        let dtype = b.ty(x)?.dtype;
        let ty = TensorType::new(DType::F32, [self.groups, self.outputs, self.group]);
        let of_each = |b: &mut FunctionBuilder<'_>, of_groups| {
            let of_groups = b.convert(of_groups, DType::F32)?;
            b.broadcast(of_groups, &ty.dims, &[0, 1])
        };
        let codes = self.weight.integers(b, DType::F32)?;
        let scales = of_each(b, self.weight.scales)?;
        let mut numbers = b.mul(codes, scales)?;
        if let Some(offsets) = self.weight.offsets {
            let offsets = of_each(b, offsets)?;
            numbers = b.add(numbers, offsets)?;
        }
        let numbers = b.convert(numbers, dtype)?;
        let dims = DotDims { lhs_contract: vec![1, 2], rhs_contract: vec![0, 2], ..DotDims::default() };
        b.dot_general(x, numbers, dims, full_precision(dtype), result)
    }
}
