//! Ops that arrange the same elements in another shape or order.

use super::{DTypeClass, InferError, Role, check};
use crate::{DType, TensorType};

pub(super) fn iota(
    operands: &[&TensorType],
    result: &TensorType,
    dim: usize,
) -> Result<TensorType, InferError> {
    let [] = check::exactly(operands)?;
    check::dtype(Role::Result, result.dtype, DTypeClass::IntegerOrFloat)?;
    check::axis_in_range("dim", dim, Role::Result, result.rank())?;
    Ok(result.clone())
}

pub(super) fn bitcast_convert(operands: &[&TensorType], to: DType) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    check::dtype(Role::Operand, operand.dtype, DTypeClass::IntegerOrFloat)?;
    check::dtype(Role::Result, to, DTypeClass::IntegerOrFloat)?;
    let (from_bits, to_bits) = (operand.dtype.bits(), to.bits());
    let mut dims = operand.dims.clone();
    // Widths are powers of two, so that the greater is a multiple of the lesser.
    if to_bits < from_bits {
        dims.push(from_bits / to_bits);
    } else if to_bits > from_bits {
        let parts = to_bits / from_bits;
        if dims.pop() != Some(parts) {
            return Err(InferError::BitcastWidth { got: Box::new(operand.clone()), to, parts });
        }
    }
    Ok(TensorType::new(to, dims))
}

pub(super) fn broadcast_in_dim(
    operands: &[&TensorType],
    dims: &[usize],
    broadcast_dims: &[usize],
) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    let result = operand.with_dims(dims);
    check::length("broadcast_dims", broadcast_dims.len(), operand.rank(), "one for each axis of `operand`")?;
    check::axes_in_range("broadcast_dims", broadcast_dims, Role::Result, result.rank())?;
    check::unique("broadcast_dims", broadcast_dims)?;
    for (axis, (&size, &like_axis)) in operand.dims.iter().zip(broadcast_dims).enumerate() {
        let like_size = check::axis_size("broadcast_dims", like_axis, Role::Result, &result)?;
        if size != 1 && size != like_size {
            let (operand, like) = (Role::Operand, Role::Result);
            return Err(InferError::SizeMismatch { operand, axis, size, like, like_axis, like_size });
        }
    }
    Ok(result)
}

pub(super) fn reshape(operands: &[&TensorType], dims: &[usize]) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    let result = operand.with_dims(dims);
    // Element counts saturate: only counts of types that fit in memory can be compared.
    check::fits_memory(&result)?;
    if operand.num_elements() != result.num_elements() {
        return Err(InferError::ElementCount { got: Box::new(operand.clone()), expected: Box::new(result) });
    }
    Ok(result)
}

pub(super) fn transpose(operands: &[&TensorType], permutation: &[usize]) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    check::length("permutation", permutation.len(), operand.rank(), "one for each axis of `operand`")?;
    check::unique("permutation", permutation)?;
    let dims = permutation
        .iter()
        .map(|&axis| check::axis_size("permutation", axis, Role::Operand, operand))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(operand.with_dims(dims))
}

