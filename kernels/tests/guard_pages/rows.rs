//! What rows go through between the products.

use half::bf16;
use lapidary_kernels::{Pool, RmsNormShape, RopeShape, RopeTables, geglu, residual_add, rms_norm, rope};

use crate::guarded::{Guarded, SIDES};
use crate::{ROWS, forms, values};

#[test]
fn rows_keep_to_their_slices() {
    let pool = Pool::new(2);
    for rows in ROWS {
        for width in [1, 7, 33, 64, 1000] {
            for side in SIDES {
                let (x, other) = (
                    Guarded::new(&values(rows * width, 1), side),
                    Guarded::new(&values(rows * width, 2), side),
                );
                let weight = Guarded::new(&values(width, 3), side);
                let angles: Vec<f32> = values(rows * width, 4).iter().map(|x| x.to_f32()).collect();
                let angles = Guarded::new(&angles, side);
                let tables = RopeTables { cos: angles.slice(), sin: angles.slice() };
                for features in forms() {
                    let mut out = Guarded::new(&vec![bf16::ZERO; rows * width], side);
                    let shape = RmsNormShape { rows, width };
                    rms_norm(&pool, features, shape, 1e-6, x.slice(), weight.slice(), out.slice_mut())
                        .unwrap();
                    geglu(&pool, features, x.slice(), other.slice(), out.slice_mut()).unwrap();
                    residual_add(&pool, features, x.slice(), other.slice(), out.slice_mut()).unwrap();
                    let shape = RopeShape { tokens: rows, heads: 1, head_dim: width };
                    rope(&pool, features, shape, x.slice(), tables, out.slice_mut()).unwrap();
                }
            }
        }
    }
}
