//! Argmax, top-k and take.

use lapidary_graph::{DType, Op, nn};

use crate::harness::{assert_refused, built, floats, ints, noise, run, run_one};

const NAN: f64 = f64::NAN;
const LOWEST: f64 = f64::NEG_INFINITY;

#[test]
fn argmax_is_the_first_of_the_greatest() {
    let rows = [
        ([1.0, 7.0, 3.0, 7.0, 7.0], 1),
        ([-5.0, -5.0, -5.0, -5.0, -5.0], 0),
        ([LOWEST, LOWEST, LOWEST, LOWEST, LOWEST], 0),
        ([LOWEST, -3e38, LOWEST, 0.0, -0.0], 3),
        ([-0.0, 0.0, -1.0, -1.0, -1.0], 0),
        ([NAN, 2.0, NAN, 3.0, NAN], 3),
        ([f64::INFINITY, 1.0, 2.0, f64::INFINITY, 0.0], 0),
        ([NAN; 5], i128::from(i32::MAX)),
    ];
    let values: Vec<f64> = rows.iter().flat_map(|(row, _)| *row).collect();
    let expected: Vec<i128> = rows.iter().map(|&(_, at)| at).collect();
    for dtype in [DType::F32, DType::BF16] {
        let best = run_one([&floats(dtype, &[8, 5], &values)], |b, [x]| nn::argmax(b, x));
        assert_eq!((best.dtype(), best.dims()), (DType::S32, &[8][..]));
        assert_eq!(best.to_ints(), expected);
    }
}

#[test]
fn argmax_works_on_vectors_and_batches() {
    let best = run_one([&floats(DType::F32, &[3], &[1.0, 2.0, 0.0])], |b, [x]| nn::argmax(b, x));
    assert_eq!((best.rank(), best.to_ints()), (0, vec![1]));
    let x = noise(DType::F32, &[2, 3, 11], 1.0, 1);
    let best = run_one([&x], |b, [x]| nn::argmax(b, x));
    assert_eq!(best.dims(), [2, 3]);
    for (row, best) in x.to_floats().chunks(11).zip(best.to_ints()) {
        assert!(row.iter().all(|&x| x <= row[best as usize]));
    }
    assert_refused("reduce", [&floats(DType::F32, &[], &[1.0])], |b, [x]| nn::argmax(b, x));
}

#[test]
fn top_k_is_a_stable_descending_sort() {
    let x: Vec<f64> = noise(DType::F32, &[2, 3, 13], 4.0, 2).to_floats().iter().map(|x| x.round()).collect();
    for k in [1, 4, 13] {
        let results = run([&floats(DType::F32, &[2, 3, 13], &x)], |b, [x]| {
            let (values, indices) = nn::top_k(b, x, k)?;
            Ok(vec![values, indices])
        });
        let [values, indices] = results.as_slice() else { panic!() };
        assert_eq!((values.dims(), indices.dims()), (&[2, 3, k][..], &[2, 3, k][..]));
        assert_eq!((values.dtype(), indices.dtype()), (DType::F32, DType::S32));
        let rows = x.chunks(13).zip(
            indices
                .to_ints()
                .chunks(k)
                .zip(values.to_floats().chunks(k))
                .map(|(indices, values)| (indices.to_vec(), values.to_vec()))
                .collect::<Vec<_>>(),
        );
        for (row, (indices, values)) in rows {
            let mut order: Vec<usize> = (0..13).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
            let order = &order[..k];
            assert_eq!(indices, order.iter().map(|&i| i as i128).collect::<Vec<_>>());
            assert_eq!(values, order.iter().map(|&i| row[i]).collect::<Vec<_>>());
        }
    }
}

#[test]
fn top_k_asks_for_a_stable_sort() {
    // The interpreter's sort is stable whatever it is asked for; XLA's is not.
    let x = noise(DType::F32, &[2, 5], 1.0, 7);
    let module = built([&x], |b, [x]| Ok(vec![nn::top_k(b, x, 3)?.1])).unwrap();
    let main = module.function(module.entry().unwrap()).unwrap();
    let sorts: Vec<&Op> = main.ops.iter().map(|o| &o.op).filter(|op| matches!(op, Op::Sort { .. })).collect();
    assert!(matches!(sorts[..], [Op::Sort { dim: 1, stable: true, .. }]), "{module}");
}

#[test]
fn top_k_puts_nan_first_and_refuses_more_than_there_are() {
    let x = floats(DType::F32, &[4], &[1.0, NAN, f64::INFINITY, LOWEST]);
    let indices = run_one([&x], |b, [x]| Ok(nn::top_k(b, x, 4)?.1));
    assert_eq!(indices.to_ints(), [1, 2, 0, 3]);
    assert_refused("slice", [&x], |b, [x]| Ok(nn::top_k(b, x, 5)?.0));
}

#[test]
fn take_without_rows_takes_from_the_first_dimension() {
    let x = noise(DType::F32, &[5, 3, 2], 1.0, 3);
    for (index, row) in [(0, 0), (4, 4), (-1, 0), (5, 4)] {
        let taken = run_one([&x, &ints(&[], &[index])], |b, [x, index]| nn::take(b, x, index));
        assert_eq!(taken.dims(), [3, 2]);
        assert_eq!(taken.to_floats(), x.to_floats()[6 * row..][..6]);
    }
}

#[test]
fn take_with_rows_takes_from_each() {
    let x = noise(DType::BF16, &[3, 5, 2], 1.0, 4);
    let index = [4, 0, 9];
    let taken = run_one([&x, &ints(&[3], &index)], |b, [x, index]| nn::take(b, x, index));
    assert_eq!(taken.dims(), [3, 2]);
    let elements = x.to_floats();
    for (row, (taken, index)) in taken.to_floats().chunks(2).zip(index).enumerate() {
        assert_eq!(taken, &elements[row * 10 + 2 * index.min(4) as usize..][..2]);
    }
}

#[test]
fn take_with_rows_and_columns_takes_one_element_of_each() {
    let x = noise(DType::F32, &[2, 3, 7], 1.0, 5);
    let index = [6, 0, 3, 2, 2, -4];
    let taken = run_one([&x, &ints(&[2, 3], &index)], |b, [x, index]| nn::take(b, x, index));
    assert_eq!(taken.dims(), [2, 3]);
    let elements = x.to_floats();
    let expected: Vec<f64> =
        index.iter().enumerate().map(|(row, &at)| elements[row * 7 + at.max(0) as usize]).collect();
    assert_eq!(taken.to_floats(), expected);
}

#[test]
fn take_refuses_an_index_of_other_rows() {
    let x = noise(DType::F32, &[2, 3, 7], 1.0, 6);
    assert_refused("gather", [&x, &ints(&[3], &[0; 3])], |b, [x, index]| nn::take(b, x, index));
    assert_refused("gather", [&x, &ints(&[2, 3, 7], &[0; 42])], |b, [x, index]| nn::take(b, x, index));
}
