//! Softcap, GELU and the gated unit.

use lapidary_graph::{DType, nn};

use crate::harness::{
    assert_close, assert_refused, assert_rounded_once, floats, ints, noise, run_one, to_bf16,
};

fn gelu(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
    0.5 * x * (1.0 + inner.tanh())
}

#[test]
fn softcap_is_cap_tanh_of_x_over_cap() {
    for cap in [0.5, 30.0, 50.0] {
        let x = noise(DType::F32, &[3, 5, 7], 4.0 * cap, 1);
        let capped = run_one([&x], |b, [x]| nn::softcap(b, x, cap));
        let expected: Vec<f64> = x.to_floats().iter().map(|x| cap * (x / cap).tanh()).collect();
        assert_close(&capped, &expected, 3e-7);
    }
}

#[test]
fn softcap_of_extremes_is_the_cap() {
    let x = floats(DType::F32, &[5], &[f64::INFINITY, -1e30, 0.0, -0.0, f64::NAN]);
    let capped = run_one([&x], |b, [x]| nn::softcap(b, x, 50.0)).to_floats();
    assert_eq!(capped[..4], [50.0, -50.0, 0.0, 0.0]);
    assert!(capped[3].is_sign_negative());
    assert!(capped[4].is_nan());
}

#[test]
fn gelu_is_the_tanh_approximation() {
    let x = noise(DType::F32, &[11, 13], 6.0, 2);
    let activated = run_one([&x], |b, [x]| nn::gelu_tanh(b, x));
    let expected: Vec<f64> = x.to_floats().iter().map(|&x| gelu(x)).collect();
    assert_close(&activated, &expected, 5e-7);
    // Not the exact form: at 2 the two are 3.0e-4 apart, and erf-based GELU is 1.95450.
    let two = run_one([&floats(DType::F32, &[], &[2.0])], |b, [x]| nn::gelu_tanh(b, x));
    assert!((two.to_floats()[0] - 1.954_597_7).abs() < 1e-6, "{two:?}");
}

#[test]
fn gelu_of_large_values_is_x_or_zero() {
    let x = floats(DType::F32, &[4], &[100.0, -100.0, 1e20, -1e20]);
    let activated = run_one([&x], |b, [x]| nn::gelu_tanh(b, x)).to_floats();
    assert_eq!(activated, [100.0, 0.0, f64::from(1e20f32), 0.0]);
}

#[test]
fn geglu_rounds_once() {
    let dims = [3, 7, 31];
    // Gates near zero: below -2, `1 + tanh` cancels and f32 has fewer digits to round.
    let (gate, up) = (noise(DType::BF16, &dims, 2.0, 3), noise(DType::BF16, &dims, 3.0, 4));
    let product = run_one([&gate, &up], |b, [gate, up]| nn::geglu(b, gate, up));
    assert_eq!(product.dtype(), DType::BF16);
    let (gate, up) = (gate.to_floats(), up.to_floats());
    let expected: Vec<f64> = gate.iter().zip(&up).map(|(&gate, up)| gelu(gate) * up).collect();
    assert_rounded_once(&product, &expected);

    let twice = gate.iter().zip(&up).map(|(&gate, up)| to_bf16(to_bf16(gelu(gate)) * up));
    let differing = product.to_floats().into_iter().zip(twice).filter(|(once, twice)| once != twice);
    assert!(differing.count() > 100, "these inputs cannot tell one rounding from two");
}

#[test]
fn geglu_keeps_f32() {
    let (gate, up) = (noise(DType::F32, &[2, 9], 4.0, 5), noise(DType::F32, &[2, 9], 3.0, 6));
    let product = run_one([&gate, &up], |b, [gate, up]| nn::geglu(b, gate, up));
    let pairs = gate.to_floats().into_iter().zip(up.to_floats());
    assert_close(&product, &pairs.map(|(gate, up)| gelu(gate) * up).collect::<Vec<_>>(), 5e-7);
}

#[test]
fn activations_of_integers_and_of_unlike_operands_are_refused() {
    let integers = ints(&[3], &[1, 2, 3]);
    assert_refused("tanh", [&integers], |b, [x]| nn::softcap(b, x, 50.0));
    assert_refused("tanh", [&integers], |b, [x]| nn::gelu_tanh(b, x));
    let (gate, up) = (noise(DType::F32, &[2, 3], 1.0, 7), noise(DType::F32, &[3, 2], 1.0, 8));
    assert_refused("multiply", [&gate, &up], |b, [gate, up]| nn::geglu(b, gate, up));
}
