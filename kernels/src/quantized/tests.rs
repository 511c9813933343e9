#![allow(clippy::unwrap_used)]

use half::{bf16, f16};

use super::{Codes, EncodedWeight, Scales, quantized_linear};
use crate::LinearResult::{Bf16, F32};
use crate::test_data::{forms, numbers};
use crate::{Features, Instructions, LinearShape, Pool};

/// A weight that owns its slices.
#[derive(Clone)]
struct Weight {
    bits: usize,
    groups: usize,
    codes: Vec<u8>,
    scales: ScaleValues,
    offsets: Option<Vec<f32>>,
}

#[derive(Clone)]
enum ScaleValues {
    Bf16(Vec<bf16>),
    F16(Vec<f16>),
    F32(Vec<f32>),
}

/// Kinds of scales.
const KINDS: [usize; 3] = [0, 1, 2];

impl Weight {
    /// A weight whose every byte takes all values.
    fn new(
        bits: usize,
        (outputs, inputs): (usize, usize),
        groups: usize,
        kind: usize,
        offsets: bool,
    ) -> Self {
        let bytes = numbers(outputs * inputs * bits / 8, 2);
        let codes = bytes.iter().map(|number| (number.to_f32() * 4096.0) as i32 as u8).collect();
        let values: Vec<f32> = numbers(outputs * groups, 3).iter().map(|s| s.to_f32() * 0.05).collect();
        let scales = match kind {
            0 => ScaleValues::Bf16(values.iter().copied().map(bf16::from_f32).collect()),
            1 => ScaleValues::F16(values.iter().copied().map(f16::from_f32).collect()),
            _ => ScaleValues::F32(values),
        };
        let offsets = offsets
            .then(|| numbers(outputs * groups, 4).iter().map(|offset| offset.to_f32() / 3.0).collect());
        Self { bits, groups, codes, scales, offsets }
    }

    fn encoded<'a>(&'a self, signed: &'a [i8]) -> EncodedWeight<'a> {
        let codes = if self.bits == 8 { Codes::Int8(signed) } else { Codes::Int4(&self.codes) };
        let scales = match &self.scales {
            ScaleValues::Bf16(scales) => Scales::Bf16(scales),
            ScaleValues::F16(scales) => Scales::F16(scales),
            ScaleValues::F32(scales) => Scales::F32(scales),
        };
        EncodedWeight { codes, scales, offsets: self.offsets.as_deref(), groups: self.groups }
    }

    fn signed(&self) -> Vec<i8> {
        self.codes.iter().map(|&byte| byte as i8).collect()
    }

    /// An element, as its definition says.
    fn element(&self, inputs: usize, output: usize, input: usize) -> f64 {
        let at = output * inputs + input;
        let code = match self.bits {
            8 => f64::from(self.codes[at] as i8),
            _ => f64::from(self.codes[at / 2] >> (at % 2 * 4) & 15) - 8.0,
        };
        let group = output * self.groups + input / (inputs / self.groups);
        let scale = match &self.scales {
            ScaleValues::Bf16(scales) => scales[group].to_f64(),
            ScaleValues::F16(scales) => scales[group].to_f64(),
            ScaleValues::F32(scales) => f64::from(scales[group]),
        };
        scale * code + self.offsets.as_ref().map_or(0.0, |offsets| f64::from(offsets[group]))
    }
}

fn check(shape: LinearShape, weight: &Weight) {
    let LinearShape { rows, inputs, outputs } = shape;
    let x = numbers(rows * inputs, 1);
    let signed = weight.signed();
    let pool = Pool::new(3);
    let exact: Vec<(f64, f64)> = (0..rows * outputs)
        .map(|at| {
            let (row, output) = (at / outputs, at % outputs);
            (0..inputs).fold((0.0, 0.0), |(sum, size), input| {
                let x = x[row * inputs + input].to_f64();
                let product = x * weight.element(inputs, output, input);
                // What is added up on the way may be more than the products: codes and offsets apart.
                let offset = weight.offsets.as_ref().map_or(0.0, |_| x / 3.0);
                (sum + product, size + product.abs() + offset.abs())
            })
        })
        .collect();
    for features in forms() {
        let mut out = vec![f32::NAN; rows * outputs];
        quantized_linear(&pool, features, shape, &x, weight.encoded(&signed), F32(&mut out)).unwrap();
        let mut rounded = vec![bf16::NAN; rows * outputs];
        quantized_linear(&pool, features, shape, &x, weight.encoded(&signed), Bf16(&mut rounded)).unwrap();
        // Beyond, tiles take weights that are rounded to bf16.
        let is_exact = rows <= 32 && (weight.groups == 1 || (inputs / weight.groups).is_multiple_of(32));
        let unit = match features.has(Instructions::AmxBf16) && !is_exact {
            true => f64::from(bf16::EPSILON) / 2.0,
            false => f64::from(f32::EPSILON) * (inputs as f64 / 16.0 + 8.0),
        };
        for (i, ((found, rounded), (sum, size))) in out.iter().zip(rounded).zip(&exact).enumerate() {
            let at = format!(
                "{shape:?} of {} bits in {} groups, {features} [{}, {}]",
                weight.bits,
                weight.groups,
                i / outputs,
                i % outputs
            );
            assert!((f64::from(*found) - sum).abs() <= size * unit, "{at}: {found} for {sum}");
            assert_eq!(rounded, bf16::from_f32(*found), "{at}");
        }
    }
}

