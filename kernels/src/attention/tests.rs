#![allow(clippy::unwrap_used)]

use half::bf16;

use super::{AttentionNumbers, AttentionOperands, AttentionShape, KeyValues, attention};
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

/// An element of a result and what it may be off by.
struct Exact {
    value: f64,
    bound: f64,
}

/// Attention of one query head as its definition says, in f64.
fn exact(
    numbers: AttentionNumbers,
    query: &[bf16],
    position: i32,
    keys: &[f64],
    values: &[f64],
    slots: &[i32],
) -> Vec<Exact> {
    let dim = query.len();
    let sees = |p: i32| p >= 0 && p <= position && numbers.window.is_none_or(|window| position - p < window);
    let score = |key: &[f64]| {
        let dot: f64 = query.iter().zip(key).map(|(q, k)| q.to_f64() * k).sum();
        let score = dot * f64::from(numbers.scale);
        numbers.softcap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
    };
    let weight = |(key, &p): (&[f64], &i32)| if sees(p) { score(key).exp() } else { 0.0 };
    let weights: Vec<f64> = keys.chunks(dim).zip(slots).map(weight).collect();
    let total: f64 = weights.iter().sum();
    let element = |i: usize| {
        let terms = weights.iter().zip(values.chunks(dim)).map(|(w, v)| w * v[i]);
        let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
        match total > 0.0 {
            // Half a unit in the last place of bf16 of each weight and of the result, and f32's rounding of sums.
            true => Exact { value: sum / total, bound: (sum.abs() + size) / total / 256.0 + 1e-5 },
            false => Exact { value: 0.0, bound: 0.0 },
        }
    };
    (0..dim).map(element).collect()
}

/// A cache to attend to, and what it stands for.
struct Cache<'a> {
    held: KeyValues<'a>,
    keys: Vec<f64>,
    values: Vec<f64>,
}

/// Random codes of as many heads of this many elements, and their scales: some of them zero.
fn codes(heads: usize, head_dim: usize, seed: u64) -> (Vec<i8>, Vec<f32>) {
    let codes = numbers(heads * head_dim, seed).into_iter().map(|x| (x.to_f32() * 127.0) as i8).collect();
    let scales = numbers(heads, seed + 10).into_iter().map(|x| (x.to_f32() / 64.0).max(0.0)).collect();
    (codes, scales)
}

fn decoded((codes, scales): (&[i8], &[f32]), head_dim: usize) -> Vec<f64> {
    let scale = |i: usize| f64::from(scales[i / head_dim]);
    codes.iter().enumerate().map(|(i, &code)| f64::from(code) * scale(i)).collect()
}

/// Checks all forms for sequences of these lengths, of which the last tokens are the queries, over a cache in bf16 and one
/// of codes.
fn check(shape: AttentionShape, layer: AttentionNumbers, lengths: &[usize]) {
    let AttentionShape { batch, kv_heads, slots, head_dim, .. } = shape;
    let heads = batch * kv_heads * slots;
    let (keys, values) = (numbers(heads * head_dim, 2), numbers(heads * head_dim, 3));
    let wide = |numbers: &[bf16]| numbers.iter().map(|x| x.to_f64()).collect::<Vec<_>>();
    let cache = Cache {
        held: KeyValues::Bf16 { keys: &keys, values: &values },
        keys: wide(&keys),
        values: wide(&values),
    };
    check_cache(shape, layer, lengths, &cache);
    let ((keys, key_scales), (values, value_scales)) = (codes(heads, head_dim, 4), codes(heads, head_dim, 5));
    let cache = Cache {
        held: KeyValues::Int8 {
            keys: &keys,
            key_scales: &key_scales,
            values: &values,
            value_scales: &value_scales,
        },
        keys: decoded((&keys, &key_scales), head_dim),
        values: decoded((&values, &value_scales), head_dim),
    };
    check_cache(shape, layer, lengths, &cache);
}

