//! A KV cache in 8 bits: near the one in floats, with CPU kernels and without, and through all that a cache goes through.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::ops::ControlFlow;

use lapidary::engine::{Batch, Engine, GenerateOptions, Kernels, Numerics, Piece, Placement, PrefixCache};
use lapidary::graph::DType;
use lapidary::lower::ShardingRules;
use lapidary::model::Model;
use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::config::GemmaConfig;
use lapidary::models::program::KvCache;
use lapidary::runtime::Client;
use support::{likelihoods, max_difference, random};

/// What logits may differ by where sums are taken in another order: then one code in some ten thousand falls to the other
/// side, which is a step of 1/127 of its head's greatest element.
const TOLERANCE: f32 = 5e-3;

fn engine(placement: &Placement, checkpoint: &Checkpoint, dtype: DType, kv_cache: KvCache) -> Engine {
    let numerics = Numerics { dtype: Some(dtype), kv_cache };
    support::engine(placement, checkpoint, numerics)
}

fn single(client: &Client) -> Placement {
    Placement::single(client, &client.addressable_devices()[0])
}

/// A model of a layer with a window of 40 and a global one, with random weights.
fn model() -> (tempfile::TempDir, Checkpoint) {
    let mut config = GemmaConfig::tiny();
    config.sliding_window = Some(40);
    config.context = 512;
    random(&config.with_layers(2).unwrap())
}

fn tokens(range: std::ops::Range<u32>) -> Vec<u32> {
    range.map(|token| 3 + token * 7 % 400).collect()
}

/// Of a trained model, likelihoods in bf16 with a cache in 8 bits are as far from those in f32 as the errors of bf16 and
/// those of codes together, by kernels as by decomposition. Independent errors add in their squares; some hundred tokens, a
/// few of which have most of the error, tell that to within a half.
#[test]
fn likelihoods_are_near_those_of_a_cache_in_floats() {
    let Some(client) = support::cpu() else { return };
    let model = Model::builtin().unwrap();
    let text =
        "Once upon a time, there was a little girl named Mia. She had a cat named Fluff and a red ball. ";
    let tokens = model.tokenizer().unwrap().encode(&text.repeat(8)).unwrap();
    let of = |dtype, kv_cache, kernels| {
        let placement = single(&client).with_kernels(kernels);
        likelihoods(&engine(&placement, model.checkpoint(), dtype, kv_cache), &tokens)
    };
    let exact = of(DType::F32, KvCache::Dense, Kernels::OFF);
    let error = |dtype, kv_cache, kernels| {
        let found = of(dtype, kv_cache, kernels);
        assert_eq!(found.len(), exact.len());
        let squares: f32 = found.iter().zip(&exact).map(|(found, exact)| (found - exact).powi(2)).sum();
        (squares / exact.len() as f32).sqrt()
    };
    let floats = error(DType::BF16, KvCache::Dense, Kernels::AUTO);
    let alone = error(DType::F32, KvCache::Int8, Kernels::AUTO);
    let by_kernels = error(DType::BF16, KvCache::Int8, Kernels::AUTO);
    let decomposed = error(DType::BF16, KvCache::Int8, Kernels::OFF);
    println!("bf16 {floats}, codes in f32 {alone}, in bf16 {by_kernels}, without kernels {decomposed}");
    assert!(alone > 0.0 && alone < 1.25 * floats, "codes cost {alone}, bf16 {floats}");
    for found in [by_kernels, decomposed] {
        assert!(found < 1.5 * floats.hypot(alone), "{found} with a cache in 8 bits, {floats} without");
    }
}

/// Logits of the second of two rows after each of some tokens.
fn decode(batch: &mut Batch<'_>, sequence: &[u32]) -> Vec<Vec<f32>> {
    sequence.iter().map(|&token| batch.decode(&[None, Some(token)]).unwrap().remove(1)).collect()
}

