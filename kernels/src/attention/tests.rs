#![allow(clippy::unwrap_used)]

use half::bf16;

use super::{AttentionNumbers, AttentionOperands, AttentionShape, decode_attention};
use crate::test_data::{forms, numbers};
use crate::{Features, Pool};

const PLAIN: AttentionNumbers = AttentionNumbers { scale: 0.125, softcap: None, window: None };

/// A cache whose slots hold positions as a ring of that many slots does after `length` tokens.
fn ring(slots: usize, length: usize) -> Vec<i32> {
    let position = |slot: usize| {
        let last = length.checked_sub(1)?;
        let back = (last + slots - slot) % slots;
        last.checked_sub(back)
    };
    (0..slots).map(|slot| position(slot).map_or(-1, |position| position as i32)).collect()
}

/// Attention of one query head as its definition says, in f64.
fn exact(
    numbers: AttentionNumbers,
    query: &[bf16],
    position: i32,
    keys: &[bf16],
    values: &[bf16],
    slots: &[i32],
) -> Vec<f64> {
    let dim = query.len();
    let sees = |p: i32| p >= 0 && p <= position && numbers.window.is_none_or(|window| position - p < window);
    let score = |key: &[bf16]| {
        let dot: f64 = query.iter().zip(key).map(|(q, k)| q.to_f64() * k.to_f64()).sum();
        let score = dot * f64::from(numbers.scale);
        numbers.softcap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
    };
    let weight = |(key, &p): (&[bf16], &i32)| if sees(p) { score(key).exp() } else { 0.0 };
    let weights: Vec<f64> = keys.chunks(dim).zip(slots).map(weight).collect();
    let total: f64 = weights.iter().sum();
    let element = |i: usize| {
        let sum: f64 = weights.iter().zip(values.chunks(dim)).map(|(w, v)| w * v[i].to_f64()).sum();
        if total > 0.0 { sum / total } else { 0.0 }
    };
    (0..dim).map(element).collect()
}

fn check(shape: AttentionShape, layer: AttentionNumbers, lengths: &[usize]) {
    let AttentionShape { batch, kv_heads, group, slots, head_dim } = shape;
    let query = numbers(batch * kv_heads * group * head_dim, 1);
    let keys = numbers(batch * kv_heads * slots * head_dim, 2);
    let values = numbers(batch * kv_heads * slots * head_dim, 3);
    let positions: Vec<i32> = lengths.iter().map(|&length| length as i32 - 1).collect();
    let slot_positions: Vec<i32> = lengths.iter().flat_map(|&length| ring(slots, length)).collect();
    let operands = AttentionOperands {
        query: &query,
        positions: &positions,
        keys: &keys,
        values: &values,
        slot_positions: &slot_positions,
    };
    for features in forms() {
        let mut out = vec![bf16::NAN; query.len()];
        decode_attention(&Pool::new(2), features, shape, layer, operands, &mut out).unwrap();
        for (index, (query, out)) in query.chunks(head_dim).zip(out.chunks(head_dim)).enumerate() {
            let head = index / group;
            let sequence = head / kv_heads;
            let cache = head * slots * head_dim..(head + 1) * slots * head_dim;
            let exact = exact(
                layer,
                query,
                positions[sequence],
                &keys[cache.clone()],
                &values[cache],
                &slot_positions[sequence * slots..(sequence + 1) * slots],
            );
            for (found, exact) in out.iter().zip(exact) {
                // Half a unit in the last place of bf16, and f32's rounding of sums.
                let bound = exact.abs() / 256.0 + 1e-5;
                assert!(
                    (found.to_f64() - exact).abs() <= bound,
                    "{shape:?} {layer:?} {features} head {index}: {found} for {exact}"
                );
            }
        }
    }
}

#[test]
fn equals_its_definition_in_f64() {
    let layers = [
        PLAIN,
        AttentionNumbers { softcap: Some(3.0), ..PLAIN },
        AttentionNumbers { window: Some(40), scale: 0.3, ..PLAIN },
        AttentionNumbers { window: Some(64), softcap: Some(50.0), scale: 1.0 },
    ];
    for layer in layers {
        for (slots, head_dim, lengths) in [
            (1, 1, [1, 1]),
            (7, 5, [3, 7]),
            (64, 64, [64, 1]),
            (65, 80, [64, 200]),
            (600, 256, [599, 4000]),
            (1100, 16, [513, 1100]),
        ] {
            check(AttentionShape { batch: 2, kv_heads: 2, group: 3, slots, head_dim }, layer, &lengths);
        }
    }
}

#[test]
fn a_query_that_sees_nothing_gets_zeros() {
    check(AttentionShape { batch: 2, kv_heads: 1, group: 2, slots: 70, head_dim: 32 }, PLAIN, &[0, 5]);
}

#[test]
fn scores_beyond_the_range_of_exponentials_are_weighed_right() {
    let shape = AttentionShape { batch: 1, kv_heads: 1, group: 1, slots: 3, head_dim: 1 };
    let value = |v: f32| bf16::from_f32(v);
    let operands = AttentionOperands {
        query: &[value(100.0)],
        positions: &[2],
        keys: &[value(-100.0), value(100.0), value(100.0)],
        values: &[value(7.0), value(1.0), value(3.0)],
        slot_positions: &[0, 1, 2],
    };
    let mut out = [bf16::NAN];
    let layer = AttentionNumbers { scale: 1.0, softcap: None, window: None };
    decode_attention(&Pool::new(1), Features::detect(), shape, layer, operands, &mut out).unwrap();
    assert_eq!(out[0].to_f32(), 2.0);
}

#[test]
fn what_is_not_seen_is_not_read_and_nan_that_is_shows() {
    let shape = AttentionShape { batch: 1, kv_heads: 1, group: 1, slots: 130, head_dim: 16 };
    let mut keys = numbers(130 * 16, 2);
    let mut values = numbers(130 * 16, 3);
    // Slots behind the query hold rubbish, in the same stretch as seen ones and in one of their own.
    keys[30 * 16..].fill(bf16::NAN);
    values[30 * 16..].fill(bf16::ZERO);
    let query = numbers(16, 1);
    let slot_positions = ring(130, 130);
    for features in forms() {
        let mut out = vec![bf16::NAN; 16];
        for (position, nan) in [(29, false), (30, true)] {
            let operands = AttentionOperands {
                query: &query,
                positions: &[position],
                keys: &keys,
                values: &values,
                slot_positions: &slot_positions,
            };
            decode_attention(&Pool::new(2), features, shape, PLAIN, operands, &mut out).unwrap();
            assert!(out.iter().all(|out| out.is_nan() == nan), "{features} at {position}: {out:?}");
        }
    }
}

#[test]
fn slices_of_other_sizes_are_refused() {
    let shape = AttentionShape { batch: 1, kv_heads: 2, group: 1, slots: 4, head_dim: 8 };
    let operands = AttentionOperands {
        query: &numbers(16, 1),
        positions: &[3],
        keys: &numbers(64, 2),
        values: &numbers(63, 3),
        slot_positions: &[0, 1, 2, 3],
    };
    let mut out = [bf16::ZERO; 16];
    let found = decode_attention(Pool::global(), Features::detect(), shape, PLAIN, operands, &mut out);
    assert_eq!(found.unwrap_err().to_string(), "values of attention: 63 elements, not 64");
}
