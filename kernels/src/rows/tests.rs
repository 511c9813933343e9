//! Each form of each kernel against f64.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use half::bf16;

use super::*;
use crate::test_data::{forms, numbers};

/// Whether `found` is `exact` rounded to bf16, or next to it, or both are NaN.
fn is_close(found: bf16, exact: f64) -> bool {
    let found = f64::from(found);
    found == exact
        || (found.is_nan() && exact.is_nan())
        || (found - exact).abs() <= exact.abs() * 0.005
        || (found.abs() < 1e-30 && exact.abs() < 1e-30)
}

fn special(mut numbers: Vec<bf16>) -> Vec<bf16> {
    let specials = [bf16::NAN, bf16::INFINITY, bf16::NEG_INFINITY, bf16::ZERO, bf16::MAX, bf16::MIN];
    for (number, special) in numbers.iter_mut().step_by(7).zip(specials) {
        *number = special;
    }
    numbers
}

#[test]
fn rows_are_normed_by_themselves() {
    let pool = Pool::new(2);
    for (rows, width) in [(1, 1), (1, 2304), (3, 65), (7, 100), (40, 1000)] {
        let (x, weight) = (numbers(rows * width, 1), numbers(width, 2));
        for features in forms() {
            let mut out = vec![bf16::ZERO; rows * width];
            let shape = RmsNormShape { rows, width };
            rms_norm(&pool, features, shape, 1e-6, &x, &weight, &mut out).unwrap();
            for (row, (x, out)) in x.chunks(width).zip(out.chunks(width)).enumerate() {
                let mean = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / width as f64;
                for ((&x, &weight), &found) in x.iter().zip(&weight).zip(out) {
                    let exact = f64::from(x) / (mean + 1e-6).sqrt() * (1.0 + f64::from(weight));
                    assert!(is_close(found, exact), "{rows} x {width}, row {row}: {found}, not {exact}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_number_spoils_its_own_row_alone() {
    let pool = Pool::new(1);
    let mut x = numbers(3 * 40, 1);
    x[45] = bf16::NAN;
    let weight = numbers(40, 2);
    for features in forms() {
        let mut out = vec![bf16::ZERO; 3 * 40];
        rms_norm(&pool, features, RmsNormShape { rows: 3, width: 40 }, 1e-6, &x, &weight, &mut out).unwrap();
        let are_nan: Vec<bool> = out.chunks(40).map(|row| row.iter().all(|x| x.is_nan())).collect();
        assert_eq!(are_nan, [false, true, false]);
        assert!(out[..40].iter().chain(&out[80..]).all(|x| x.is_finite()));
    }
}

#[test]
fn heads_turn_by_their_tokens_angles() {
    let pool = Pool::new(2);
    for (tokens, heads, head_dim) in [(1, 1, 1), (1, 8, 256), (3, 2, 7), (5, 3, 34), (70, 4, 64)] {
        let x = special(numbers(tokens * heads * head_dim, 1));
        let angles = |seed| numbers(tokens * head_dim, seed).iter().map(|x| x.to_f32()).collect::<Vec<f32>>();
        let (cos, sin) = (angles(2), angles(3));
        for features in forms() {
            let mut out = vec![bf16::ZERO; x.len()];
            let shape = RopeShape { tokens, heads, head_dim };
            rope(&pool, features, shape, &x, RopeTables { cos: &cos, sin: &sin }, &mut out).unwrap();
            for (at, &found) in out.iter().enumerate() {
                let (i, token) = (at % head_dim, at / head_dim / heads);
                let (cos, sin) = (cos[token * head_dim + i], sin[token * head_dim + i]);
                let swapped = x[at - i + (i + head_dim / 2) % head_dim];
                let (straight, crossed) =
                    (f64::from(x[at]) * f64::from(cos), f64::from(swapped) * f64::from(sin));
                let size = straight.abs() + crossed.abs();
                let exact = straight + crossed;
                let is_right =
                    is_close(found, exact) || (f64::from(found) - exact).abs() <= size * 2f64.powi(-20);
                assert!(is_right, "{tokens} x {heads} x {head_dim} at {at}: {found}, not {exact}");
            }
        }
    }
}

#[test]
fn gates_open_as_gelu_says() {
    let pool = Pool::new(2);
    for count in [1, 31, 1024, 1025, 40_000] {
        let wide: Vec<bf16> = numbers(count, 1).iter().map(|x| bf16::from_f32(x.to_f32() * 9.0)).collect();
        let (gate, up) = (special(wide), numbers(count, 2));
        for features in forms() {
            let mut out = vec![bf16::ZERO; count];
            geglu(&pool, features, &gate, &up, &mut out).unwrap();
            for ((&gate, &up), &found) in gate.iter().zip(&up).zip(&out) {
                let x = f64::from(gate);
                let u = std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044715 * x * x * x);
                // 1 + tanh(u), without the loss of digits.
                let exact = x / (1.0 + (-2.0 * u).exp()) * f64::from(up);
                let exact = if gate == bf16::NEG_INFINITY { f64::NAN } else { exact };
                assert!(is_close(found, exact), "{gate} gates {up}: {found}, not {exact}");
            }
        }
    }
}

#[test]
fn branches_are_added_and_rounded_once() {
    let pool = Pool::new(2);
    for count in [1, 31, 1024, 1025, 40_000] {
        let (residual, branch) = (special(numbers(count, 1)), numbers(count, 2));
        for features in forms() {
            let mut out = vec![bf16::ZERO; count];
            residual_add(&pool, features, &residual, &branch, &mut out).unwrap();
            for ((&residual, &branch), &found) in residual.iter().zip(&branch).zip(&out) {
                let exact = bf16::from_f32(residual.to_f32() + branch.to_f32());
                assert!(
                    found == exact || (found.is_nan() && exact.is_nan()),
                    "{residual} + {branch}: {found}"
                );
            }
        }
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let (pool, features) = (Pool::new(1), Features::detect());
    let x = numbers(12, 1);
    let mut out = vec![bf16::ZERO; 12];
    let norm = rms_norm(&pool, features, RmsNormShape { rows: 3, width: 4 }, 1e-6, &x, &x[..3], &mut out);
    assert_eq!(norm.unwrap_err().to_string(), "the weight of a norm: 3 elements, not 4");
    let tables = RopeTables { cos: &[0.0; 4], sin: &[0.0; 3] };
    let turned = rope(&pool, features, RopeShape { tokens: 1, heads: 3, head_dim: 4 }, &x, tables, &mut out);
    assert_eq!(turned.unwrap_err().to_string(), "the sines of a rotation: 3 elements, not 4");
    let gated = geglu(&pool, features, &x[1..], &x, &mut out);
    assert_eq!(gated.unwrap_err().to_string(), "a gate: 11 elements, not 12");
    let sum = residual_add(&pool, features, &x, &x[2..], &mut out);
    assert_eq!(sum.unwrap_err().to_string(), "a branch: 10 elements, not 12");
    // Nothing is something that can be done.
    rms_norm(&pool, features, RmsNormShape { rows: 3, width: 0 }, 1e-6, &[], &[], &mut []).unwrap();
    geglu(&pool, features, &[], &[], &mut []).unwrap();
}
