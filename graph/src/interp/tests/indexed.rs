use super::{assert_ints, counting, one, s32, scalar_function, try_op};
use crate::interp::Tensor;
use crate::op::{BinaryKind, GatherDims, ScatterDims};
use crate::{DType, Module, Op};

/// `[3, 4, 2, ...]` with elements 1, 2, 3, ... as in the specification's examples.
fn from_one(dims: &[usize]) -> Tensor {
    let values: Vec<i32> = (1..=dims.iter().product::<usize>() as i32).collect();
    s32(dims, &values)
}

const EXAMPLE_STARTS: [i32; 24] = [0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 0, 9, 0, 0, 2, 1, 2, 2, 1, 2, 0, 1, 1, 0];

#[test]
fn the_specifications_gather_with_batching() {
    let dims = GatherDims {
        offset_dims: vec![3, 4],
        collapsed_slice_dims: vec![1],
        operand_batching_dims: vec![0],
        start_indices_batching_dims: vec![1],
        start_index_map: vec![2, 1],
        index_vector_dim: 3,
    };
    let op = Op::Gather { dims, slice_sizes: vec![1, 1, 2, 2], indices_are_sorted: false };
    let result = one(op, &[from_one(&[2, 3, 4, 2]), s32(&[2, 2, 3, 2], &EXAMPLE_STARTS)]);
    let firsts = [1, 3, 13, 33, 35, 41, 1, 13, 21, 43, 33, 27];
    let expected: Vec<i128> = firsts.iter().flat_map(|&first| first..first + 4).collect();
    assert_ints(&result, &[2, 2, 3, 2, 2], &expected);
}

#[test]
fn the_specifications_scatter_with_batching() {
    let dims = ScatterDims {
        update_window_dims: vec![3, 4],
        inserted_window_dims: vec![1],
        input_batching_dims: vec![0],
        scatter_indices_batching_dims: vec![1],
        scatter_dims_to_operand_dims: vec![2, 1],
        index_vector_dim: 3,
    };
    let operands =
        [from_one(&[2, 3, 4, 2]), s32(&[2, 2, 3, 2], &EXAMPLE_STARTS), s32(&[2, 2, 3, 2, 2], &[1; 48])];
    let result = scatter(dims, &operands);
    let expected = [
        3, 4, 6, 7, 6, 7, 7, 8, 9, 10, 11, 12, 15, 16, 17, 18, 17, 18, 19, 20, 22, 23, 24, 25, //
        25, 26, 28, 29, 30, 31, 31, 32, 35, 36, 38, 39, 38, 39, 39, 40, 41, 42, 44, 45, 46, 47, 47, 48,
    ];
    assert_ints(&result, &[2, 3, 4, 2], &expected);
}

fn scatter(dims: ScatterDims, operands: &[Tensor]) -> Tensor {
    let mut module = Module::new("test");
    let body = scalar_function(&mut module, "add", &[DType::S32; 2], |b, v| {
        Ok(vec![b.binary(BinaryKind::Add, v[0], v[1])?])
    });
    let op = Op::Scatter { dims, indices_are_sorted: false, unique_indices: false, body };
    try_op(module, op, operands).unwrap().remove(0)
}

#[test]
fn an_embedding_lookup_clamps_its_rows() {
    let dims = GatherDims {
        offset_dims: vec![1],
        collapsed_slice_dims: vec![0],
        start_index_map: vec![0],
        index_vector_dim: 1,
        ..GatherDims::default()
    };
    let op = Op::Gather { dims, slice_sizes: vec![1, 2], indices_are_sorted: false };
    let rows = one(op, &[counting(&[3, 2]), s32(&[4], &[2, 0, -5, 7])]);
    assert_ints(&rows, &[4, 2], &[4, 5, 0, 1, 0, 1, 4, 5]);
}

#[test]
fn offset_dimensions_may_come_first() {
    let dims = GatherDims {
        offset_dims: vec![0],
        collapsed_slice_dims: vec![0],
        start_index_map: vec![0],
        index_vector_dim: 1,
        ..GatherDims::default()
    };
    let op = Op::Gather { dims, slice_sizes: vec![1, 2], indices_are_sorted: false };
    let columns = one(op, &[counting(&[3, 2]), s32(&[3], &[2, 0, 1])]);
    assert_ints(&columns, &[2, 3], &[4, 0, 2, 5, 1, 3]);
}

#[test]
fn updates_out_of_bounds_are_dropped_one_by_one() {
    let dims = ScatterDims {
        update_window_dims: vec![1],
        scatter_dims_to_operand_dims: vec![0],
        index_vector_dim: 1,
        ..ScatterDims::default()
    };
    let operands = [s32(&[4], &[0; 4]), s32(&[3, 1], &[3, -1, 1]), s32(&[3, 2], &[1, 2, 30, 40, 5, 6])];
    assert_ints(&scatter(dims, &operands), &[4], &[40, 5, 6, 1]);
}

#[test]
fn scattered_duplicates_accumulate_over_several_inputs() {
    let mut module = Module::new("test");
    // Sums in the first, keeps the last in the second.
    let body =
        scalar_function(&mut module, "body", &[DType::S32, DType::F32, DType::S32, DType::F32], |b, v| {
            Ok(vec![b.add(v[0], v[2])?, v[3]])
        });
    let dims = ScatterDims {
        inserted_window_dims: vec![0],
        scatter_dims_to_operand_dims: vec![0],
        index_vector_dim: 1,
        ..ScatterDims::default()
    };
    let op = Op::Scatter { dims, indices_are_sorted: false, unique_indices: false, body };
    let operands = [
        s32(&[3], &[0; 3]),
        super::f32(&[3], &[0.0; 3]),
        s32(&[3], &[2, 0, 2]),
        s32(&[3], &[1, 2, 3]),
        super::f32(&[3], &[1.5, 2.5, 3.5]),
    ];
    let results = try_op(module, op, &operands).unwrap();
    assert_ints(&results[0], &[3], &[2, 0, 4]);
    assert_eq!(results[1].to_floats(), [2.5, 0.0, 3.5]);
}
