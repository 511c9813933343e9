//! Attention.

use lapidary_graph::interp::Tensor;
use lapidary_graph::nn::{Attention, AttentionMask, KeyValues};
use lapidary_graph::{Attr, DType, Op, nn};

use crate::harness::{assert_close, assert_refused, built, floats, ints, noise, rounded, run_one};

const CAUSAL: Attention = Attention { scale: 0.4, softcap: None, mask: AttentionMask::Causal };

/// One attention layer's inputs.
pub(crate) struct Inputs {
    /// `[batch, seq, heads, width]`.
    pub(crate) query: Tensor,
    /// `[batch, seq]`.
    pub(crate) positions: Tensor,
    /// `[batch, kv_heads, keys, width]`.
    pub(crate) keys: Tensor,
    /// `[batch, kv_heads, keys, width]`.
    pub(crate) values: Tensor,
    /// `[batch, keys]`.
    pub(crate) key_positions: Tensor,
}

impl Inputs {
    /// Noise, with key positions in an order of its own and every fifth slot empty.
    pub(crate) fn noise(dtype: DType, [batch, seq, heads, kv_heads, keys, width]: [usize; 6]) -> Self {
        let positions = (0..batch * seq).map(|i| (keys / 2 + i / seq + i % seq) as i32).collect::<Vec<_>>();
        let shuffled =
            |i: usize| if i % 5 == 3 { -1 - (i as i32) } else { ((i * 7 + i / keys) % keys) as i32 };
        let key_positions = (0..batch * keys).map(shuffled).collect::<Vec<_>>();
        Self {
            query: noise(dtype, &[batch, seq, heads, width], 3.0, 1),
            positions: ints(&[batch, seq], &positions),
            keys: noise(dtype, &[batch, kv_heads, keys, width], 2.0, 2),
            values: noise(dtype, &[batch, kv_heads, keys, width], 2.0, 3),
            key_positions: ints(&[batch, keys], &key_positions),
        }
    }

    fn arguments(&self) -> [&Tensor; 5] {
        [&self.query, &self.positions, &self.keys, &self.values, &self.key_positions]
    }

    fn attend(&self, layer: &Attention) -> Tensor {
        run_one(self.arguments(), |b, [query, positions, keys, values, key_positions]| {
            nn::attention(
                b,
                layer,
                query,
                positions,
                KeyValues { keys, values, scales: None, positions: key_positions, ordered: false },
            )
        })
    }

    /// The same by the definition. A query that sees no key gets the mean of the values.
    pub(crate) fn expected(&self, layer: &Attention) -> Vec<f64> {
        let [batch, seq, heads, width] = *self.query.dims() else { panic!() };
        let [_, kv_heads, keys, _] = *self.keys.dims() else { panic!() };
        let (query, key, value) = (self.query.to_floats(), self.keys.to_floats(), self.values.to_floats());
        let (at, key_at) = (self.positions.to_ints(), self.key_positions.to_ints());
        let mut result = Vec::new();
        for (b, s, h) in (0..batch * seq * heads).map(|i| (i / heads / seq, i / heads % seq, i % heads)) {
            let q = &query[((b * seq + s) * heads + h) * width..][..width];
            let head = h * kv_heads / heads;
            let row =
                |of: &[f64], k: usize| of[((b * kv_heads + head) * keys + k) * width..][..width].to_vec();
            let visible = |k: usize| {
                let (q, k) = (at[b * seq + s], key_at[b * keys + k]);
                let near = match layer.mask {
                    AttentionMask::Causal => true,
                    AttentionMask::Window { window } => k > q - window as i128,
                };
                k >= 0 && k <= q && near
            };
            let score = |k: usize| {
                let dot: f64 = q.iter().zip(row(&key, k)).map(|(q, k)| q * k).sum();
                let scaled = dot * layer.scale;
                layer.softcap.map_or(scaled, |cap| cap * (scaled / cap).tanh())
            };
            let mut weights: Vec<f64> =
                (0..keys).map(|k| if visible(k) { score(k).exp() } else { 0.0 }).collect();
            if weights.iter().all(|&w| w == 0.0) {
                weights.fill(1.0);
            }
            let sum: f64 = weights.iter().sum();
            let mut mixed = vec![0.0; width];
            for (k, weight) in weights.iter().enumerate() {
                let weight = rounded(self.values.dtype(), weight / sum);
                mixed.iter_mut().zip(row(&value, k)).for_each(|(m, v)| *m += weight * v);
            }
            result.extend(mixed);
        }
        result
    }
}

