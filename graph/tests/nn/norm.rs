//! RMSNorm.

use lapidary_graph::interp::Tensor;
use lapidary_graph::{DType, nn};

use crate::harness::{assert_close, assert_refused, assert_rounded_once, floats, noise, run_one, to_bf16};

fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Vec<f64> {
    let (x, weight) = (x.to_floats(), weight.to_floats());
    let mut result = Vec::new();
    for row in x.chunks(weight.len()) {
        let mean = row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
        result.extend(row.iter().zip(&weight).map(|(x, w)| x / (mean + eps).sqrt() * (1.0 + w)));
    }
    result
}

#[test]
fn rms_norm_divides_by_the_root_mean_square() {
    for dims in [&[5][..], &[3, 7], &[2, 3, 45], &[2, 1, 3, 4]] {
        let x = noise(DType::F32, dims, 30.0, 1);
        let weight = noise(DType::F32, &dims[dims.len() - 1..], 1.5, 2);
        let normed = run_one([&x, &weight], |b, [x, weight]| nn::rms_norm(b, x, weight, 1e-6));
        assert_eq!(normed.ty(), x.ty());
        assert_close(&normed, &rms_norm(&x, &weight, 1e-6), 1e-6);
    }
}

#[test]
fn eps_is_inside_the_root() {
    let (x, weight) = (floats(DType::F32, &[4], &[1e-3; 4]), floats(DType::F32, &[4], &[0.0; 4]));
    let normed = run_one([&x, &weight], |b, [x, weight]| nn::rms_norm(b, x, weight, 1e-6));
    // 1e-3 / sqrt(1e-6 + 1e-6), where eps outside would give 0.999.
    assert_close(&normed, &[0.5f64.sqrt(); 4], 1e-6);
    let zeros = floats(DType::F32, &[4], &[0.0; 4]);
    let normed = run_one([&zeros, &weight], |b, [x, weight]| nn::rms_norm(b, x, weight, 1e-6));
    assert_eq!(normed.to_floats(), [0.0; 4]);
}

#[test]
fn bf16_is_rounded_once_and_the_gain_is_one_plus_weight_in_f32() {
    let x = noise(DType::BF16, &[5, 7, 33], 8.0, 3);
    // Small weights: `1 + w` does not fit in bf16's eight bits.
    let weight = noise(DType::BF16, &[33], 0.02, 4);
    let normed = run_one([&x, &weight], |b, [x, weight]| nn::rms_norm(b, x, weight, 1e-6));
    assert_eq!(normed.dtype(), DType::BF16);
    let expected = rms_norm(&x, &weight, 1e-6);
    assert_rounded_once(&normed, &expected);

    let gain: Vec<f64> = weight.to_floats().iter().map(|w| to_bf16(1.0 + w) - 1.0).collect();
    let folded = rms_norm(&x, &floats(DType::F32, &[33], &gain), 1e-6);
    let differing =
        normed.to_floats().into_iter().zip(folded).filter(|(got, folded)| *got != to_bf16(*folded));
    assert!(differing.count() > 100, "these inputs cannot tell a folded gain");
}

#[test]
fn large_bf16_activations_do_not_overflow() {
    // Gemma's residual stream reaches the thousands; a square in f16 or a sum in bf16 would be lost.
    let x = floats(DType::BF16, &[1, 64], &[3e4; 64]);
    let weight = floats(DType::BF16, &[64], &[0.0; 64]);
    let normed = run_one([&x, &weight], |b, [x, weight]| nn::rms_norm(b, x, weight, 1e-6));
    assert_eq!(normed.to_floats(), [1.0; 64]);
}

#[test]
fn a_weight_of_another_width_is_refused() {
    let (x, weight) = (noise(DType::F32, &[2, 5], 1.0, 5), noise(DType::F32, &[4], 1.0, 6));
    assert_refused("broadcast_in_dim", [&x, &weight], |b, [x, weight]| nn::rms_norm(b, x, weight, 1e-6));
    let scalar = floats(DType::F32, &[], &[1.0]);
    assert_refused("reduce", [&scalar, &weight], |b, [x, weight]| nn::rms_norm(b, x, weight, 1e-6));
}
