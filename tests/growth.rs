//! A KV cache begins small and grows with its sequences, which notice nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::ops::ControlFlow;
use std::path::Path;

use lapidary::engine::cache::EngineProgram;
use lapidary::engine::{Batch, Engine, EngineError, GenerateOptions, Piece, Placement};
use lapidary::graph::DType;
use lapidary::lower::ShardingRules;
use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::config::GemmaConfig;
use lapidary::models::synth::{SynthOptions, synth};
use lapidary::runtime::Client;
use support::max_difference;

/// A model of a local and a global layer, with random weights.
fn model(directory: &Path, window: usize, context: usize) -> Checkpoint {
    let mut config = GemmaConfig::tiny();
    config.sliding_window = Some(window);
    config.context = context;
    let config = config.with_layers(2).unwrap();
    synth(&config, directory, &SynthOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    Checkpoint::open(directory).unwrap()
}

fn on(placement: &Placement, checkpoint: &Checkpoint) -> Engine {
    support::engine(placement, checkpoint, Some(DType::F32))
}

fn single(client: &Client, checkpoint: &Checkpoint) -> Engine {
    on(&Placement::single(client, &client.devices()[0]), checkpoint)
}

fn tokens(range: std::ops::Range<u32>) -> Vec<u32> {
    range.map(|token| 3 + token * 7 % 400).collect()
}

fn growths(engine: &Engine) -> Vec<String> {
    let compilations = engine.compilations();
    let growths = compilations.iter().filter(|each| matches!(each.program, EngineProgram::Growth(_)));
    growths.map(|each| each.program.to_string()).collect()
}

/// Logits after each of some tokens, which the second of two rows takes beside a short first one.
fn decode(batch: &mut Batch<'_>, sequence: &[u32]) -> Vec<Vec<f32>> {
    sequence.iter().map(|&token| batch.decode(&[None, Some(token)]).unwrap().remove(1)).collect()
}

/// Windows that a ring fills before, while and after the cache grows: what is compared was computed at once in a cache
/// that was as large from the beginning.
#[test]
fn a_grown_cache_holds_what_it_held() {
    let Some(client) = support::cpu() else { return };
    for (window, ring_growths) in [(40, 0), (200, 1), (1000, 0)] {
        let directory = tempfile::tempdir().unwrap();
        let engine = single(&client, &model(&directory.path().join("model"), window, 1024));
        let (short, long) = (tokens(500..505), tokens(0..300));

        let mut grown = engine.batch(2, 100).unwrap();
        assert_eq!(grown.capacity(), 128);
        let small = grown.cache_bytes();
        grown.prefill(&[&short, &long[..120]]).unwrap();
        // Over the edge in steps of one token, and then in one that exceeds even the next capacity.
        let mut logits = decode(&mut grown, &long[120..140]);
        assert_eq!(grown.capacity(), 256);
        logits.push(grown.prefill(&[&[], &long[140..290]]).unwrap().remove(1));
        assert_eq!(grown.capacity(), 512);
        logits.extend(decode(&mut grown, &long[290..]));
        assert!(grown.cache_bytes() > small, "window {window}: {small}");

        let mut whole = engine.batch(2, 512).unwrap();
        assert_eq!(whole.cache_bytes(), grown.cache_bytes());
        assert_eq!(whole.device_bytes().unwrap(), grown.device_bytes().unwrap());
        whole.prefill(&[&short, &long[..120]]).unwrap();
        let mut expected = decode(&mut whole, &long[120..140]);
        expected.push(whole.prefill(&[&[], &long[140..290]]).unwrap().remove(1));
        expected.extend(decode(&mut whole, &long[290..]));
        let pairs = logits.iter().zip(&expected);
        let worst = pairs.map(|(a, b)| max_difference(a, b)).fold(0.0, f32::max);
        println!("window {window}: max |logit difference| = {worst:.1e}");
        assert!(worst < 1e-4, "window {window}: {worst}");
        // The row that took no part has its tokens yet.
        let next = [grown, whole].map(|mut batch| batch.decode(&[Some(7), None]).unwrap().remove(0));
        assert!(max_difference(&next[0], &next[1]) < 1e-4);

        // One program serves all layers that grow alike; a ring that has its window does not grow.
        let growths = growths(&engine);
        assert_eq!(growths.len(), 2 + ring_growths, "window {window}: {growths:?}");
        assert!(growths.contains(&"grow_b2_s128_s256_f32".to_string()), "{growths:?}");
        assert_eq!(growths.contains(&"grow_b2_s128_s200_f32".to_string()), window == 200, "{growths:?}");
    }
}

#[test]
fn a_cache_grows_on_a_mesh() {
    let Some(client) = support::cpu_devices(4) else { return };
    let directory = tempfile::tempdir().unwrap();
    let checkpoint = model(&directory.path().join("model"), 200, 512);
    let sequence = tokens(0..290);
    let last = |engine: &Engine, positions: usize| {
        let mut batch = engine.batch(2, positions).unwrap();
        batch.prefill(&[&sequence[..3], &sequence[..120]]).unwrap();
        decode(&mut batch, &sequence[120..130]);
        batch.prefill(&[&[], &sequence[130..]]).unwrap();
        assert_eq!(batch.capacity(), 512);
        batch.decode(&[Some(9), Some(9)]).unwrap()
    };
    let expected = last(&single(&client, &checkpoint), 512);
    // Three does not divide the slots.
    for mesh in ["data=2,model=2", "seq=4", "data=2,seq=2", "seq=3"] {
        let placement = Placement::new(&client, mesh.parse().unwrap(), ShardingRules::transformer()).unwrap();
        let engine = on(&placement, &checkpoint);
        for (found, expected) in last(&engine, 1).iter().zip(&expected) {
            let difference = max_difference(found, expected);
            assert!(difference < 1e-4, "{mesh}: {difference}");
        }
        assert_eq!(growths(&engine).len(), 3, "{mesh}: {:?}", growths(&engine));
    }
}

#[test]
fn an_answer_holds_what_it_needs() {
    let Some(client) = support::cpu() else { return };
    let directory = tempfile::tempdir().unwrap();
    let engine = single(&client, &model(&directory.path().join("model"), 40, 1024));
    let prompt = vec![tokens(0..30)];
    let generate = |max_new_tokens, ignore_eos, enough: usize| {
        let options = GenerateOptions { max_new_tokens, ignore_eos, ..GenerateOptions::default() };
        let mut count = 0;
        let mut until = |_: Piece<'_>| {
            count += 1;
            if count < enough { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let (generations, timings) = engine.generate(&prompt, None, &options, &mut until).unwrap();
        (generations[0].token_ids.clone(), timings)
    };
    let programs = || engine.compilations().iter().map(|each| each.program.to_string()).collect::<Vec<_>>();
    // It may be as long as the context, and ends after 30 tokens.
    generate(4000, false, 30);
    engine.settle();
    // In whichever order they were ready.
    let mut first = programs();
    first.sort();
    assert_eq!(first, ["sampled_decode_b1_t1_c128_f32_s1", "sampled_prefill_b1_t32_c128_f32"]);
    // It goes on, and compiles what it needs before it needs it.
    let (grown, _) = generate(4000, false, 300);
    let later = [
        "grow_b1_s128_s256_f32",
        "sampled_decode_b1_t1_c256_f32_s1",
        "grow_b1_s256_s512_f32",
        "sampled_decode_b1_t1_c512_f32_s1",
    ];
    assert_eq!(programs()[2..], later);
    // Nothing but its length can end it, which is therefore given at once.
    let (whole, _) = generate(300, true, usize::MAX);
    assert_eq!(programs()[6..], ["sampled_prefill_b1_t32_c512_f32"]);
    assert_eq!(grown, whole);
}

#[test]
fn a_longer_cache_is_prepared_before_it_is_needed() {
    let Some(client) = support::cpu() else { return };
    let directory = tempfile::tempdir().unwrap();
    let engine = single(&client, &model(&directory.path().join("model"), 40, 1024));
    let answer = |prompt: u32, max_new_tokens, enough: usize| {
        let options = GenerateOptions { max_new_tokens, ..GenerateOptions::default() };
        let mut count = 0;
        let mut until = |_: Piece<'_>| {
            count += 1;
            if count < enough { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let prompts = [tokens(0..prompt)];
        engine.generate(&prompts, None, &options, &mut until).unwrap();
        assert_eq!(count, enough.min(max_new_tokens), "it ends early");
        engine.settle();
        let compilations = engine.compilations();
        let made = compilations.iter().map(|each| (each.program.to_string(), each.ahead));
        made.collect::<Vec<_>>()
    };
    // The 128 positions of the cache are all that it can take.
    let first = answer(30, 99, usize::MAX);
    let expected = [("sampled_prefill_b1_t32_c128_f32", false), ("sampled_decode_b1_t1_c128_f32_s1", true)];
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(
        expected.iter().all(|(program, ahead)| first.contains(&(program.to_string(), *ahead))),
        "{first:?}"
    );
    // It could go on, but ends when three quarters of them are taken.
    assert_eq!(answer(30, 100, 65), first);
    // And now soon after, which is before the programs that were made for it could be of use.
    let ahead = answer(30, 100, 70);
    let expected = [("grow_b1_s128_s256_f32", true), ("sampled_decode_b1_t1_c256_f32_s1", true)];
    assert_eq!(ahead[2..], expected.map(|(program, ahead)| (program.to_string(), ahead)));
    assert_eq!(answer(30, 250, usize::MAX)[..4], ahead);
}

#[test]
fn nothing_compiles_after_the_warm_up() {
    let Some(client) = support::cpu() else { return };
    let directory = tempfile::tempdir().unwrap();
    let engine = single(&client, &model(&directory.path().join("model"), 40, 1024));
    let options = GenerateOptions { max_new_tokens: 50, ..GenerateOptions::default() };
    let batch = engine.batch(2, 1).unwrap();
    batch.warm_up(250, &options).unwrap();
    let programs = engine.compilations().len();
    // At 128 and at 256 positions: prefills up to as many tokens, and decode. What grows from one to the other.
    assert_eq!(programs, (4 + 1) + (5 + 1) + 1, "{:?}", engine.compilations());
    assert_eq!(batch.capacity(), 128, "nothing was allocated");
    let generate = |prompts: [Vec<u32>; 2], max_new_tokens| {
        let options = GenerateOptions { max_new_tokens, ..options.clone() };
        let go_on = &mut |_: Piece<'_>| ControlFlow::Continue(());
        engine.generate(&prompts, None, &options, go_on).unwrap();
    };
    for length in [1, 2, 15, 16, 17, 31, 33, 64, 65, 78, 100, 128, 129, 199] {
        generate([tokens(0..length), tokens(9..9 + length / 2 + 1)], 50);
    }
    // One that begins in the smaller cache.
    generate([tokens(0..20), tokens(9..12)], 200);
    engine.settle();
    assert_eq!(engine.compilations().len(), programs, "{:?}", engine.compilations());
}

#[test]
fn a_cache_ends_with_the_context() {
    let Some(client) = support::cpu() else { return };
    let directory = tempfile::tempdir().unwrap();
    let engine = single(&client, &model(&directory.path().join("model"), 40, 150));
    let mut batch = engine.batch(1, 1).unwrap();
    batch.prefill(&[&tokens(0..140)]).unwrap();
    assert_eq!(batch.capacity(), 150, "the context is no power of two");
    batch.reserve(usize::MAX).unwrap();
    assert_eq!(batch.capacity(), 150);
    let error = batch.prefill(&[&tokens(0..11)]).unwrap_err();
    assert!(matches!(error, EngineError::TooLong { row: 0, tokens: 151, limit: 150 }), "{error}");
    assert_eq!(batch.length(0), 140, "nothing was read");
    batch.prefill(&[&tokens(0..10)]).unwrap();
}