/// Grouped, multi-query and multi-head; masks; caps; odd sizes; several rows.
pub(crate) fn every_layer(mut check: impl FnMut(&Attention, [usize; 6])) {
    let masks = [1, 3, 8, 100].map(|window| AttentionMask::Window { window });
    for mask in [AttentionMask::Causal].into_iter().chain(masks) {
        for softcap in [None, Some(0.5), Some(50.0)] {
            for (scale, sizes) in [
                (12f64.powf(-0.5), [2, 5, 6, 3, 11, 7]),
                (144f64.powf(-0.5), [3, 1, 5, 1, 9, 4]),
                (1.0, [1, 3, 4, 4, 6, 3]),
            ] {
                check(&Attention { scale, softcap, mask }, sizes);
            }
        }
    }
}

#[test]
fn attention_is_what_its_definition_says() {
    every_layer(|layer, sizes| {
        let inputs = Inputs::noise(DType::F32, sizes);
        let mixed = inputs.attend(layer);
        assert_eq!(mixed.ty(), inputs.query.ty());
        assert_close(&mixed, &inputs.expected(layer), 2e-6);
    });
}

#[test]
fn bf16_rounds_weights_and_result_and_nothing_else() {
    every_layer(|layer, sizes| {
        let inputs = Inputs::noise(DType::BF16, sizes);
        let mixed = inputs.attend(layer);
        assert_eq!(mixed.ty(), inputs.query.ty());
        // The result's rounding (2^-9), and a weight in a thousand that f32 rounds the other way.
        assert_close(&mixed, &inputs.expected(layer), 2f64.powi(-8));
    });
}

#[test]
fn f32_queries_use_bf16_caches() {
    let narrow = Inputs::noise(DType::BF16, [2, 3, 4, 2, 7, 5]);
    let query = floats(DType::F32, narrow.query.dims(), &narrow.query.to_floats());
    let mixed = Inputs { query, ..Inputs::noise(DType::BF16, [2, 3, 4, 2, 7, 5]) };
    let result = mixed.attend(&CAUSAL);
    assert_eq!(result.dtype(), DType::F32);
    assert_close(&result, &mixed.expected(&CAUSAL), 1e-3);
}

/// Which keys (by position) each query sees: identical keys, and values that name the key.
fn seen(mask: AttentionMask, queries: &[i32], keys: &[i32]) -> Vec<Vec<i32>> {
    let (seq, count) = (queries.len(), keys.len());
    let mut identity = vec![0.0; count * count];
    (0..count).for_each(|k| identity[k * count + k] = 1.0);
    let inputs = Inputs {
        query: noise(DType::F32, &[1, seq, 1, count], 1.0, 4),
        positions: ints(&[1, seq], queries),
        keys: floats(DType::F32, &[1, 1, count, count], &vec![1.0; count * count]),
        values: floats(DType::F32, &[1, 1, count, count], &identity),
        key_positions: ints(&[1, count], keys),
    };
    let weights = inputs.attend(&Attention { scale: 1.0, softcap: Some(2.0), mask }).to_floats();
    let visible = |row: &[f64]| (0..count).filter(|&k| row[k] != 0.0).map(|k| keys[k]).collect();
    weights.chunks(count).map(visible).collect()
}

#[test]
fn a_query_sees_itself_and_the_past() {
    let keys: Vec<i32> = (0..9).collect();
    for (query, seen) in keys.iter().zip(seen(AttentionMask::Causal, &keys, &keys)) {
        assert_eq!(seen, (0..=*query).collect::<Vec<_>>());
    }
}

