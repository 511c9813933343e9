//! Generalised matrix product.

use super::{DTypeClass, InferError, Role, check};
use crate::op::DotDims;
use crate::{DType, TensorType};

/// Result dimensions: batch, lhs free, rhs free.
///
/// Floats give floats of any width. Integers give integers at least as wide, so that `s8 x s8 -> s32` is
/// exact and nothing wraps unseen.
pub(super) fn dot_general(
    operands: &[&TensorType],
    dims: &DotDims,
    result: DType,
) -> Result<TensorType, InferError> {
    let [lhs, rhs] = check::exactly(operands)?;
    let DotDims { lhs_batch, rhs_batch, lhs_contract, rhs_contract } = dims;
    check::length("rhs_batch", rhs_batch.len(), lhs_batch.len(), "as many as `lhs_batch`")?;
    check::length("rhs_contract", rhs_contract.len(), lhs_contract.len(), "as many as `lhs_contract`")?;
    check::unique_together("lhs_batch", lhs_batch, "lhs_contract", lhs_contract)?;
    check::unique_together("rhs_batch", rhs_batch, "rhs_contract", rhs_contract)?;
    check::axes_in_range("lhs_batch", lhs_batch, Role::Lhs, lhs.rank())?;
    check::axes_in_range("lhs_contract", lhs_contract, Role::Lhs, lhs.rank())?;
    check::axes_in_range("rhs_batch", rhs_batch, Role::Rhs, rhs.rank())?;
    check::axes_in_range("rhs_contract", rhs_contract, Role::Rhs, rhs.rank())?;
    let sides = ((Role::Rhs, rhs), (Role::Lhs, lhs));
    check::paired_sizes(("rhs_batch", rhs_batch), sides.0, ("lhs_batch", lhs_batch), sides.1)?;
    check::paired_sizes(("rhs_contract", rhs_contract), sides.0, ("lhs_contract", lhs_contract), sides.1)?;
    check::dtype(Role::Lhs, lhs.dtype, DTypeClass::IntegerOrFloat)?;
    check::same_dtype(Role::Rhs, rhs, Role::Lhs, lhs)?;
    check::dtype(Role::Result, result, result_class(lhs.dtype))?;

    let batch = lhs_batch.iter().filter_map(|&axis| lhs.dims.get(axis));
    let free = |ty: &TensorType, batch: &[usize], contract: &[usize]| -> Vec<usize> {
        let sizes = ty.dims.iter().enumerate();
        sizes
            .filter(|(axis, _)| !batch.contains(axis) && !contract.contains(axis))
            .map(|(_, &size)| size)
            .collect()
    };
    let dims: Vec<usize> = batch
        .copied()
        .chain(free(lhs, lhs_batch, lhs_contract))
        .chain(free(rhs, rhs_batch, rhs_contract))
        .collect();
    Ok(TensorType::new(result, dims))
}

fn result_class(operand: DType) -> DTypeClass {
    if operand.is_float() { DTypeClass::Float } else { DTypeClass::IntegerAtLeast(operand) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{accepts, rejects};
    use super::*;
    use crate::Op;
    use crate::op::Precision;

    fn op(dims: &DotDims, result: DType) -> Op {
        Op::DotGeneral { dims: dims.clone(), precision: Precision::Default, result }
    }

    /// `[m, k] x [k, n]`.
    fn matmul() -> DotDims {
        DotDims { lhs_contract: vec![1], rhs_contract: vec![0], ..DotDims::default() }
    }

    /// `[batch, heads, q, d] x [batch, k, heads, d]`.
    fn attention() -> DotDims {
        DotDims { lhs_batch: vec![0, 1], rhs_batch: vec![0, 2], lhs_contract: vec![3], rhs_contract: vec![3] }
    }

    #[test]
    fn result_is_batch_then_lhs_free_then_rhs_free() {
        accepts(&op(&matmul(), DType::F32), "f32[2,3] f32[3,4]", "f32[2,4]");
        accepts(&op(&attention(), DType::F32), "bf16[2,8,5,64] bf16[2,7,8,64]", "f32[2,8,5,7]");
        accepts(&op(&DotDims::default(), DType::F32), "f32[2] f32[3]", "f32[2,3]");
    }

    #[test]
    fn result_dtype_is_of_the_operands_family() {
        accepts(&op(&matmul(), DType::S32), "s8[2,3] s8[3,4]", "s32[2,4]");
        accepts(&op(&matmul(), DType::BF16), "f8e4m3fn[2,3] f8e4m3fn[3,4]", "bf16[2,4]");
        let s8 = "s8[2,3] s8[3,4]";
        rejects(
            &op(&matmul(), DType::F32),
            s8,
            "`result` has element type f32, expected an integer type of 8 bits or more",
        );
        rejects(
            &op(&matmul(), DType::S4),
            s8,
            "`result` has element type s4, expected an integer type of 8 bits or more",
        );
        let bf16 = "bf16[2,3] bf16[3,4]";
        rejects(&op(&matmul(), DType::S32), bf16, "`result` has element type s32, expected a float type");
        rejects(
            &op(&matmul(), DType::F32),
            "bf16[2,3] f32[3,4]",
            "`rhs` has element type f32, expected bf16 like `lhs`; convert one of them",
        );
        rejects(
            &op(&matmul(), DType::Pred),
            "pred[2,3] pred[3,4]",
            "`lhs` has element type pred, expected an integer or float type",
        );
    }

    #[test]
    fn contracted_and_batch_sizes_agree() {
        rejects(
            &op(&matmul(), DType::F32),
            "f32[2,3] f32[4,5]",
            "axis 0 of `rhs` has size 4, expected 3 like axis 1 of `lhs`",
        );
        rejects(
            &op(&attention(), DType::F32),
            "bf16[2,8,5,64] bf16[2,7,4,64]",
            "axis 2 of `rhs` has size 4, expected 8 like axis 1 of `lhs`",
        );
    }

    #[test]
    fn dimension_numbers_are_consistent() {
        let reject = |dims: DotDims, message: &str| {
            rejects(&op(&dims, DType::F32), "f32[2,3] f32[3,4]", message);
        };
        reject(
            DotDims { rhs_contract: vec![], ..matmul() },
            "`rhs_contract` has length 0, expected 1: as many as `lhs_contract`",
        );
        reject(
            DotDims { lhs_batch: vec![1], rhs_batch: vec![1], ..matmul() },
            "axis 1 is in both `lhs_batch` and `lhs_contract`",
        );
        reject(
            DotDims { lhs_contract: vec![1, 1], rhs_contract: vec![0, 1], ..matmul() },
            "`lhs_contract` names axis 1 twice",
        );
        reject(
            DotDims { rhs_contract: vec![2], ..matmul() },
            "axis 2 in `rhs_contract` is out of range: `rhs` has rank 2",
        );
    }
}
