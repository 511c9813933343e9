//! A conversation that keeps its cache gets the answers of one that does not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::ops::ControlFlow;

use lapidary::engine::{Engine, EngineError, GenerateOptions, Generation, PrefixCache, Sampling};
use support::small;

/// Gemma 2 with a window of 7 tokens.
fn engine() -> Option<Engine> {
    let client = support::cpu()?;
    let (_directory, checkpoint) = small("gemma2-windowed");
    let placement = lapidary::engine::Placement::single(&client, &client.devices()[0]);
    Some(support::engine(&placement, &checkpoint, None))
}

fn tokens(first: u32, length: u32) -> Vec<u32> {
    (0..length).map(|i| 2 + (first + i * 17) % 200).collect()
}

fn options() -> GenerateOptions {
    let sampling = Sampling { temperature: 0.8, seed: 3, repetition_penalty: 1.2, ..Sampling::default() };
    GenerateOptions { max_new_tokens: 10, sampling, ignore_eos: true, ..GenerateOptions::default() }
}

/// Answers a prompt, which must be the answer of an engine that has seen nothing before; returns the tokens that were
/// reused beside it.
fn answer(engine: &Engine, cache: &mut PrefixCache<'_>, prompt: &[u32]) -> (Generation, usize) {
    let go_on = &mut |_: lapidary::engine::Piece<'_>| ControlFlow::Continue(());
    let (generation, timings) = cache.generate(prompt, None, &options(), go_on).unwrap();
    assert_eq!(timings.prefill_tokens + timings.reused_tokens, prompt.len());
    let (fresh, _) = engine.generate(&[prompt.to_vec()], None, &options(), go_on).unwrap();
    assert_eq!(generation, fresh[0], "{} tokens reused of {}", timings.reused_tokens, prompt.len());
    assert_eq!(cache.length(), prompt.len() + generation.token_ids.len() - 1);
    (generation, timings.reused_tokens)
}

#[test]
fn turns_read_only_what_is_new() {
    let Some(engine) = engine() else { return };
    let mut cache = PrefixCache::new(&engine);
    assert_eq!((cache.length(), cache.cache_bytes()), (0, 0));
    let mut conversation = tokens(1, 30);
    for turn in 0..6 {
        let (generation, reused) = answer(&engine, &mut cache, &conversation);
        // All but the last token of the answer, which was not read, and what the person said.
        let expected = if turn == 0 { 0 } else { conversation.len() - 26 };
        assert_eq!(reused, expected, "turn {turn}");
        conversation.extend(generation.token_ids);
        conversation.extend(tokens(turn * 40, 25));
    }
    assert!(conversation.len() > 200, "the cache has grown");
    cache.clear();
    assert_eq!((cache.length(), cache.cache_bytes()), (0, 0));
}

#[test]
fn another_beginning_is_read_anew() {
    let Some(engine) = engine() else { return };
    let mut cache = PrefixCache::new(&engine);
    // Four tokens do not fill the window, which the answer's fill.
    assert_eq!(answer(&engine, &mut cache, &tokens(1, 4)).1, 0);
    // They begin the next prompt, but the ring has moved on: position 3 and those before it are gone.
    assert_eq!(answer(&engine, &mut cache, &[tokens(1, 4), tokens(90, 9)].concat()).1, 0);
    assert_eq!(answer(&engine, &mut cache, &tokens(77, 40)).1, 0, "nothing in common");
    // The last token is read again for what follows it: one that a ring has, if no more were read since.
    let mut shorter = PrefixCache::new(&engine);
    let one = GenerateOptions { max_new_tokens: 1, ..options() };
    let go_on = &mut |_: lapidary::engine::Piece<'_>| ControlFlow::Continue(());
    shorter.generate(&tokens(1, 5), None, &one, go_on).unwrap();
    assert_eq!(answer(&engine, &mut shorter, &tokens(1, 5)).1, 4);
}

#[test]
fn programs_are_prepared_for_what_is_new() {
    let Some(engine) = engine() else { return };
    let mut cache = PrefixCache::new(&engine);
    let go_on = &mut |_: lapidary::engine::Piece<'_>| ControlFlow::Continue(());
    let mut prompt = tokens(1, 60);
    cache.prepare(&prompt, &options()).unwrap();
    let (generation, _) = cache.generate(&prompt, None, &options(), go_on).unwrap();
    let programs =
        || engine.compilations().iter().map(|each| each.program.to_string()).collect::<Vec<String>>();
    let mut first = programs();
    first.sort();
    assert_eq!(
        first,
        ["sampled_decode_b1_t1_c128_f32_s1_penalty", "sampled_prefill_b1_t64_c128_f32_penalty"]
    );
    prompt.extend(generation.token_ids);
    prompt.extend(tokens(9, 5));
    cache.prepare(&prompt, &options()).unwrap();
    assert_eq!(programs()[2..], ["sampled_prefill_b1_t16_c128_f32_penalty"], "6 of 75 tokens are new");
    cache.generate(&prompt, None, &options(), go_on).unwrap();
    assert_eq!(programs().len(), 3);
}

#[test]
fn a_refused_prompt_changes_nothing() {
    let Some(engine) = engine() else { return };
    let mut cache = PrefixCache::new(&engine);
    let (generation, _) = answer(&engine, &mut cache, &tokens(1, 20));
    let go_on = &mut |_: lapidary::engine::Piece<'_>| ControlFlow::Continue(());
    for refused in [vec![], vec![u32::MAX], vec![2; engine.config().context + 1]] {
        assert!(cache.generate(&refused, None, &options(), go_on).is_err());
        assert!(cache.prepare(&refused, &options()).is_err());
    }
    let stop = GenerateOptions { stop: vec!["x".into()], ..options() };
    let error = cache.generate(&[3], None, &stop, go_on).unwrap_err();
    assert!(matches!(error, EngineError::StopWithoutTokenizer), "{error}");
    let next = [tokens(1, 20), generation.token_ids, tokens(3, 2)].concat();
    assert_eq!(answer(&engine, &mut cache, &next).1, next.len() - 3);
}