#[test]
fn a_window_counts_the_query_itself() {
    let keys: Vec<i32> = (0..12).collect();
    for window in [1, 2, 5, 11, 12, 13] {
        let seen = seen(AttentionMask::Window { window }, &keys, &keys);
        for (&query, seen) in keys.iter().zip(seen) {
            let first = (query + 1 - window as i32).max(0);
            assert_eq!(seen, (first..=query).collect::<Vec<_>>(), "window {window}, query {query}");
        }
    }
}

#[test]
fn the_window_of_gemma_2_is_4096_keys() {
    let keys = [8191, 4095, 4096, 4094, 8190];
    let seen = seen(AttentionMask::Window { window: 4096 }, &[8191, 8190], &keys);
    assert_eq!(seen, [vec![8191, 4096, 8190], vec![4095, 4096, 8190]]);
}

#[test]
fn empty_slots_are_not_seen() {
    let keys = [-1, 3, -4096, 1, -7];
    for mask in [AttentionMask::Causal, AttentionMask::Window { window: 100 }] {
        assert_eq!(seen(mask, &[3, 2, 1], &keys), [vec![3, 1], vec![1], vec![1]]);
    }
}

#[test]
fn what_is_masked_does_not_matter_even_if_it_is_huge() {
    let layer = Attention { softcap: Some(50.0), ..CAUSAL };
    let inputs = Inputs::noise(DType::F32, [1, 2, 2, 1, 6, 3]);
    let mut keys = inputs.keys.to_floats();
    for (k, at) in inputs.key_positions.to_ints().into_iter().enumerate() {
        if at < 0 {
            keys[k * 3..][..3].fill(f64::INFINITY);
        }
    }
    let expected = inputs.attend(&layer);
    let disturbed = Inputs { keys: floats(DType::F32, inputs.keys.dims(), &keys), ..inputs };
    assert_eq!(disturbed.attend(&layer), expected);
}

#[test]
fn a_row_that_sees_nothing_gives_finite_numbers() {
    for dtype in [DType::F32, DType::BF16] {
        for layer in [CAUSAL, Attention { softcap: Some(50.0), ..CAUSAL }] {
            let inputs = Inputs {
                positions: ints(&[2, 2], &[-1, 0, 1, 2]),
                key_positions: ints(&[2, 3], &[-1, -2, -3, 7, 8, 9]),
                ..Inputs::noise(dtype, [2, 2, 4, 2, 3, 5])
            };
            let mixed = inputs.attend(&layer);
            assert!(mixed.to_floats().iter().all(|x| x.is_finite()));
            assert_close(&mixed, &inputs.expected(&layer), 0.01);
        }
    }
}

#[test]
fn large_scores_stay_finite_without_a_cap() {
    let inputs = Inputs {
        query: noise(DType::F32, &[1, 3, 2, 4], 1e15, 5),
        keys: noise(DType::F32, &[1, 1, 6, 4], 1e15, 6),
        ..Inputs::noise(DType::F32, [1, 3, 2, 1, 6, 4])
    };
    assert!(inputs.attend(&CAUSAL).to_floats().iter().all(|x| x.is_finite()));
}

/// More queries than a block, the last block not whole; keys in any order, and in order with the queries' own last.
#[test]
fn blocks_of_queries_give_what_all_at_once_would() {
    let queries = nn::QUERY_BLOCK + 3;
    let window = 40;
    let near = Attention { mask: AttentionMask::Window { window }, ..CAUSAL };
    let disordered = Inputs::noise(DType::F32, [1, queries, 2, 1, 50, 2]);
    for layer in [CAUSAL, near] {
        assert_close(&disordered.attend(&layer), &disordered.expected(&layer), 2e-6);
    }

    // Before the first row's own keys there are two positions and 38 empty slots, before the second's a full ring.
    let keys = window + queries;
    let starts = [2, 1000];
    let own = |row: usize, i: usize| if row == 1 && i >= 500 { -1 } else { starts[row] + i as i32 };
    let before = |row: usize, i: usize| starts[row] - window as i32 + i as i32;
    let key = |row: usize, i: usize| if i < window { before(row, i) } else { own(row, i - window) };
    let positions = |count: usize, of: &dyn Fn(usize, usize) -> i32| {
        ints(&[2, count], &(0..2 * count).map(|i| of(i / count, i % count)).collect::<Vec<_>>())
    };
    let ordered = Inputs {
        positions: positions(queries, &|row, i| starts[row] + i as i32),
        key_positions: positions(keys, &key),
        ..Inputs::noise(DType::F32, [2, queries, 2, 1, keys, 2])
    };
    let mixed = run_one(ordered.arguments(), |b, [query, positions, keys, values, key_positions]| {
        let kv = KeyValues { keys, values, scales: None, positions: key_positions, ordered: true };
        nn::attention(b, &near, query, positions, kv)
    });
    // Of the padding after the second row's 500 tokens, some see nothing.
    let real = (queries + 500) * 2 * 2;
    let expected = ordered.expected(&near);
    assert_eq!(mixed.ty(), ordered.query.ty());
    let mixed = mixed.to_floats();
    assert!(mixed.iter().all(|x| x.is_finite()));
    let worst = mixed.iter().zip(&expected).take(real).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst <= 2e-6, "{worst}");
}