#[test]
fn one_scale_for_each_output_equals_the_sum_in_f64() {
    for rows in [1, 2, 3, 4, 9, 16, 17, 32, 33] {
        for (inputs, outputs) in [
            (1, 1),
            (2, 1),
            (30, 5),
            (64, 33),
            (96, 32),
            (126, 40),
            (128, 7),
            (200, 70),
            (576, 131),
            (640, 66),
        ] {
            for bits in [4, 8] {
                if inputs * bits % 8 == 0 {
                    let weight = Weight::new(bits, (outputs, inputs), 1, rows % 3, false);
                    check(LinearShape { rows, inputs, outputs }, &weight);
                }
            }
        }
    }
}

#[test]
fn groups_equal_the_sum_in_f64() {
    for rows in [1, 2, 4, 6, 17, 40] {
        for (group, groups) in [
            (2, 3),
            (4, 5),
            (8, 9),
            (16, 5),
            (32, 8),
            (32, 9),
            (48, 4),
            (64, 7),
            (64, 10),
            (96, 4),
            (128, 3),
            (192, 2),
        ] {
            for bits in [4, 8] {
                for kind in KINDS {
                    let (inputs, outputs) = (group * groups, 37);
                    let weight = Weight::new(bits, (outputs, inputs), groups, kind, false);
                    check(LinearShape { rows, inputs, outputs }, &weight);
                }
            }
        }
    }
}

#[test]
fn rows_of_which_a_cache_holds_pieces_equal_the_sum_in_f64() {
    for rows in [3, 4, 5, 8] {
        // The last piece is shorter, of one block, or ends within one; a group is longer than a piece.
        for (inputs, groups, with_offsets) in
            [(2304, 36, false), (2336, 1, false), (3586, 1, false), (2560, 80, true), (4096, 2, false)]
        {
            for bits in [4, 8] {
                let weight = Weight::new(bits, (5, inputs), groups, 1, with_offsets);
                check(LinearShape { rows, inputs, outputs: 5 }, &weight);
            }
        }
    }
}

#[test]
fn offsets_equal_the_sum_in_f64() {
    for rows in [1, 3, 6, 40] {
        for (group, groups) in [(32, 9), (64, 4), (16, 3), (256, 1), (6, 7)] {
            for bits in [4, 8] {
                let (inputs, outputs) = (group * groups, 37);
                let weight = Weight::new(bits, (outputs, inputs), groups, 1, true);
                check(LinearShape { rows, inputs, outputs }, &weight);
            }
        }
    }
}

#[test]
fn elements_of_very_different_sizes() {
    let (inputs, outputs) = (384, 9);
    for (rows, bits, groups) in [(1, 8, 1), (1, 4, 1), (1, 4, 6), (1, 8, 12), (3, 4, 6), (5, 8, 1)] {
        let size = |at: usize| 2f32.powi(60 - (at * 7 % 40) as i32);
        let x: Vec<bf16> = numbers(rows * inputs, 1)
            .iter()
            .enumerate()
            .map(|(at, x)| bf16::from_f32(x.to_f32() * size(at)))
            .collect();
        let weight = Weight::new(bits, (outputs, inputs), groups, 2, false);
        let signed = weight.signed();
        let shape = LinearShape { rows, inputs, outputs };
        for features in forms() {
            let mut out = vec![f32::NAN; rows * outputs];
            let weight_of = weight.encoded(&signed);
            quantized_linear(Pool::global(), features, shape, &x, weight_of, F32(&mut out)).unwrap();
            for (i, found) in out.iter().enumerate() {
                let (row, output) = (i / outputs, i % outputs);
                let x = &x[row * inputs..(row + 1) * inputs];
                let elements = (0..inputs).map(|input| weight.element(inputs, output, input));
                let largest = x.iter().map(|x| x.to_f64().abs()).fold(0.0, f64::max);
                let (sum, weights) = elements.zip(x).fold((0.0, 0.0), |(sum, weights), (element, x)| {
                    (sum + x.to_f64() * element, weights + element.abs())
                });
                // As one sum in f32 of elements as large as the largest may be wrong.
                let bound = f64::from(f32::EPSILON) * 3.0 * largest * weights;
                assert!(
                    (f64::from(*found) - sum).abs() <= bound,
                    "{features} [{row}, {output}]: {found} for {sum}"
                );
            }
        }
    }
}

