//! Attention, of one query and of several.

use half::bf16;
use lapidary_kernels::{AttentionNumbers, AttentionOperands, AttentionShape, KeyValues, Pool, attention};

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
        let bytes: Vec<i8> = (0..cache).map(|i| (i * 37 + i / 256) as i8).collect();
        let wide: Vec<f32> = values(cache / head_dim, 4).iter().map(|scale| scale.to_f32()).collect();
        let (key_codes, value_codes) = (Guarded::new(&bytes, side), Guarded::new(&bytes, side));
        let (key_scales, value_scales) = (Guarded::new(&wide, side), Guarded::new(&wide, side));
        let caches = [
            KeyValues::Bf16 { keys: keys.slice(), values: cached.slice() },
            KeyValues::Int8 {
                keys: key_codes.slice(),
                key_scales: key_scales.slice(),
                values: value_codes.slice(),
                value_scales: value_scales.slice(),
            },
        ];
        for (features, cache) in forms().into_iter().flat_map(|form| caches.map(|cache| (form, cache))) {
            let operands = AttentionOperands {
                query: query.slice(),
                positions: positions.slice(),
                cache,
                slot_positions: slot_positions.slice(),
            };
            for softcap in [None, Some(50.0)] {
                let numbers = AttentionNumbers { scale: 0.25, softcap, window: Some(400) };
                let mut out = Guarded::new(&vec![bf16::ZERO; heads], side);
                attention(&pool, features, shape, numbers, operands, out.slice_mut()).unwrap();
            }
        }
    }
}