#[test]
fn a_block_is_multiplied_by_what_its_window_can_reach() {
    let (near, block) = (AttentionMask::Window { window: 40 }, nn::QUERY_BLOCK);
    assert_eq!(nn::keys_attended(near, block, 900, true), 900);
    assert_eq!(nn::keys_attended(near, block + 1, 900, false), 900);
    assert_eq!(nn::keys_attended(near, block + 1, 900, true), 40 + block);
    assert_eq!(nn::keys_attended(near, block + 1, 45, true), 45);
    assert_eq!(nn::keys_attended(AttentionMask::Causal, block + 1, 900, true), 900);
}

#[test]
fn attention_is_a_composite_that_says_what_it_does() {
    let inputs = Inputs::noise(DType::F32, [1, 1, 2, 1, 3, 4]);
    let layer = Attention { scale: 0.25, softcap: Some(50.0), mask: AttentionMask::Window { window: 4096 } };
    let module = built(inputs.arguments(), |b, [query, positions, keys, values, key_positions]| {
        let kv = KeyValues { keys, values, scales: None, positions: key_positions, ordered: false };
        Ok(vec![nn::attention(b, &layer, query, positions, kv)?])
    })
    .unwrap();
    let main = module.function(module.entry().unwrap()).unwrap();
    let [operation] = main.ops.as_slice() else { panic!("{module}") };
    let Op::Composite { name, attributes, .. } = &operation.op else { panic!("{module}") };
    assert_eq!(name, "lapidary.attention");
    let expected =
        [("scale", Attr::Float(0.25)), ("softcap", Attr::Float(50.0)), ("window", Attr::Int(4096))];
    assert_eq!(*attributes, expected.map(|(name, value)| (name.to_string(), value)));
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let good = || Inputs::noise(DType::F32, [2, 3, 4, 2, 5, 6]);
    let refused = |op: &str, inputs: Inputs| {
        assert_refused(op, inputs.arguments(), |b, [query, positions, keys, values, key_positions]| {
            nn::attention(
                b,
                &CAUSAL,
                query,
                positions,
                KeyValues { keys, values, scales: None, positions: key_positions, ordered: false },
            )
        });
    };
    // Query heads that do not divide among key heads; other head sizes, rows, numbers of keys.
    refused("reshape", Inputs { query: noise(DType::F32, &[2, 3, 5, 6], 1.0, 7), ..good() });
    refused("dot_general", Inputs { query: noise(DType::F32, &[2, 3, 4, 7], 1.0, 7), ..good() });
    refused("dot_general", Inputs { query: noise(DType::F32, &[1, 3, 4, 6], 1.0, 7), ..good() });
    refused("dot_general", Inputs { values: noise(DType::F32, &[2, 2, 4, 6], 1.0, 7), ..good() });
    refused("broadcast_in_dim", Inputs { key_positions: ints(&[2, 4], &[0; 8]), ..good() });
    refused("broadcast_in_dim", Inputs { positions: ints(&[2, 4], &[0; 8]), ..good() });
    refused("reshape", Inputs { values: noise(DType::F32, &[2, 2, 5, 3], 1.0, 7), ..good() });
}
