//! The linear layer.

use half::bf16;
use lapidary_kernels::{LinearResult, LinearShape, Pool, linear};

use crate::guarded::{Guarded, SIDES};
use crate::{ROWS, forms, values};

#[test]
fn linear_keeps_to_its_slices() {
    let pool = Pool::new(2);
    for rows in ROWS {
        for (inputs, outputs) in [(1, 1), (31, 5), (33, 3), (64, 33), (95, 32), (96, 67), (288, 97)] {
            for side in SIDES {
                let shape = LinearShape { rows, inputs, outputs };
                let x = Guarded::new(&values(rows * inputs, 1), side);
                let weight = Guarded::new(&values(outputs * inputs, 2), side);
                for features in forms() {
                    let mut out = Guarded::new(&vec![bf16::ZERO; rows * outputs], side);
                    let result = LinearResult::Bf16(out.slice_mut());
                    linear(&pool, features, shape, x.slice(), weight.slice(), result).unwrap();
                    let mut out = Guarded::new(&vec![0.0; rows * outputs], side);
                    let result = LinearResult::F32(out.slice_mut());
                    linear(&pool, features, shape, x.slice(), weight.slice(), result).unwrap();
                }
            }
        }
    }
}
