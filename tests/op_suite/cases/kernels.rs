//! Composites that have kernels.

use lapidary::graph::element::Scalar;
use lapidary::graph::interp::Tensor;
use lapidary::graph::nn::{self, Attention, AttentionMask, CacheHalf, KeyValueScales, KeyValues};
use lapidary::graph::{DType, TensorType};

use crate::case::Suite;
use crate::inputs::{Random, Values};
use crate::tolerance::Tolerance;

/// Linear layers and attention, in the sizes at which kernels take different ways.
pub(crate) fn kernels() -> Suite {
    let mut suite = Suite::default();
    let mut random = Random::new(21);
    for rows in [1, 3, 4, 5, 16, 33, 70] {
        for (inputs, outputs) in [(8, 3), (64, 32), (96, 70), (100, 130)] {
            for result in [DType::BF16, DType::F32] {
                let x = random.tensor(DType::BF16, &[rows, 1, inputs], Values::Moderate);
                let weight = random.tensor(DType::BF16, &[outputs, inputs], Values::Moderate);
                let subject = format!("linear [{rows}, {inputs}] x [{outputs}, {inputs}] to {result}");
                // Sums of f32 differ in their order: by far less than a bf16, and by some units of an f32.
                let tolerance = Tolerance::OfLargest(if result == DType::F32 { 32.0 } else { 1.0 });
                suite.add(subject, DType::BF16, vec![x, weight], tolerance, move |b, x| {
                    Ok(vec![nn::linear(b, x[0], x[1], result)?])
                });
            }
        }
    }
    for (softcap, mask) in [
        (None, AttentionMask::Causal),
        (Some(5.0), AttentionMask::Causal),
        (Some(50.0), AttentionMask::Window { window: 20 }),
    ] {
        for (queries, slots, head_dim) in
            [(1, 1, 8), (1, 33, 16), (1, 130, 64), (2, 33, 16), (40, 33, 32), (70, 130, 64), (600, 20, 32)]
        {
            let layer = Attention { scale: 0.25, softcap, mask };
            let heads =
                |random: &mut Random, dims: &[usize]| random.tensor(DType::BF16, dims, Values::SmallWhole);
            let query = heads(&mut random, &[2, queries, 4, head_dim]);
            let keys = heads(&mut random, &[2, 2, slots, head_dim]);
            let values = random.tensor(DType::BF16, &[2, 2, slots, head_dim], Values::Moderate);
            // One sequence has filled its slots more than once, the other only some.
            let (wrapped, few) = (slots as i128 + 7, slots as i128 / 2);
            let slot = |last: i128, slot: usize| last - (last - slot as i128).rem_euclid(slots as i128);
            let held: Vec<i128> =
                [wrapped, few].into_iter().flat_map(|last| (0..slots).map(move |s| slot(last, s))).collect();
            // In no order, and each of a position that a slot holds.
            let asked = |last: i128| (0..queries as i128).map(move |query| last - query % (few + 1));
            let positions: Vec<i128> = asked(wrapped).chain(asked(few)).collect();
            let (positions, held) = (integers(&[2, queries], &positions), integers(&[2, slots], &held));
            let subject =
                format!("attention of {queries} over {slots} slots of {head_dim}, {softcap:?}, {mask:?}");
            // One of many rounds weights to bf16 before they are divided by their sum, the other after it; that of one
            // query does not round them.
            let inputs = vec![query, positions, keys, values, held];
            suite.add(subject, DType::BF16, inputs, Tolerance::OfLargest(2.0), move |b, x| {
                let kv =
                    KeyValues { keys: x[2], values: x[3], scales: None, positions: x[4], ordered: false };
                Ok(vec![nn::attention(b, &layer, x[0], x[1], kv)?])
            });
        }
    }
    for (softcap, mask) in [(None, AttentionMask::Causal), (Some(50.0), AttentionMask::Window { window: 20 })]
    {
        for (queries, slots, head_dim) in
            [(1, 1, 8), (1, 33, 16), (1, 130, 64), (2, 33, 16), (40, 33, 32), (70, 130, 64), (600, 20, 32)]
        {
            let layer = Attention { scale: 0.25, softcap, mask };
            let query = random.tensor(DType::BF16, &[2, queries, 4, head_dim], Values::SmallWhole);
            let codes = |random: &mut Random| {
                let codes = random.tensor(DType::S8, &[2, 2, slots, head_dim], Values::Moderate);
                // Of about the size at which codes are those of elements of about one.
                let scales = random.tensor(DType::F32, &[2, 2, slots], Values::Moderate).to_floats();
                let scales: Vec<f32> = scales.iter().map(|scale| (scale.abs() / 500.0) as f32).collect();
                [codes, Tensor::from_f32(&[2, 2, slots], &scales).unwrap()]
            };
            let ([keys, key_scales], [values, value_scales]) = (codes(&mut random), codes(&mut random));
            let last = slots as i128 + 7;
            let held = |slot: usize| last - (last - slot as i128).rem_euclid(slots as i128);
            let held: Vec<i128> = (0..2 * slots).map(|i| held(i % slots)).collect();
            let positions: Vec<i128> =
                (0..2 * queries).map(|i| last - (i % queries % (slots / 2 + 1)) as i128).collect();
            let (positions, held) = (integers(&[2, queries], &positions), integers(&[2, slots], &held));
            let subject = format!(
                "attention of {queries} over {slots} slots of {head_dim} in 8 bits, {softcap:?}, {mask:?}"
            );
            let inputs = vec![query, positions, keys, values, held, key_scales, value_scales];
            suite.add(subject, DType::BF16, inputs, Tolerance::OfLargest(2.0), move |b, x| {
                let scales = Some(KeyValueScales { keys: x[5], values: x[6] });
                let kv = KeyValues { keys: x[2], values: x[3], scales, positions: x[4], ordered: false };
                Ok(vec![nn::attention(b, &layer, x[0], x[1], kv)?])
            });
        }
    }
    for (rows, width) in [(1, 1), (1, 300), (5, 33), (70, 2304)] {
        let x = random.tensor(DType::BF16, &[rows, 1, width], Values::Moderate);
        let weight = random.tensor(DType::BF16, &[width], Values::Moderate);
        let other = random.tensor(DType::BF16, &[rows, 1, width], Values::Moderate);
        let of_rows = format!("{rows} rows of {width}");
        suite.add(
            format!("norm of {of_rows}"),
            DType::BF16,
            vec![x.clone(), weight],
            Tolerance::OfLargest(1.0),
            |b, x| Ok(vec![nn::rms_norm(b, x[0], x[1], 1e-6)?]),
        );
        let both = vec![x, other];
        suite.add(
            format!("gate of {of_rows}"),
            DType::BF16,
            both.clone(),
            Tolerance::OfLargest(1.0),
            |b, x| Ok(vec![nn::geglu(b, x[0], x[1])?]),
        );
        suite.add(format!("sum of {of_rows}"), DType::BF16, both, Tolerance::Exact, |b, x| {
            Ok(vec![nn::residual_add(b, x[0], x[1])?])
        });
    }
    for (batch, tokens, heads, head_dim) in [(1, 1, 4, 8), (2, 3, 1, 6), (2, 70, 4, 64)] {
        let x = random.tensor(DType::BF16, &[batch, tokens, heads, head_dim], Values::Moderate);
        let positions: Vec<i128> = (0..(batch * tokens) as i128).map(|i| 3 * i).collect();
        let inputs = vec![x, integers(&[batch, tokens], &positions)];
        let subject = format!("rotation of {batch} x {tokens} x {heads} heads of {head_dim}");
        suite.add(subject, DType::BF16, inputs, Tolerance::OfLargest(1.0), move |b, x| {
            let tables = nn::rope_tables(b, x[1], head_dim, 10_000.0)?;
            Ok(vec![nn::rope(b, x[0], tables)?])
        });
    }
    for (batch, tokens, len) in [(1, 1, 4), (1, 7, 16), (3, 1, 5), (2, 6, 5)] {
        let cache = random.tensor(DType::BF16, &[batch, 2, len, 8], Values::Moderate);
        let update = random.tensor(DType::BF16, &[batch, tokens, 2, 8], Values::Moderate);
        // Rows that start anywhere in their rings; the last token of each is padding unless it is the only one.
        let starts: Vec<i128> = (0..batch as i128).map(|row| 3 * row + 2).collect();
        let counts = vec![tokens.max(2) as i128 - 1; batch];
        let inputs = vec![cache, update, integers(&[batch], &starts), integers(&[batch], &counts)];
        let subject = format!("{batch} x {tokens} tokens into {len} slots");
        suite.add(subject, DType::BF16, inputs, Tolerance::Exact, move |b, x| {
            let write = nn::cache_slots(b, x[2], x[3], tokens, len)?;
            let written = nn::cache_write(b, x[0], x[1], write)?;
            // The cache as it was is wanted after it was changed in place.
            Ok(vec![written, b.add(x[0], x[0])?])
        });
        let codes = random.tensor(DType::S8, &[batch, 2, len, 8], Values::Moderate);
        let scales = random.tensor(DType::F32, &[batch, 2, len], Values::Moderate);
        let heads = random.tensor(DType::BF16, &[batch, tokens, 2, 8], Values::Moderate);
        let inputs = vec![codes, scales, heads, integers(&[batch], &starts), integers(&[batch], &counts)];
        let subject = format!("{batch} x {tokens} tokens into {len} slots of 8 bits");
        suite.add(subject, DType::BF16, inputs, Tolerance::Exact, move |b, x| {
            let write = nn::cache_slots(b, x[3], x[4], tokens, len)?;
            let cache = CacheHalf { elements: x[0], scales: Some(x[1]) };
            let update = cache.update(b, x[2])?;
            let written = cache.write(b, update, write)?;
            Ok([written.elements].into_iter().chain(written.scales).collect())
        });
    }
    suite
}

fn integers(dims: &[usize], values: &[i128]) -> Tensor {
    let values: Vec<Scalar> = values.iter().map(|&value| Scalar::Int(value)).collect();
    Tensor::from_scalars(TensorType::new(DType::S32, dims), values).unwrap()
}