fn check_cache(shape: AttentionShape, layer: AttentionNumbers, lengths: &[usize], cache: &Cache<'_>) {
    let AttentionShape { batch, queries, kv_heads, group, slots, head_dim } = shape;
    let query = numbers(batch * queries * kv_heads * group * head_dim, 1);
    let first = |length: usize| length as i32 - queries as i32;
    let positions: Vec<i32> =
        lengths.iter().flat_map(|&length| (0..queries as i32).map(move |i| first(length) + i)).collect();
    let slot_positions: Vec<i32> = lengths.iter().flat_map(|&length| ring(slots, length)).collect();
    let operands = AttentionOperands {
        query: &query,
        positions: &positions,
        cache: cache.held,
        slot_positions: &slot_positions,
    };
    let head = |index: usize| index / (queries * kv_heads * group) * kv_heads + index / group % kv_heads;
    let exact: Vec<Vec<Exact>> = query
        .chunks(head_dim)
        .enumerate()
        .map(|(index, query)| {
            let (token, head) = (index / (kv_heads * group), head(index));
            let range = head * slots * head_dim..(head + 1) * slots * head_dim;
            let sequence = token / queries;
            let slots = &slot_positions[sequence * slots..(sequence + 1) * slots];
            let (keys, values) = (&cache.keys[range.clone()], &cache.values[range]);
            exact(layer, query, positions[token], keys, values, slots)
        })
        .collect();
    for features in forms() {
        let mut out = vec![bf16::NAN; query.len()];
        attention(&Pool::new(2), features, shape, layer, operands, &mut out).unwrap();
        for (index, (out, exact)) in out.chunks(head_dim).zip(&exact).enumerate() {
            for (found, exact) in out.iter().zip(exact) {
                assert!(
                    (found.to_f64() - exact.value).abs() <= exact.bound,
                    "{shape:?} {layer:?} {features} head {index}: {found} for {} of {:?}",
                    exact.value,
                    std::mem::discriminant(&cache.held)
                );
            }
        }
    }
}

const LAYERS: [AttentionNumbers; 4] = [
    PLAIN,
    AttentionNumbers { softcap: Some(3.0), ..PLAIN },
    AttentionNumbers { window: Some(40), scale: 0.3, ..PLAIN },
    AttentionNumbers { window: Some(64), softcap: Some(50.0), scale: 1.0 },
];

#[test]
fn equals_its_definition_in_f64() {
    for layer in LAYERS {
        for (slots, head_dim, lengths) in [
            (1, 1, [1, 1]),
            (7, 5, [3, 7]),
            (64, 64, [64, 1]),
            (65, 80, [64, 200]),
            (600, 256, [599, 4000]),
            (1100, 16, [513, 1100]),
        ] {
            check(
                AttentionShape { batch: 2, queries: 1, kv_heads: 2, group: 3, slots, head_dim },
                layer,
                &lengths,
            );
        }
    }
}

#[test]
fn many_queries_equal_their_definition_in_f64() {
    for layer in LAYERS {
        for (queries, slots, head_dim, lengths) in [
            (2, 7, 32, [3, 7]),
            (5, 64, 24, [64, 5]),
            (33, 40, 64, [40, 33]),
            (90, 300, 32, [95, 290]),
            (130, 128, 96, [128, 140]),
        ] {
            check(
                AttentionShape { batch: 2, queries, kv_heads: 2, group: 3, slots, head_dim },
                layer,
                &lengths,
            );
        }
    }
    let shape = AttentionShape { batch: 1, queries: 130, kv_heads: 1, group: 1, slots: 400, head_dim: 256 };
    check(shape, LAYERS[3], &[380]);
}

#[test]
fn queries_of_no_position_get_zeros_among_others() {
    // Of five queries, those before the sequence's first token have negative positions.
    check(
        AttentionShape { batch: 1, queries: 5, kv_heads: 1, group: 2, slots: 70, head_dim: 32 },
        PLAIN,
        &[3],
    );
}

#[test]
fn a_query_that_sees_nothing_gets_zeros() {
    check(
        AttentionShape { batch: 2, queries: 1, kv_heads: 1, group: 2, slots: 70, head_dim: 32 },
        PLAIN,
        &[0, 5],
    );
}

#[test]
fn scores_beyond_the_range_of_exponentials_are_weighed_right() {
    let shape = AttentionShape { batch: 1, queries: 1, kv_heads: 1, group: 1, slots: 3, head_dim: 1 };
    let value = |v: f32| bf16::from_f32(v);
    let operands = AttentionOperands {
        query: &[value(100.0)],
        positions: &[2],
        cache: KeyValues::Bf16 {
            keys: &[value(-100.0), value(100.0), value(100.0)],
            values: &[value(7.0), value(1.0), value(3.0)],
        },
        slot_positions: &[0, 1, 2],
    };
    let mut out = [bf16::NAN];
    let layer = AttentionNumbers { scale: 1.0, softcap: None, window: None };
    attention(&Pool::new(1), Features::detect(), shape, layer, operands, &mut out).unwrap();
    assert_eq!(out[0].to_f32(), 2.0);
}

