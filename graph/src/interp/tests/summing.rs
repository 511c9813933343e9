//! Dot products, reductions and sorts.

use super::{assert_ints, counting, f32, one, s32, scalar_function, try_op};
use crate::interp::Tensor;
use crate::op::{BinaryKind, Comparison, DotDims, Precision};
use crate::{DType, Module, Op};

fn dot(dims: DotDims, result: DType, lhs: Tensor, rhs: Tensor) -> Tensor {
    one(Op::DotGeneral { dims, precision: Precision::Default, result }, &[lhs, rhs])
}

#[test]
fn dots_batch_and_contract() {
    let matmul = DotDims { lhs_contract: vec![1], rhs_contract: vec![0], ..DotDims::default() };
    let product = dot(matmul.clone(), DType::S32, counting(&[2, 3]), counting(&[3, 2]));
    assert_ints(&product, &[2, 2], &[10, 13, 28, 40]);
    // [batch, m, k] x [n, batch, k]
    let dims =
        DotDims { lhs_batch: vec![0], rhs_batch: vec![1], lhs_contract: vec![2], rhs_contract: vec![2] };
    let product = dot(dims, DType::S32, counting(&[2, 1, 2]), counting(&[3, 2, 2]));
    assert_ints(&product, &[2, 1, 3], &[1, 5, 9, 13, 33, 53]);
    let outer = dot(DotDims::default(), DType::S32, counting(&[2]), counting(&[3]));
    assert_ints(&outer, &[2, 3], &[0, 0, 0, 0, 1, 2]);
    let empty = dot(matmul, DType::F32, f32(&[2, 0], &[]), f32(&[0, 1], &[]));
    assert_eq!((empty.dims(), empty.to_floats()), ([2, 1].as_slice(), vec![0.0, 0.0]));
}

#[test]
fn dots_round_once_and_wrap_once() {
    let inner = || DotDims { lhs_contract: vec![0], rhs_contract: vec![0], ..DotDims::default() };
    // In f32 the 1s would vanish against 1e8.
    let sum = dot(inner(), DType::F32, f32(&[4], &[1e8, 1.0, 1.0, -1e8]), f32(&[4], &[1.0; 4]));
    assert_eq!(sum.to_floats(), [2.0]);
    let bytes = |values: &[i64]| Tensor::from_ints(DType::S8, &[2], values).unwrap();
    assert_eq!(dot(inner(), DType::S32, bytes(&[-128, -128]), bytes(&[-128, -128])).to_ints(), [32768]);
    assert_eq!(dot(inner(), DType::S8, bytes(&[100, 1]), bytes(&[2, 1])).to_ints(), [-55]);
    let half = |values: &[f64]| Tensor::from_floats(DType::BF16, &[2], values).unwrap();
    assert_eq!(dot(inner(), DType::BF16, half(&[256.0, 1.0]), half(&[1.0, 1.0])).to_floats(), [256.0]);
    assert_eq!(dot(inner(), DType::F32, half(&[256.0, 1.0]), half(&[1.0, 1.0])).to_floats(), [257.0]);
}

fn reduce(kind: BinaryKind, dims: &[usize], input: Tensor, init: Tensor) -> Tensor {
    let mut module = Module::new("test");
    let dtype = input.dtype();
    let body =
        scalar_function(&mut module, "body", &[dtype; 2], |b, v| Ok(vec![b.binary(kind, v[0], v[1])?]));
    try_op(module, Op::Reduce { dims: dims.to_vec(), body }, &[input, init]).unwrap().remove(0)
}

#[test]
fn reductions_fold_in_index_order() {
    let x = || counting(&[2, 3]);
    assert_ints(&reduce(BinaryKind::Add, &[1], x(), s32(&[], &[100])), &[2], &[103, 112]);
    assert_ints(&reduce(BinaryKind::Add, &[0], x(), s32(&[], &[0])), &[3], &[3, 5, 7]);
    assert_ints(&reduce(BinaryKind::Maximum, &[1, 0], x(), s32(&[], &[-1])), &[], &[5]);
    assert_ints(&reduce(BinaryKind::Add, &[], x(), s32(&[], &[1])), &[2, 3], &[1, 2, 3, 4, 5, 6]);
    assert_ints(&reduce(BinaryKind::Add, &[1], s32(&[2, 0], &[]), s32(&[], &[4])), &[2], &[4, 4]);
    // ((10 - 1) - 2) - 3, and not any other order.
    assert_ints(&reduce(BinaryKind::Subtract, &[0], s32(&[3], &[1, 2, 3]), s32(&[], &[10])), &[], &[4]);
    let narrow = Tensor::from_floats(DType::BF16, &[2], &[1.0, 1.0]).unwrap();
    let init = Tensor::from_floats(DType::BF16, &[], &[256.0]).unwrap();
    assert_eq!(reduce(BinaryKind::Add, &[0], narrow, init).to_floats(), [256.0], "rounded at every step");
}

/// Arg-max: the pair with the greater value, of equal ones the one with the lesser index.
#[test]
fn reductions_take_several_operands_and_any_body() {
    for through_call in [false, true] {
        let mut module = Module::new("test");
        let dtypes = [DType::F32, DType::S32, DType::F32, DType::S32];
        let mut body = scalar_function(&mut module, "arg_max", &dtypes, |b, v| {
            let greater = b.compare(Comparison::Gt, v[2], v[0])?;
            Ok(vec![b.select(greater, v[2], v[0])?, b.select(greater, v[3], v[1])?])
        });
        if through_call {
            // A body that is not straight elementwise code takes the general path.
            body = scalar_function(&mut module, "wrapper", &dtypes, |b, v| b.call(body, v));
        }
        let operands = [
            f32(&[2, 3], &[1.0, 5.0, 5.0, -1.0, -3.0, -2.0]),
            s32(&[2, 3], &[0, 1, 2, 0, 1, 2]),
            f32(&[], &[f32::NEG_INFINITY]),
            s32(&[], &[-1]),
        ];
        let results = try_op(module, Op::Reduce { dims: vec![1], body }, &operands).unwrap();
        assert_eq!(results[0].to_floats(), [5.0, -1.0]);
        assert_ints(&results[1], &[2], &[1, 0]);
    }
}

#[test]
fn sorts_are_stable_and_carry_other_operands() {
    let mut module = Module::new("test");
    let comparator = scalar_function(
        &mut module,
        "descending",
        &[DType::F32, DType::F32, DType::S32, DType::S32],
        |b, v| Ok(vec![b.compare(Comparison::Gt, v[0], v[1])?]),
    );
    let keys = f32(&[3, 2], &[1.0, 7.0, 3.0, 7.0, 1.0, 9.0]);
    let op = Op::Sort { dim: 0, stable: true, comparator };
    let results = try_op(module, op, &[keys, counting(&[3, 2])]).unwrap();
    assert_eq!(results[0].to_floats(), [3.0, 9.0, 1.0, 7.0, 1.0, 7.0]);
    assert_ints(&results[1], &[3, 2], &[2, 5, 0, 1, 4, 3]);
}
