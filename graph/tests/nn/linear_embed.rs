//! The linear layer, the embedding and its scale.

use lapidary_graph::op::Precision;
use lapidary_graph::{DType, Op, nn};

use crate::harness::{
    assert_close, assert_refused, assert_rounded_once, built, floats, ints, noise, run_one,
};

#[test]
fn linear_multiplies_by_the_transposed_weight() {
    for leading in [&[][..], &[3], &[2, 3], &[2, 1, 3]] {
        let dims = [leading, &[5]].concat();
        let x = noise(DType::F32, &dims, 2.0, 1);
        let weight = noise(DType::F32, &[7, 5], 1.0, 2);
        let product = run_one([&x, &weight], |b, [x, w]| nn::linear(b, x, w, DType::F32));
        assert_eq!(product.dims(), [leading, &[7]].concat());
        let (x, weight) = (x.to_floats(), weight.to_floats());
        let mut expected = Vec::new();
        for row in x.chunks(5) {
            expected.extend(weight.chunks(5).map(|w| row.iter().zip(w).map(|(x, w)| x * w).sum::<f64>()));
        }
        assert_close(&product, &expected, 1e-6);
    }
}

#[test]
fn linear_accumulates_bf16_in_at_least_f32() {
    // One large term and many that each vanish beside it in bf16.
    let mut row = vec![1.0; 257];
    row[0] = 256.0;
    let x = floats(DType::BF16, &[1, 257], &row);
    let weight = floats(DType::BF16, &[1, 257], &[1.0; 257]);
    for (result, expected) in [(DType::F32, 512.0), (DType::BF16, 512.0)] {
        let product = run_one([&x, &weight], |b, [x, w]| nn::linear(b, x, w, result));
        assert_eq!((product.dtype(), product.to_floats()), (result, vec![expected]));
    }
    let (x, weight) = (noise(DType::BF16, &[4, 33], 2.0, 3), noise(DType::BF16, &[9, 33], 1.0, 4));
    let wide = run_one([&x, &weight], |b, [x, w]| nn::linear(b, x, w, DType::F32));
    let narrow = run_one([&x, &weight], |b, [x, w]| nn::linear(b, x, w, DType::BF16));
    assert_rounded_once(&narrow, &wide.to_floats());
}

#[test]
fn linear_is_a_composite_and_exact_in_f32() {
    for (dtype, expected) in [(DType::F32, Precision::Highest), (DType::BF16, Precision::Default)] {
        let (x, weight) = (noise(dtype, &[3, 5], 1.0, 5), noise(dtype, &[7, 5], 1.0, 6));
        let module = built([&x, &weight], |b, [x, w]| Ok(vec![nn::linear(b, x, w, dtype)?])).unwrap();
        let main = module.function(module.entry().unwrap()).unwrap();
        let [operation] = main.ops.as_slice() else { panic!("{module}") };
        let Op::Composite { name, decomposition, .. } = &operation.op else { panic!("{module}") };
        assert_eq!(name, "lapidary.linear");
        let [dot] = module.function(*decomposition).unwrap().ops.as_slice() else { panic!("{module}") };
        assert!(matches!(dot.op, Op::DotGeneral { precision, .. } if precision == expected), "{module}");
    }
}

#[test]
fn linear_refuses_widths_and_types_that_differ() {
    let x = noise(DType::F32, &[3, 5], 1.0, 7);
    for weight in [noise(DType::F32, &[7, 4], 1.0, 8), noise(DType::BF16, &[7, 5], 1.0, 9)] {
        assert_refused("dot_general", [&x, &weight], |b, [x, w]| nn::linear(b, x, w, DType::F32));
    }
}

#[test]
fn embed_takes_rows_and_clamps_ids() {
    let table = noise(DType::BF16, &[7, 3], 1.0, 10);
    let ids = [0, 6, 3, 3, -1, 7, i32::MAX, i32::MIN];
    let rows =
        run_one([&table, &ints(&[2, 4], &ids)], |b, [table, ids]| nn::embed(b, table, ids, DType::BF16));
    assert_eq!(rows.dims(), [2, 4, 3]);
    let table = table.to_floats();
    let expected: Vec<f64> =
        ids.iter().flat_map(|&id| table[3 * id.clamp(0, 6) as usize..][..3].to_vec()).collect();
    assert_eq!(rows.to_floats(), expected);
}

#[test]
fn embed_takes_a_table_of_two_dimensions() {
    let (vector, ids) = (noise(DType::F32, &[7], 1.0, 11), ints(&[2, 4], &[0; 8]));
    assert_refused("gather", [&vector, &ids], |b, [table, ids]| nn::embed(b, table, ids, DType::F32));
}

#[test]
fn the_scale_is_rounded_to_the_dtype_first() {
    // sqrt(2304), sqrt(3584) = 59.867 and sqrt(4608) = 67.882: Gemma 2's three widths, in bf16.
    for (width, factor) in [(2304f64, 48.0), (3584.0, 59.75), (4608.0, 68.0), (2048.0, 45.25), (3072.0, 55.5)]
    {
        let x = noise(DType::BF16, &[3, 11], 2.0, 12);
        let scaled = run_one([&x], |b, [x]| nn::scale(b, x, width.sqrt()));
        let expected: Vec<f64> = x.to_floats().iter().map(|x| x * factor).collect();
        assert_rounded_once(&scaled, &expected);
        let one = run_one([&floats(DType::BF16, &[1], &[1.0])], |b, [x]| nn::scale(b, x, width.sqrt()));
        assert_eq!(one.to_floats(), [factor]);
        let exact = run_one([&floats(DType::F32, &[1], &[1.0])], |b, [x]| nn::scale(b, x, width.sqrt()));
        assert_eq!(exact.to_floats(), [f64::from(width.sqrt() as f32)]);
    }
}