#[test]
fn nan_shows_in_the_queries_that_see_it() {
    let (queries, dim) = (200, 32);
    let shape = AttentionShape { batch: 1, queries, kv_heads: 1, group: 1, slots: 300, head_dim: dim };
    let mut keys = numbers(300 * dim, 2);
    let mut values = numbers(300 * dim, 3);
    keys[250 * dim] = bf16::NAN;
    // Slots that hold nothing.
    keys[280 * dim..].fill(bf16::NAN);
    values[280 * dim..].fill(bf16::NAN);
    let query = numbers(queries * dim, 1);
    let positions: Vec<i32> = (80..280).collect();
    let slot_positions = ring(300, 280);
    let operands = AttentionOperands {
        query: &query,
        positions: &positions,
        cache: KeyValues::Bf16 { keys: &keys, values: &values },
        slot_positions: &slot_positions,
    };
    for features in forms() {
        for layer in LAYERS {
            let mut out = vec![bf16::ZERO; queries * dim];
            attention(&Pool::new(2), features, shape, layer, operands, &mut out).unwrap();
            for (out, &position) in out.chunks(dim).zip(&positions) {
                let sees = position >= 250 && layer.window.is_none_or(|window| position - 250 < window);
                assert!(out.iter().all(|out| out.is_nan() == sees), "{features} {layer:?} at {position}");
            }
        }
    }
}

/// A scale that is no number stands for elements that were none, or infinite.
#[test]
fn nan_in_scales_shows_in_the_queries_that_see_it() {
    let (queries, slots, dim) = (200, 300, 32);
    let (keys, mut key_scales) = codes(slots, dim, 4);
    let (values, mut value_scales) = codes(slots, dim, 5);
    let query = numbers(queries * dim, 1);
    let positions: Vec<i32> = (80..280).collect();
    let slot_positions = ring(slots, 280);
    // Slots that hold nothing.
    key_scales[280..].fill(f32::NAN);
    value_scales[280..].fill(f32::INFINITY);
    for (of_keys, number) in [(true, f32::NAN), (false, f32::NAN), (false, f32::INFINITY)] {
        let (mut key_scales, mut value_scales) = (key_scales.clone(), value_scales.clone());
        if of_keys {
            key_scales[250] = number;
        } else {
            value_scales[250] = number;
        }
        let cache = KeyValues::Int8 {
            keys: &keys,
            key_scales: &key_scales,
            values: &values,
            value_scales: &value_scales,
        };
        for features in forms() {
            for layer in LAYERS {
                // One at a time takes another way than many.
                for (queries, first) in [(200, 0), (1, 169), (1, 170), (1, 199)] {
                    let shape =
                        AttentionShape { batch: 1, queries, kv_heads: 1, group: 1, slots, head_dim: dim };
                    let operands = AttentionOperands {
                        query: &query[first * dim..][..queries * dim],
                        positions: &positions[first..][..queries],
                        cache,
                        slot_positions: &slot_positions,
                    };
                    let mut out = vec![bf16::ZERO; queries * dim];
                    attention(&Pool::new(2), features, shape, layer, operands, &mut out).unwrap();
                    for (out, &position) in out.chunks(dim).zip(&positions[first..]) {
                        let near = layer.window.is_none_or(|window| position - 250 < window);
                        let sees = position >= 250 && near;
                        let is_finite = out.iter().all(|out| out.is_finite());
                        assert_eq!(is_finite, !sees, "{features} {layer:?} at {position}, {number}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_not_seen_is_not_read_and_nan_that_is_shows() {
    let shape = AttentionShape { batch: 1, queries: 1, kv_heads: 1, group: 1, slots: 130, head_dim: 16 };
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
                cache: KeyValues::Bf16 { keys: &keys, values: &values },
                slot_positions: &slot_positions,
            };
            attention(&Pool::new(2), features, shape, PLAIN, operands, &mut out).unwrap();
            assert!(out.iter().all(|out| out.is_nan() == nan), "{features} at {position}: {out:?}");
        }
    }
}

#[test]
fn slices_of_other_sizes_are_refused() {
    let shape = AttentionShape { batch: 1, queries: 1, kv_heads: 2, group: 1, slots: 4, head_dim: 8 };
    let refused = |cache| {
        let operands = AttentionOperands {
            query: &numbers(16, 1),
            positions: &[3],
            cache,
            slot_positions: &[0, 1, 2, 3],
        };
        let mut out = [bf16::ZERO; 16];
        let found = attention(Pool::global(), Features::detect(), shape, PLAIN, operands, &mut out);
        found.unwrap_err().to_string()
    };
    let floats = KeyValues::Bf16 { keys: &numbers(64, 2), values: &numbers(63, 3) };
    assert_eq!(refused(floats), "values of attention: 63 elements, not 64");
    let codes = [0; 64];
    let codes =
        KeyValues::Int8 { keys: &codes, key_scales: &[0.0; 8], values: &codes, value_scales: &[0.0; 16] };
    assert_eq!(refused(codes), "scales of the values of attention: 16 elements, not 8");
}