pub(super) fn reverse(operands: &[&TensorType], dims: &[usize]) -> Result<TensorType, InferError> {
    let [operand] = check::exactly(operands)?;
    check::unique("dims", dims)?;
    check::axes_in_range("dims", dims, Role::Operand, operand.rank())?;
    Ok(operand.clone())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{accepts, rejects, ty};
    use crate::{DType, Op};

    #[test]
    fn iota_counts_along_an_axis_of_its_result() {
        let iota = |result, dim| Op::Iota { result: ty(result), dim };
        accepts(&iota("s32[2,3]", 1), "", "s32[2,3]");
        rejects(&iota("s32[2,3]", 2), "", "axis 2 in `dim` is out of range: `result` has rank 2");
        rejects(
            &iota("s32[]", usize::MAX),
            "",
            &format!("axis {} in `dim` is out of range: `result` has rank 0", usize::MAX),
        );
        rejects(&iota("pred[2]", 0), "", "`result` has element type pred, expected an integer or float type");
        rejects(&iota("s32[2]", 0), "s32[]", "expected no operands, got 1");
    }

    #[test]
    fn bitcast_splits_and_joins_the_minor_axis() {
        let to = |to| Op::BitcastConvert { to };
        accepts(&to(DType::U32), "f32[2,3]", "u32[2,3]");
        accepts(&to(DType::S4), "s8[3]", "s4[3,2]");
        accepts(&to(DType::U8), "f64[]", "u8[8]");
        accepts(&to(DType::F32), "u16[5,2]", "f32[5]");
        rejects(
            &to(DType::U64),
            "u16[2,3]",
            "u16[2,3] cannot be read as u64: expected a minor dimension of size 4, the number of u16 in a u64",
        );
        rejects(
            &to(DType::U64),
            "u32[]",
            "u32[] cannot be read as u64: expected a minor dimension of size 2, the number of u32 in a u64",
        );
        rejects(
            &to(DType::U8),
            "pred[8]",
            "`operand` has element type pred, expected an integer or float type",
        );
    }

    #[test]
    fn broadcast_maps_each_axis_to_one_of_the_result() {
        let broadcast = |dims: &[usize], broadcast_dims: &[usize]| Op::BroadcastInDim {
            dims: dims.to_vec(),
            broadcast_dims: broadcast_dims.to_vec(),
        };
        accepts(&broadcast(&[2, 3], &[]), "f32[]", "f32[2,3]");
        accepts(&broadcast(&[2, 3, 4], &[2, 0]), "f32[4,1]", "f32[2,3,4]");
        rejects(
            &broadcast(&[2, 3], &[0]),
            "f32[2,3]",
            "`broadcast_dims` has length 1, expected 2: one for each axis of `operand`",
        );
        rejects(
            &broadcast(&[2, 3], &[2]),
            "f32[3]",
            "axis 2 in `broadcast_dims` is out of range: `result` has rank 2",
        );
        rejects(&broadcast(&[3, 3], &[1, 1]), "f32[3,3]", "`broadcast_dims` names axis 1 twice");
        rejects(
            &broadcast(&[2, 3], &[1]),
            "f32[2]",
            "axis 0 of `operand` has size 2, expected 3 like axis 1 of `result`",
        );
        let huge = usize::MAX;
        rejects(
            &broadcast(&[huge, huge], &[]),
            "f32[]",
            &format!(
                "a tensor of type f32[{huge},{huge}] does not fit in memory: its size in bytes overflows 63 bits"
            ),
        );
    }

    #[test]
    fn reshape_keeps_the_number_of_elements() {
        let reshape = |dims: &[usize]| Op::Reshape { dims: dims.to_vec() };
        accepts(&reshape(&[3, 2]), "f32[2,3]", "f32[3,2]");
        accepts(&reshape(&[]), "f32[1,1]", "f32[]");
        accepts(&reshape(&[5, 0]), "f32[0]", "f32[5,0]");
        rejects(&reshape(&[4]), "f32[2,3]", "f32[2,3] has 6 elements, but f32[4] has 4");
        rejects(
            &reshape(&[usize::MAX, 2]),
            "f32[2]",
            &format!(
                "a tensor of type f32[{},2] does not fit in memory: its size in bytes overflows 63 bits",
                usize::MAX
            ),
        );
    }

    #[test]
    fn transpose_takes_a_permutation() {
        let transpose = |permutation: &[usize]| Op::Transpose { permutation: permutation.to_vec() };
        accepts(&transpose(&[2, 0, 1]), "f32[2,3,4]", "f32[4,2,3]");
        accepts(&transpose(&[]), "f32[]", "f32[]");
        rejects(&transpose(&[0, 0]), "f32[2,3]", "`permutation` names axis 0 twice");
        rejects(
            &transpose(&[0, 5]),
            "f32[2,3]",
            "axis 5 in `permutation` is out of range: `operand` has rank 2",
        );
        rejects(
            &transpose(&[0]),
            "f32[2,3]",
            "`permutation` has length 1, expected 2: one for each axis of `operand`",
        );
    }

    #[test]
    fn reverse_names_axes_once() {
        let reverse = |dims: &[usize]| Op::Reverse { dims: dims.to_vec() };
        accepts(&reverse(&[1]), "f32[2,3]", "f32[2,3]");
        rejects(&reverse(&[1, 1]), "f32[2,3]", "`dims` names axis 1 twice");
        rejects(&reverse(&[3]), "f32[2,3]", "axis 3 in `dims` is out of range: `operand` has rank 2");
    }
}
