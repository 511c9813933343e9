//! Keys and values in 8 bits: their codes, the ring that they are written into, and attention over them.

use lapidary_graph::interp::Tensor;
use lapidary_graph::nn::{Attention, AttentionMask, CacheHalf, KeyValueScales, KeyValues};
use lapidary_graph::{DType, nn};

use crate::attention::{Inputs, every_layer};
use crate::harness::{assert_close, assert_refused, floats, ints, noise, numbers, run, run_one};

const HEADS: usize = 2;
const WIDTH: usize = 5;

/// An empty cache of codes `[rows, heads, len, width]` and scales.
fn empty(rows: usize, len: usize) -> [Tensor; 2] {
    let zeros = vec![0; rows * HEADS * len * WIDTH];
    let codes = Tensor::from_ints(DType::S8, &[rows, HEADS, len, WIDTH], &zeros).unwrap();
    [codes, floats(DType::F32, &[rows, HEADS, len], &vec![0.0; rows * HEADS * len])]
}

/// The cache after a step: codes and scales.
fn after_step([codes, scales]: &[Tensor; 2], heads: &Tensor, start: &[i32], count: &[i32]) -> [Tensor; 2] {
    let (start, count) = (ints(&[start.len()], start), ints(&[count.len()], count));
    let (seq, len) = (heads.dims()[1], codes.dims()[2]);
    let written =
        run([codes, scales, heads, &start, &count], |b, [elements, scales, heads, start, count]| {
            let write = nn::cache_slots(b, start, count, seq, len)?;
            let cache = CacheHalf { elements, scales: Some(scales) };
            let update = cache.update(b, heads)?;
            let written = cache.write(b, update, write)?;
            Ok([written.elements].into_iter().chain(written.scales).collect())
        });
    written.try_into().unwrap()
}

/// What is to be stored of a head's elements: 127 levels to each side of zero.
fn encoded(head: &[f64]) -> (Vec<i128>, f64) {
    let greatest =
        head.iter().fold(0.0, |max: f64, x| if x.abs() > max || x.is_nan() { x.abs() } else { max });
    let scale = greatest as f32 * (1.0 / 127.0);
    let code = |&x: &f64| match scale >= f32::MIN_POSITIVE && scale.is_finite() {
        true => (x as f32 / scale).round_ties_even() as i128,
        false => 0,
    };
    (head.iter().map(code).collect(), f64::from(scale))
}

#[test]
fn codes_are_elements_over_the_greatest_one() {
    for dtype in [DType::F32, DType::BF16] {
        let mut values: Vec<f64> = numbers(1).take(6 * HEADS * WIDTH).collect();
        let sizes = [1.0, 0.0, 1e-37, 1e30, f64::INFINITY, f64::NAN];
        for (token, size) in values.chunks_mut(HEADS * WIDTH).zip(sizes) {
            token.iter_mut().for_each(|x| *x *= if size.is_finite() { size } else { 1.0 });
            // One head of the token; the other stays finite.
            token[1] *= if size.is_finite() { 1.0 } else { size };
        }
        let heads = floats(dtype, &[1, 6, HEADS, WIDTH], &values);
        let [codes, scales] = after_step(&empty(1, 6), &heads, &[0], &[6]);
        let (codes, scales, heads) = (codes.to_ints(), scales.to_floats(), heads.to_floats());
        for (token, head) in (0..6).flat_map(|token| (0..HEADS).map(move |head| (token, head))) {
            let (expected, scale) = encoded(&heads[(token * HEADS + head) * WIDTH..][..WIDTH]);
            let slot = head * 6 + token;
            assert_eq!(codes[slot * WIDTH..][..WIDTH], expected, "{dtype} token {token} head {head}");
            let stored = scales[slot];
            assert!(stored == scale || (stored.is_nan() && scale.is_nan()), "{stored}, expected {scale}");
            assert_eq!(scale.is_finite(), token < 4 || head == 1);
            // The greatest element has the greatest code.
            if (scale as f32).is_normal() {
                assert_eq!(expected.iter().map(|code| code.abs()).max(), Some(127));
            }
        }
    }
}