#[test]
fn an_odd_number_of_int8_inputs() {
    for rows in [1, 7] {
        for (inputs, groups) in [(7, 1), (129, 1), (45, 3), (63, 7)] {
            let weight = Weight::new(8, (33, inputs), groups, 0, false);
            check(LinearShape { rows, inputs, outputs: 33 }, &weight);
        }
    }
}

/// One row of ones on an int4 weight of this many outputs and inputs, with a scale for each of `groups`.
fn refusal(bytes: usize, scales: usize, inputs: usize, groups: usize) -> String {
    let weight = EncodedWeight {
        codes: Codes::Int4(&vec![0x88; bytes]),
        scales: Scales::F32(&vec![1.0; scales]),
        offsets: None,
        groups,
    };
    let shape = LinearShape { rows: 1, inputs, outputs: 3 };
    let x = vec![bf16::ONE; inputs];
    let (pool, features, mut out) = (Pool::global(), Features::detect(), [0.0; 3]);
    quantized_linear(pool, features, shape, &x, weight, F32(&mut out)).unwrap_err().to_string()
}

#[test]
fn what_does_not_fit_is_refused() {
    assert_eq!(refusal(5, 3, 4, 1), "codes of a quantized linear layer: 5 elements, not 3 x 2");
    assert_eq!(refusal(6, 2, 4, 1), "scales of a quantized linear layer: 2 elements, not 3 x 1");
    assert_eq!(refusal(6, 3, 4, 3), "4 inputs of a quantized linear layer are not 3 groups of one size");
    assert_eq!(refusal(6, 3, 4, 0), "4 inputs of a quantized linear layer are not 0 groups of one size");
    let odd = "a group of 3 elements of int4 ends within a byte: groups of an even size are needed";
    assert_eq!(refusal(9, 6, 6, 2), odd);
}

#[test]
fn nothing_is_a_size_too() {
    let (pool, features) = (Pool::global(), Features::detect());
    let weight =
        EncodedWeight { codes: Codes::Int8(&[]), scales: Scales::F32(&[]), offsets: None, groups: 0 };
    let mut out = [1.0; 6];
    let shape = LinearShape { rows: 2, inputs: 0, outputs: 3 };
    quantized_linear(pool, features, shape, &[], weight, F32(&mut out)).unwrap();
    assert_eq!(out, [0.0; 6]);
    let weight = EncodedWeight { groups: 1, ..weight };
    let shape = LinearShape { rows: 1, inputs: 4, outputs: 0 };
    quantized_linear(pool, features, shape, &numbers(4, 1), weight, F32(&mut [])).unwrap();
}

#[test]
fn infinities_and_nan_stay_in_their_own_results() {
    let (inputs, outputs) = (192, 65);
    for (rows, bits, groups) in [(3, 8, 1), (3, 4, 3), (9, 8, 3), (9, 4, 1)] {
        let mut x = numbers(rows * inputs, 1);
        x[inputs + 190] = bf16::NAN;
        x[2 * inputs] = bf16::INFINITY;
        let mut weight = Weight::new(bits, (outputs, inputs), groups, 2, false);
        // No code is zero, whose product with infinity is none.
        weight.codes.iter_mut().for_each(|code| *code = 0x11);
        if let ScaleValues::F32(scales) = &mut weight.scales {
            scales.fill(0.5);
            scales[7 * groups + groups - 1] = f32::INFINITY;
        }
        let signed = weight.signed();
        let shape = LinearShape { rows, inputs, outputs };
        for features in forms() {
            let mut out = vec![0.0; rows * outputs];
            let weight = weight.encoded(&signed);
            quantized_linear(Pool::global(), features, shape, &x, weight, F32(&mut out)).unwrap();
            for (i, value) in out.iter().enumerate() {
                let (row, output) = (i / outputs, i % outputs);
                let at = format!("{bits} bits, {features} [{row}, {output}] = {value}");
                assert_eq!(value.is_finite(), row != 1 && row != 2 && output != 7, "{at}");
                // Infinite weights of an output may add up to anything else.
                if output != 7 {
                    assert_eq!((value.is_nan(), value.is_infinite()), (row == 1, row == 2), "{at}");
                }
            }
        }
    }
}
