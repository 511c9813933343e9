//! Numerics against float64 references: every position, past the window, in batches, in all phases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::ops::ControlFlow;

use lapidary::engine::{Engine, GenerateOptions};
use support::{Golden, golden_dir, load, logits, max_difference};

/// Checkpoints whose logits must match float64 within 1e-4.
const EXACT: [&str; 5] = ["gemma2-windowed", "gemma2-sharded", "gemma1-mqa", "gemma1-mha", "gemma1-f16"];
const TOLERANCE: f32 = 1e-4;

fn tokens(golden: &Golden) -> Vec<Vec<u32>> {
    golden.sequences.iter().map(|s| s.tokens.clone()).collect()
}

fn greedy(engine: &Engine, prompts: &[Vec<u32>], new_tokens: usize) -> Vec<Vec<u32>> {
    let options =
        GenerateOptions { max_new_tokens: new_tokens, ignore_eos: true, ..GenerateOptions::default() };
    let go_on = &mut |_: lapidary::engine::Piece<'_>| ControlFlow::Continue(());
    let (generations, _) = engine.generate(prompts, None, &options, go_on).unwrap();
    generations.into_iter().map(|generation| generation.token_ids).collect()
}

#[test]
fn f32_logits_and_likelihoods_match_float64_at_every_position() {
    let Some(client) = support::cpu() else { return };
    for case in EXACT {
        let golden = Golden::open(case);
        let engine = load(&client, &golden_dir(case), None);
        let sequences = tokens(&golden);
        let together = logits(&engine, &sequences);
        let scores = engine.score(&sequences, None).unwrap();
        let mut worst = 0f32;
        for ((sequence, logits), score) in golden.sequences.iter().zip(&together).zip(&scores) {
            worst = worst.max(max_difference(&sequence.logits, logits));
            assert!(max_difference(&sequence.nll, &score.nll) <= TOLERANCE, "{case}");
        }
        println!("{case}: max |logit - float64| = {worst:.2e}");
        assert!(worst <= TOLERANCE, "{case}: {worst}");
    }
}

#[test]
fn bf16_is_no_further_from_float64_than_transformers_bf16() {
    let Some(client) = support::cpu() else { return };
    let golden = Golden::open("gemma2-bf16");
    let engine = load(&client, &golden_dir("gemma2-bf16"), None);
    assert_eq!(engine.dtype(), lapidary::graph::DType::BF16);
    let ours = logits(&engine, &tokens(&golden));
    let mean_error = |of: &dyn Fn(usize) -> Vec<f32>| {
        let errors = golden.sequences.iter().enumerate().flat_map(|(i, sequence)| {
            let logits = of(i);
            assert_eq!(logits.len(), sequence.logits.len());
            let errors = sequence.logits.iter().zip(logits).map(|(a, b)| f64::from((a - b).abs()));
            errors.collect::<Vec<_>>()
        });
        let errors: Vec<f64> = errors.collect();
        errors.iter().sum::<f64>() / errors.len() as f64
    };
    let ours = mean_error(&|i| ours[i].clone());
    let theirs = mean_error(&|i| golden.sequences[i].logits_bf16.clone().unwrap());
    println!("mean |logit - float64| in bf16: {ours:.5}, transformers {theirs:.5}");
    assert!(ours <= theirs, "{ours} > {theirs}");
}

#[test]
fn greedy_tokens_equal_the_references() {
    let Some(client) = support::cpu() else { return };
    for case in EXACT {
        let golden = Golden::open(case);
        let engine = load(&client, &golden_dir(case), None);
        for greedy_case in &golden.greedy {
            let ours =
                greedy(&engine, std::slice::from_ref(&greedy_case.prompt), greedy_case.new_tokens.len());
            assert_eq!(ours.concat(), greedy_case.new_tokens, "{case}");
        }
    }
}

/// Prefill in one go, prefill in pieces, and token-by-token decode all give `score`'s logits.
#[test]
fn prefill_and_decode_agree_with_score() {
    let Some(client) = support::cpu() else { return };
    for case in ["gemma2-windowed", "gemma1-mqa"] {
        let golden = Golden::open(case);
        let engine = load(&client, &golden_dir(case), None);
        let sequence = &golden.sequences.iter().max_by_key(|s| s.tokens.len()).unwrap().tokens;
        let scored = &logits(&engine, std::slice::from_ref(sequence))[0];
        let vocab = engine.config().live_vocab_size();
        let at = |position: usize| &scored[position * vocab..][..vocab];

        // Splits around the window (7), the smallest bucket (16) and the ring's wrap.
        for split in [1, 6, 7, 8, 15, 16, 17, 40, sequence.len() - 1] {
            let mut batch = engine.batch(1, sequence.len()).unwrap();
            let (prompt, rest) = sequence.split_at(split);
            let first = batch.prefill(&[prompt]).unwrap();
            assert!(max_difference(&first[0], at(split - 1)) <= TOLERANCE, "{case} prefill {split}");
            for (offset, &token) in rest.iter().take(20).enumerate() {
                let next = batch.decode(&[Some(token)]).unwrap();
                let difference = max_difference(&next[0], at(split + offset));
                assert!(difference <= TOLERANCE, "{case} split {split} + {offset}: {difference}");
            }
        }
        let mut batch = engine.batch(1, sequence.len()).unwrap();
        for chunk in sequence.chunks(19) {
            let last = batch.prefill(&[chunk]).unwrap();
            let position = batch.length(0) - 1;
            assert!(max_difference(&last[0], at(position)) <= TOLERANCE, "{case} chunk ending at {position}");
        }
    }
}

/// Neighbours of other lengths, rows that end early, and larger buckets leave a row's answer alone.
#[test]
fn a_row_does_not_depend_on_its_batch_or_bucket() {
    let Some(client) = support::cpu() else { return };
    for case in EXACT {
        let golden = Golden::open(case);
        let engine = load(&client, &golden_dir(case), None);
        let sequences = tokens(&golden);
        let together = logits(&engine, &sequences);
        let mut batch = engine.batch(sequences.len(), 200).unwrap();
        let slices: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let last_of_batch = batch.prefill(&slices).unwrap();
        for (i, sequence) in sequences.iter().enumerate() {
            let alone = &logits(&engine, std::slice::from_ref(sequence))[0];
            assert!(max_difference(alone, &together[i]) <= TOLERANCE, "{case} {i}");
            let vocab = engine.config().live_vocab_size();
            let last = &alone[alone.len() - vocab..];
            assert!(max_difference(last, &last_of_batch[i]) <= TOLERANCE, "{case} {i} at another capacity");
        }

        let prompts: Vec<Vec<u32>> = golden.greedy.iter().map(|g| g.prompt.clone()).collect();
        let wanted = golden.greedy.iter().map(|g| g.new_tokens.len()).max().unwrap();
        for (ours, greedy_case) in greedy(&engine, &prompts, wanted).iter().zip(&golden.greedy) {
            let n = greedy_case.new_tokens.len();
            assert_eq!(ours[..n], greedy_case.new_tokens, "{case}");
        }
    }
}