/// Two rows at positions of their own; one goes beyond its window, and beyond two capacities, token by token and in long
/// steps.
fn two_rows(engine: &Engine, positions: usize) -> Vec<Vec<f32>> {
    let (short, long) = (tokens(500..505), tokens(0..300));
    let mut batch = engine.batch(2, positions).unwrap();
    let mut logits = batch.prefill(&[&short, &long[..120]]).unwrap();
    logits.extend(decode(&mut batch, &long[120..140]));
    logits.push(batch.prefill(&[&[], &long[140..290]]).unwrap().remove(1));
    logits.extend(decode(&mut batch, &long[290..]));
    assert_eq!(batch.capacity(), 512);
    // The row that took no part has its tokens yet.
    logits.extend(batch.decode(&[Some(7), Some(9)]).unwrap());
    logits
}

fn worst(found: &[Vec<f32>], expected: &[Vec<f32>]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| max_difference(a, b)).fold(0.0, f32::max)
}

#[test]
fn rows_grow_and_wrap_alone_and_on_meshes() {
    let Some(client) = support::cpu_devices(4) else { return };
    let (_directory, checkpoint) = model();
    let on = |placement: &Placement| engine(placement, &checkpoint, DType::F32, KvCache::Int8);
    let alone = on(&single(&client));
    let expected = two_rows(&alone, 512);
    let floats = engine(&single(&client), &checkpoint, DType::F32, KvCache::Dense);
    let error = worst(&two_rows(&floats, 512), &expected);
    let grown = worst(&two_rows(&alone, 1), &expected);
    let size = expected.iter().flatten().fold(0.0, |max: f32, logit| max.max(logit.abs()));
    println!("logits of up to {size}: 8 bits differ by {error}, a grown cache by {grown}");
    // An element is off by up to 1/254 of the greatest of its head, in each of two layers.
    assert!(error > 0.0 && error < 0.02 * size, "{error} of {size}");
    assert!(grown <= TOLERANCE, "{grown}");
    for mesh in ["model=2", "data=2,model=2", "data=2,seq=2", "seq=3"] {
        let placement = Placement::new(&client, mesh.parse().unwrap(), ShardingRules::transformer()).unwrap();
        let found = worst(&two_rows(&on(&placement), 1), &expected);
        println!("{mesh}: {found}");
        assert!(found <= TOLERANCE, "{mesh}: {found}");
    }
    // Codes and scales in place of bf16: what an engine allocates is what it says.
    let [small, large] = [&alone, &floats].map(|engine| engine.batch(2, 512).unwrap());
    assert_eq!(small.device_bytes().unwrap(), small.cache_bytes());
    let config = checkpoint.config();
    let ratio = small.cache_bytes() as f64 / large.cache_bytes() as f64;
    assert_eq!(ratio, (config.head_dim + 4) as f64 / (4 * config.head_dim) as f64);
}

#[test]
fn rows_are_rewound_and_conversations_go_on() {
    let Some(client) = support::cpu() else { return };
    let (_directory, checkpoint) = model();
    let engine = engine(&single(&client), &checkpoint, DType::BF16, KvCache::Int8);
    let sequence = tokens(0..30);
    let mut batch = engine.batch(1, 64).unwrap();
    batch.prefill(&[&sequence]).unwrap();
    let expected = batch.decode(&[Some(7)]).unwrap();
    assert!(batch.rewind(11));
    batch.prefill(&[&sequence[11..]]).unwrap();
    assert_eq!(batch.decode(&[Some(7)]).unwrap(), expected);

    let options = GenerateOptions { max_new_tokens: 10, ignore_eos: true, ..GenerateOptions::default() };
    let go_on = &mut |_: Piece<'_>| ControlFlow::Continue(());
    let mut kept = PrefixCache::new(&engine);
    let mut conversation = tokens(0..30);
    for turn in 0..4 {
        let (answer, timings) = kept.generate(&conversation, None, &options, go_on).unwrap();
        assert_eq!(timings.reused_tokens > 0, turn > 0);
        let (fresh, _) = engine.generate(std::slice::from_ref(&conversation), None, &options, go_on).unwrap();
        assert_eq!(answer.token_ids, fresh[0].token_ids, "turn {turn}");
        conversation.extend(answer.token_ids);
        conversation.extend(tokens(100 + turn * 40..130 + turn * 40));
    }
}
