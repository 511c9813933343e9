//! Softmax and its logarithm.

use lapidary_graph::interp::Tensor;
use lapidary_graph::{DType, nn};

use crate::harness::{assert_close, assert_refused, floats, ints, noise, run_one};

/// Logarithm of the softmax of `x` along `dim`, by lines.
fn log_softmax(x: &Tensor, dim: usize) -> Vec<f64> {
    let inner: usize = x.dims()[dim + 1..].iter().product();
    let n = x.dims()[dim];
    let x = x.to_floats();
    let mut result = vec![0.0; x.len()];
    for start in (0..x.len()).filter(|i| (i / inner).is_multiple_of(n)) {
        let line = || (0..n).map(|j| start + j * inner);
        let max = line().map(|i| x[i]).fold(f64::NEG_INFINITY, f64::max);
        let log_sum = line().map(|i| (x[i] - max).exp()).sum::<f64>().ln() + max;
        line().for_each(|i| result[i] = x[i] - log_sum);
    }
    result
}

#[test]
fn softmax_and_log_softmax_work_along_any_dimension() {
    let x = noise(DType::F32, &[3, 5, 7], 20.0, 1);
    for dim in 0..3 {
        let logs = log_softmax(&x, dim);
        assert_close(&run_one([&x], |b, [x]| nn::log_softmax(b, x, dim)), &logs, 1e-6);
        let weights: Vec<f64> = logs.iter().map(|log| log.exp()).collect();
        assert_close(&run_one([&x], |b, [x]| nn::softmax(b, x, dim)), &weights, 1e-6);
    }
}

#[test]
fn large_values_neither_overflow_nor_lose_their_differences() {
    let x = floats(DType::F32, &[2, 3], &[1e30, 1e30, -1e30, 3e8, 3e8 - 32.0, 3e8 - 64.0]);
    let weights = run_one([&x], |b, [x]| nn::softmax(b, x, 1));
    assert_close(&weights, &[0.5, 0.5, 0.0, 1.0, (-32f64).exp(), (-64f64).exp()], 1e-7);
    let logs = run_one([&x], |b, [x]| nn::log_softmax(b, x, 1));
    // The logarithm of a weight that softmax itself cannot hold.
    assert_close(&logs, &[-2f64.ln(), -2f64.ln(), -2e30, 0.0, -32.0, -64.0], 1e-6);
}

#[test]
fn infinite_logits_are_impossible_tokens() {
    let x = floats(DType::F32, &[3], &[f64::NEG_INFINITY, 2.0, 2.0]);
    assert_eq!(run_one([&x], |b, [x]| nn::softmax(b, x, 0)).to_floats(), [0.0, 0.5, 0.5]);
    let logs = run_one([&x], |b, [x]| nn::log_softmax(b, x, 0)).to_floats();
    assert_eq!(logs[0], f64::NEG_INFINITY);
}

#[test]
fn one_element_has_all_the_weight() {
    let x = noise(DType::F32, &[4, 1], 50.0, 2);
    assert_eq!(run_one([&x], |b, [x]| nn::softmax(b, x, 1)).to_floats(), [1.0; 4]);
    assert_eq!(run_one([&x], |b, [x]| nn::log_softmax(b, x, 1)).to_floats(), [0.0; 4]);
}

#[test]
fn softmax_stays_in_its_dtype() {
    let x = noise(DType::BF16, &[2, 9], 3.0, 3);
    let weights = run_one([&x], |b, [x]| nn::softmax(b, x, 1));
    assert_eq!(weights.ty(), x.ty());
    let expected: Vec<f64> = log_softmax(&x, 1).iter().map(|log| log.exp()).collect();
    assert_close(&weights, &expected, 0.02);
}

#[test]
fn integers_and_absent_dimensions_are_refused() {
    let x = noise(DType::F32, &[2, 3], 1.0, 4);
    assert_refused("reduce", [&x], |b, [x]| nn::softmax(b, x, 2));
    let integers = ints(&[3], &[1, 2, 3]);
    assert_refused("exponential", [&integers], |b, [x]| nn::log_softmax(b, x, 0));
}