/// Positions `0..tokens` of one row after the other, in steps of these sizes; then what each slot holds.
#[test]
fn a_ring_of_codes_holds_what_its_positions_were_encoded_as() {
    let tokens = 23;
    let all = noise(DType::BF16, &[2, tokens, HEADS, WIDTH], 3.0, 2);
    let whole = after_step(&empty(2, tokens), &all, &[0, 0], &[tokens as i32; 2]);
    for len in [3, 5, 16] {
        // The second row is two tokens behind, idle in the first step.
        let (mut cache, mut starts) = (empty(2, len), [0_i32, 0]);
        for (seq, counts) in [(2, [2, 0]), (7, [7, 5]), (1, [1, 1]), (1, [0, 1]), (9, [9, 9])] {
            let of_row = |row: usize| {
                let all = all.to_floats();
                let first = (row * tokens + starts[row] as usize) * HEADS * WIDTH;
                all[first..]
                    .iter()
                    .copied()
                    .chain(std::iter::repeat(f64::NAN))
                    .take(seq * HEADS * WIDTH)
                    .collect()
            };
            let heads: Vec<Vec<f64>> = (0..2).map(of_row).collect();
            let heads = floats(DType::BF16, &[2, seq, HEADS, WIDTH], &heads.concat());
            cache = after_step(&cache, &heads, &starts, &counts);
            starts.iter_mut().zip(counts).for_each(|(start, count)| *start += count);
        }
        for (array, (found, expected)) in cache.iter().zip(&whole).enumerate() {
            let width = if array == 0 { WIDTH } else { 1 };
            let (found, expected) = (scalars(found), scalars(expected));
            for (row, end) in starts.iter().enumerate() {
                for position in (*end as usize).saturating_sub(len)..*end as usize {
                    for head in 0..HEADS {
                        let at = |len: usize, slot: usize| ((row * HEADS + head) * len + slot) * width;
                        let (found, expected) =
                            (&found[at(len, position % len)..], &expected[at(tokens, position)..]);
                        assert_eq!(
                            found[..width],
                            expected[..width],
                            "len {len} row {row} position {position}"
                        );
                    }
                }
            }
        }
    }
}

fn scalars(tensor: &Tensor) -> Vec<f64> {
    match tensor.dtype().is_integer() {
        true => tensor.to_ints().into_iter().map(|x| x as f64).collect(),
        false => tensor.to_floats(),
    }
}

/// A ring in order with a step's tokens behind it, as a step of many tokens sees it.
#[test]
fn scales_stay_with_their_codes_in_order_and_beside_new_ones() {
    let (len, seq) = (4, 3);
    let old = noise(DType::F32, &[1, 6, HEADS, WIDTH], 2.0, 3);
    let [codes, scales] = after_step(&empty(1, len), &old, &[0], &[6]);
    let new = noise(DType::F32, &[1, seq, HEADS, WIDTH], 2.0, 4);
    let end = ints(&[1], &[6]);
    let joined = run([&codes, &scales, &new, &end], |b, [elements, scales, new, end]| {
        let cache = CacheHalf { elements, scales: Some(scales) };
        let update = cache.update(b, new)?;
        let (cache, _) = cache.in_order(b, end)?;
        let joined = cache.followed_by(b, update)?;
        Ok([joined.elements].into_iter().chain(joined.scales).collect())
    });
    let (codes, scales) = (joined[0].to_ints(), joined[1].to_floats());
    // Positions 2 to 5, and then the new ones.
    let tokens: Vec<f64> =
        old.to_floats()[2 * HEADS * WIDTH..].iter().copied().chain(new.to_floats()).collect();
    for (token, head) in (0..len + seq).flat_map(|token| (0..HEADS).map(move |head| (token, head))) {
        let (expected, scale) = encoded(&tokens[(token * HEADS + head) * WIDTH..][..WIDTH]);
        let slot = head * (len + seq) + token;
        assert_eq!((&codes[slot * WIDTH..][..WIDTH], scales[slot]), (&expected[..], scale), "{token} {head}");
    }
}

#[test]
fn floats_are_written_as_they_are() {
    let cache = noise(DType::BF16, &[1, HEADS, 4, WIDTH], 1.0, 5);
    let heads = noise(DType::F32, &[1, 2, HEADS, WIDTH], 1.0, 6);
    let (start, count) = (ints(&[1], &[3]), ints(&[1], &[2]));
    let results = run([&cache, &heads, &start, &count], |b, [elements, heads, start, count]| {
        let write = nn::cache_slots(b, start, count, 2, 4)?;
        let half = CacheHalf { elements, scales: None };
        let update = half.update(b, heads)?;
        let written = half.write(b, update, write)?;
        assert!(written.scales.is_none());
        Ok(vec![written.elements, nn::cache_write(b, elements, heads, write)?])
    });
    assert_eq!(results[0], results[1]);
}

