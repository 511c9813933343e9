//! The linear layer with a weight in few bits.

use half::{bf16, f16};
use lapidary_kernels::{Codes, EncodedWeight, LinearResult, LinearShape, Pool, Scales, quantized_linear};

use crate::guarded::{Guarded, SIDES};
use crate::{ROWS, forms, values};

#[test]
fn quantized_linear_keeps_to_its_slices() {
    let pool = Pool::new(2);
    let sizes = [
        (1, 2, 1),
        (1, 30, 5),
        (1, 64, 16),
        (1, 126, 33),
        (1, 192, 41),
        (3, 64, 37),
        (2, 128, 6),
        (4, 32, 35),
        (5, 16, 33),
        (9, 32, 32),
        (4, 48, 7),
        (7, 6, 34),
        // Of more than a few rows, a cache holds pieces.
        (1, 2330, 3),
        (36, 64, 3),
    ];
    // Rows with what is no number go other ways than those without.
    let numbers =
        |count| values(count, 1).into_iter().map(|x| if x.is_finite() { x } else { bf16::ONE }).collect();
    for rows in ROWS {
        for ((groups, group, outputs), finite) in
            sizes.into_iter().flat_map(|size| [(size, true), (size, false)])
        {
            let inputs = groups * group;
            let shape = LinearShape { rows, inputs, outputs };
            let bytes: Vec<u8> = (0..outputs * inputs).map(|i| (i * 37 + i / 256) as u8).collect();
            let signed: Vec<i8> = bytes.iter().map(|&byte| byte as i8).collect();
            let scales = values(outputs * groups, 3);
            for side in SIDES {
                let x: Vec<bf16> = if finite { numbers(rows * inputs) } else { values(rows * inputs, 1) };
                let x = Guarded::new(&x, side);
                let int8 = Guarded::new(&signed, side);
                let int4 = Guarded::new(&bytes[..outputs * inputs / 2], side);
                let wide: Vec<f32> = scales.iter().map(|scale| scale.to_f32()).collect();
                let half: Vec<f16> = wide.iter().map(|&scale| f16::from_f32(scale)).collect();
                let (scales, half) = (Guarded::new(&scales, side), Guarded::new(&half, side));
                let wide = Guarded::new(&wide, side);
                let all = [
                    (Scales::Bf16(scales.slice()), None),
                    (Scales::F16(half.slice()), Some(wide.slice())),
                    (Scales::F32(wide.slice()), None),
                ];
                for features in forms() {
                    for codes in [Codes::Int8(int8.slice()), Codes::Int4(int4.slice())] {
                        for (scales, offsets) in all {
                            let weight = EncodedWeight { codes, scales, offsets, groups };
                            let mut out = Guarded::new(&vec![bf16::ZERO; rows * outputs], side);
                            let result = LinearResult::Bf16(out.slice_mut());
                            quantized_linear(&pool, features, shape, x.slice(), weight, result).unwrap();
                            let mut out = Guarded::new(&vec![0.0; rows * outputs], side);
                            let result = LinearResult::F32(out.slice_mut());
                            quantized_linear(&pool, features, shape, x.slice(), weight, result).unwrap();
                        }
                    }
                }
            }
        }
    }
}
