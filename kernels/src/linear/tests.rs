#![allow(clippy::unwrap_used)]

use half::bf16;

use super::LinearResult::{Bf16, F32};
use super::{LinearShape, linear};
use crate::test_data::{forms, numbers};
use crate::{Features, Pool};

fn check(shape: LinearShape) {
    let LinearShape { rows, inputs, outputs } = shape;
    let x = numbers(rows * inputs, 1);
    let weight = numbers(outputs * inputs, 2);
    let pool = Pool::new(3);
    let exact: Vec<(f64, f64)> =
        (0..rows * outputs).map(|i| exact(shape, &x, &weight, i / outputs, i % outputs)).collect();
    for features in forms() {
        let mut out = vec![f32::NAN; rows * outputs];
        linear(&pool, features, shape, &x, &weight, F32(&mut out)).unwrap();
        let mut rounded = vec![bf16::NAN; rows * outputs];
        linear(&pool, features, shape, &x, &weight, Bf16(&mut rounded)).unwrap();
        for (i, ((found, rounded), (sum, size))) in out.iter().zip(rounded).zip(&exact).enumerate() {
            let at = format!("{shape:?} {features} [{}, {}]", i / outputs, i % outputs);
            // Each of `inputs` additions rounds by half a unit in the last place of a partial sum at most.
            let bound = size * f64::from(f32::EPSILON) * (inputs as f64 / 16.0 + 8.0);
            assert!((f64::from(*found) - sum).abs() <= bound, "{at}: {found} for {sum}");
            assert_eq!(rounded, bf16::from_f32(*found), "{at}");
        }
    }
}

/// An element of the result, and the sum of its products' sizes.
fn exact(shape: LinearShape, x: &[bf16], weight: &[bf16], row: usize, column: usize) -> (f64, f64) {
    let inputs = shape.inputs;
    let (x, weight) = (&x[row * inputs..][..inputs], &weight[column * inputs..][..inputs]);
    let products = x.iter().zip(weight).map(|(x, weight)| x.to_f64() * weight.to_f64());
    products.fold((0.0, 0.0), |(sum, size), product| (sum + product, size + product.abs()))
}

#[test]
fn equals_the_sum_in_f64() {
    for rows in [1, 2, 3, 4, 5, 8, 15, 16, 17, 33, 70] {
        for (inputs, outputs) in
            [(1, 1), (7, 3), (31, 5), (32, 32), (64, 33), (96, 63), (100, 70), (576, 131), (1056, 160)]
        {
            check(LinearShape { rows, inputs, outputs });
        }
    }
}

#[test]
fn more_than_is_worked_on_at_a_time() {
    check(LinearShape { rows: 512 + 19, inputs: 64, outputs: 48 });
    check(LinearShape { rows: 100, inputs: 544, outputs: 1700 });
    check(LinearShape { rows: 270, inputs: 288, outputs: 97 });
    // Pieces of a row that a cache holds, for as many rows as share a look at the weight and others.
    for (rows, inputs) in [(1, 5000), (3, 5000), (4, 3100), (6, 2600), (13, 1900)] {
        check(LinearShape { rows, inputs, outputs: 11 });
    }
}

/// A weight whose elements are made when they are asked for.
#[cfg(target_arch = "x86_64")]
struct Made<'a> {
    weight: &'a [bf16],
    inputs: usize,
}

#[cfg(target_arch = "x86_64")]
impl super::Bands for Made<'_> {
    fn read(&self, row: usize, step: usize, bands: &mut [super::Band]) {
        for (index, band) in bands.iter_mut().enumerate() {
            for (r, elements) in band.0.iter_mut().enumerate() {
                let at = (row + r) * self.inputs + (step + index) * elements.len();
                elements.copy_from_slice(&self.weight[at..][..crate::tiles::STEP]);
            }
        }
    }

    fn place(&self, _: usize, _: usize) -> crate::tiles::Rows {
        crate::tiles::Rows { start: std::ptr::null(), stride: 0, step: 0 }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_weight_may_be_made_as_it_is_needed() {
    let features = Features::detect();
    if !features.has(crate::Instructions::AmxBf16) {
        return;
    }
    let (inputs, outputs) = (96, 70);
    let weight = numbers(outputs * inputs, 2);
    for rows in [1, 5, 40, 70, 130, 520] {
        let shape = LinearShape { rows, inputs, outputs };
        let x = numbers(rows * inputs, 1);
        let (mut found, mut expected) = (vec![0.0f32; rows * outputs], vec![0.0f32; rows * outputs]);
        let plain = features.without(crate::Instructions::AmxBf16);
        linear(Pool::global(), plain, shape, &x, &weight, F32(&mut expected)).unwrap();
        let weight = Made { weight: &weight, inputs };
        // SAFETY: the processor has AMX, and all is of the shape's sizes.
        unsafe { super::linear_of_bands(Pool::global(), shape, &x, &weight, F32(&mut found)) };
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{rows} rows: {found} for {expected}");
        }
    }
}

#[test]
fn nothing_is_a_size_too() {
    let pool = Pool::new(2);
    let mut out = [1.0f32; 6];
    let shape = LinearShape { rows: 2, inputs: 0, outputs: 3 };
    linear(&pool, Features::detect(), shape, &[], &[], F32(&mut out)).unwrap();
    assert_eq!(out, [0.0; 6]);
    let shape = LinearShape { rows: 0, inputs: 3, outputs: 1 };
    linear(&pool, Features::detect(), shape, &[], &numbers(3, 0), F32(&mut [])).unwrap();
}

#[test]
fn slices_of_other_sizes_are_refused() {
    let shape = LinearShape { rows: 2, inputs: 4, outputs: 3 };
    let found = linear(
        Pool::global(),
        Features::detect(),
        shape,
        &numbers(8, 1),
        &numbers(11, 2),
        F32(&mut [0.0; 6]),
    );
    assert_eq!(found.unwrap_err().to_string(), "weight of a linear layer has 11 elements, not 3 x 4");
}

#[test]
fn infinities_and_nan_stay_in_their_own_results() {
    let (rows, inputs, outputs) = (17, 96, 65);
    let shape = LinearShape { rows, inputs, outputs };
    let mut x = numbers(rows * inputs, 1);
    let mut weight = numbers(outputs * inputs, 2);
    x[3 * inputs + 95] = bf16::NAN;
    weight[7 * inputs] = bf16::INFINITY;
    for features in forms() {
        let mut out = vec![0.0f32; rows * outputs];
        linear(Pool::global(), features, shape, &x, &weight, F32(&mut out)).unwrap();
        for (i, value) in out.iter().enumerate() {
            let (row, column) = (i / outputs, i % outputs);
            assert_eq!(value.is_nan(), row == 3, "{features} [{row}, {column}] = {value}");
            assert_eq!(
                value.is_infinite(),
                row != 3 && column == 7,
                "{features} [{row}, {column}] = {value}"
            );
        }
    }
}
