//! Attention, of one query and of several.

use half::bf16;
use lapidary_kernels::{AttentionNumbers, AttentionOperands, AttentionShape, Pool, attention};

use crate::guarded::{Guarded, SIDES};
use crate::{forms, values};

#[test]
fn attention_keeps_to_its_slices() {
    for queries in [1, 2, 17, 70] {
        for (slots, head_dim, group) in
            [(1, 1, 1), (7, 5, 3), (65, 16, 2), (63, 80, 1), (96, 32, 2), (513, 64, 2), (600, 33, 1)]
        {
            check(AttentionShape { batch: 2, queries, kv_heads: 2, group, slots, head_dim });
        }
    }
}

fn check(shape: AttentionShape) {
    let AttentionShape { batch, queries, kv_heads, group, slots, head_dim } = shape;
    let pool = Pool::new(2);
    let cache = batch * kv_heads * slots * head_dim;
    let heads = batch * queries * kv_heads * group * head_dim;
    let held: Vec<i32> = (0..batch * slots).map(|i| (i % slots) as i32 - 1).collect();
    let asked: Vec<i32> = (0..batch * queries).map(|i| (i * 7 % slots) as i32).collect();
    for side in SIDES {
        let query = Guarded::new(&values(heads, 1), side);
        let (keys, cached) = (Guarded::new(&values(cache, 2), side), Guarded::new(&values(cache, 3), side));
        let (positions, slot_positions) = (Guarded::new(&asked, side), Guarded::new(&held, side));
        let operands = AttentionOperands {
            query: query.slice(),
            positions: positions.slice(),
            keys: keys.slice(),
            values: cached.slice(),
            slot_positions: slot_positions.slice(),
        };
        for features in forms() {
            for softcap in [None, Some(50.0)] {
                let numbers = AttentionNumbers { scale: 0.25, softcap, window: Some(400) };
                let mut out = Guarded::new(&vec![bf16::ZERO; heads], side);
                attention(&pool, features, shape, numbers, operands, out.slice_mut()).unwrap();
            }
        }
    }
}