/// Random codes and scales, and the numbers that they stand for.
fn codes_like(dims: &[usize], seed: u64) -> (Tensor, Tensor, Tensor) {
    let codes: Vec<i64> = numbers(seed).map(|x| (x * 127.9) as i64).take(dims.iter().product()).collect();
    let width = dims[dims.len() - 1];
    let scales: Vec<f64> =
        numbers(seed + 100).map(|x| f64::from((x.abs() / 60.0) as f32)).take(codes.len() / width).collect();
    let decoded: Vec<f64> =
        codes.iter().enumerate().map(|(i, &code)| code as f64 * scales[i / width]).collect();
    (
        Tensor::from_ints(DType::S8, dims, &codes).unwrap(),
        floats(DType::F32, &dims[..dims.len() - 1], &scales),
        floats(DType::F32, dims, &decoded),
    )
}

/// Attention over codes, and what it is by the definition over the numbers that they stand for.
fn attended(layer: &Attention, inputs: Inputs, ordered: bool) -> (Tensor, Vec<f64>) {
    let (keys, key_scales, decoded_keys) = codes_like(inputs.keys.dims(), 11);
    let (values, value_scales, decoded_values) = codes_like(inputs.values.dims(), 12);
    let arguments =
        [&inputs.query, &inputs.positions, &keys, &values, &inputs.key_positions, &key_scales, &value_scales];
    let mixed =
        run_one(arguments, |b, [query, positions, keys, values, key_positions, of_keys, of_values]| {
            let scales = Some(KeyValueScales { keys: of_keys, values: of_values });
            nn::attention(
                b,
                layer,
                query,
                positions,
                KeyValues { keys, values, scales, positions: key_positions, ordered },
            )
        });
    assert_eq!(mixed.ty(), inputs.query.ty());
    let expected = Inputs { keys: decoded_keys, values: decoded_values, ..inputs }.expected(layer);
    (mixed, expected)
}

#[test]
fn attention_over_codes_is_that_over_what_they_stand_for() {
    every_layer(|layer, sizes| {
        let (mixed, expected) = attended(layer, Inputs::noise(DType::F32, sizes), false);
        assert_close(&mixed, &expected, 2e-6);
        // Weights times scales are rounded, and the result: each by 2^-9 of values of up to two.
        let (mixed, expected) = attended(layer, Inputs::noise(DType::BF16, sizes), false);
        assert_close(&mixed, &expected, 2f64.powi(-7));
    });
}

#[test]
fn blocks_of_queries_see_the_scales_of_what_they_reach() {
    let (queries, window) = (nn::QUERY_BLOCK + 3, 40);
    let layer = Attention { scale: 0.4, softcap: None, mask: AttentionMask::Window { window } };
    let keys = window + queries;
    let inputs = Inputs {
        positions: ints(&[1, queries], &(0..queries as i32).map(|i| i + 1000).collect::<Vec<_>>()),
        key_positions: ints(
            &[1, keys],
            &(0..keys as i32).map(|i| i + 1000 - window as i32).collect::<Vec<_>>(),
        ),
        ..Inputs::noise(DType::F32, [1, queries, 2, 1, keys, 2])
    };
    let (mixed, expected) = attended(&layer, inputs, true);
    assert_close(&mixed, &expected, 2e-6);
}

#[test]
fn scales_of_other_sizes_are_refused() {
    let [codes, _] = empty(1, 4);
    let scales = floats(DType::F32, &[1, HEADS, 5], &[0.0; 5 * HEADS]);
    let inputs = Inputs::noise(DType::F32, [1, 1, HEADS, HEADS, 4, WIDTH]);
    let arguments = [&inputs.query, &inputs.positions, &codes, &inputs.key_positions, &scales];
    assert_refused("broadcast_in_dim", arguments, |b, [query, positions, codes, key_positions, scales]| {
        let scales = Some(KeyValueScales { keys: scales, values: scales });
        let layer = Attention { scale: 1.0, softcap: None, mask: AttentionMask::Causal };
        let kv = KeyValues { keys: codes, values: codes, scales, positions: key_positions, ordered: false };
        nn::attention(b, &layer, query, positions, kv)
    });
}
