use super::{assert_ints, counting, one, s32};
use crate::interp::Tensor;
use crate::{DType, Op, TensorType};

#[test]
fn iota_counts_along_its_dimension() {
    let iota = |dim| one(Op::Iota { result: TensorType::new(DType::S8, [2, 3]), dim }, &[]);
    assert_ints(&iota(0), &[2, 3], &[0, 0, 0, 1, 1, 1]);
    assert_ints(&iota(1), &[2, 3], &[0, 1, 2, 0, 1, 2]);
}

#[test]
fn broadcasts_permute_and_expand() {
    let broadcast = |operand, dims: &[usize], broadcast_dims: &[usize]| {
        let op = Op::BroadcastInDim { dims: dims.to_vec(), broadcast_dims: broadcast_dims.to_vec() };
        one(op, &[operand])
    };
    assert_ints(&broadcast(s32(&[], &[7]), &[2, 2], &[]), &[2, 2], &[7; 4]);
    assert_ints(&broadcast(counting(&[2]), &[2, 3], &[0]), &[2, 3], &[0, 0, 0, 1, 1, 1]);
    assert_ints(&broadcast(counting(&[2, 1]), &[3, 2], &[1, 0]), &[3, 2], &[0, 1, 0, 1, 0, 1]);
    assert_ints(&broadcast(counting(&[2, 3]), &[3, 2], &[1, 0]), &[3, 2], &[0, 3, 1, 4, 2, 5]);
    assert_ints(&broadcast(counting(&[1]), &[0], &[0]), &[0], &[]);
}

#[test]
fn reshapes_transposes_and_reversals_move_elements() {
    let x = || counting(&[2, 3]);
    assert_ints(&one(Op::Reshape { dims: vec![3, 2] }, &[x()]), &[3, 2], &[0, 1, 2, 3, 4, 5]);
    let transposed = one(Op::Transpose { permutation: vec![1, 0] }, &[x()]);
    assert_ints(&transposed, &[3, 2], &[0, 3, 1, 4, 2, 5]);
    // Elements of a transposed tensor are in its own order.
    assert_ints(&one(Op::Reshape { dims: vec![6] }, &[transposed]), &[6], &[0, 3, 1, 4, 2, 5]);
    let cube = one(Op::Transpose { permutation: vec![2, 0, 1] }, &[counting(&[2, 1, 3])]);
    assert_ints(&cube, &[3, 2, 1], &[0, 3, 1, 4, 2, 5]);
    assert_ints(&one(Op::Reverse { dims: vec![1] }, &[x()]), &[2, 3], &[2, 1, 0, 5, 4, 3]);
    assert_ints(&one(Op::Reverse { dims: vec![0, 1] }, &[x()]), &[2, 3], &[5, 4, 3, 2, 1, 0]);
}

#[test]
fn concatenations_join_along_any_dimension() {
    let join = |dim, operands: &[Tensor]| one(Op::Concatenate { dim }, operands);
    let (x, y) = (counting(&[2, 2]), s32(&[2, 1], &[8, 9]));
    assert_ints(&join(1, &[x.clone(), y]), &[2, 3], &[0, 1, 8, 2, 3, 9]);
    assert_ints(&join(0, &[x.clone(), s32(&[0, 2], &[]), x.clone()]), &[4, 2], &[0, 1, 2, 3, 0, 1, 2, 3]);
    assert_ints(&join(0, std::slice::from_ref(&x)), &[2, 2], &[0, 1, 2, 3]);
}

#[test]
fn slices_take_strided_boxes() {
    let slice = |start: &[usize], limit: &[usize], stride: &[usize]| {
        let (start, limit, stride) = (start.to_vec(), limit.to_vec(), stride.to_vec());
        one(Op::Slice { start, limit, stride }, &[counting(&[3, 4])])
    };
    assert_ints(&slice(&[1, 1], &[3, 4], &[1, 2]), &[2, 2], &[5, 7, 9, 11]);
    assert_ints(&slice(&[0, 3], &[3, 4], &[2, 9]), &[2, 1], &[3, 11]);
    assert_ints(&slice(&[3, 0], &[3, 4], &[1, 1]), &[0, 4], &[]);
}

/// The expected values are what XLA computes.
#[test]
fn padding_adds_and_crops() {
    let pad = |low: &[i64], high: &[i64], interior: &[usize]| {
        let op = Op::Pad { low: low.to_vec(), high: high.to_vec(), interior: interior.to_vec() };
        one(op, &[counting(&[2, 3]), s32(&[], &[9])])
    };
    let rows = [[9, 9, 9, 9, 9, 9, 9, 9], [9, 9, 1, 9, 9, 2, 9, 9], [9; 8], [9, 9, 4, 9, 9, 5, 9, 9]];
    assert_ints(&pad(&[1, -1], &[0, 2], &[1, 2]), &[4, 8], &rows.concat());
    assert_ints(&pad(&[-1, 0], &[0, -4], &[0, 1]), &[1, 1], &[3]);
    assert_ints(&pad(&[-3, 2], &[4, -3], &[2, 0]), &[5, 2], &[9; 10]);
    assert_ints(&pad(&[0, -3], &[0, 0], &[0, 0]), &[2, 0], &[]);
}

#[test]
fn dynamic_boxes_are_clamped_into_the_operand() {
    let slice = |row, column| {
        let starts = [s32(&[], &[row]), s32(&[], &[column])];
        one(Op::DynamicSlice { sizes: vec![1, 2] }, &[&[counting(&[2, 3])], starts.as_slice()].concat())
    };
    assert_ints(&slice(1, 1), &[1, 2], &[4, 5]);
    assert_ints(&slice(-7, 9), &[1, 2], &[1, 2]);
    let update = |row, column| {
        let operands = [counting(&[2, 3]), s32(&[1, 2], &[8, 9]), s32(&[], &[row]), s32(&[], &[column])];
        one(Op::DynamicUpdateSlice, &operands)
    };
    assert_ints(&update(0, 1), &[2, 3], &[0, 8, 9, 3, 4, 5]);
    assert_ints(&update(9, -9), &[2, 3], &[0, 1, 2, 8, 9, 5]);
    let unsigned = Tensor::from_ints(DType::U64, &[], &[-1]).unwrap();
    let last = one(Op::DynamicSlice { sizes: vec![1] }, &[counting(&[4]), unsigned]);
    assert_ints(&last, &[1], &[3]);
}

#[test]
fn an_update_leaves_the_operand_alone() {
    let operand = counting(&[3]);
    let updated = one(Op::DynamicUpdateSlice, &[operand.clone(), s32(&[1], &[9]), s32(&[], &[0])]);
    assert_ints(&updated, &[3], &[9, 1, 2]);
    assert_ints(&operand, &[3], &[0, 1, 2]);
}
