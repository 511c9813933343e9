//! Whole models through the reference interpreter, against float64: what a program means, whatever XLA does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/support/golden.rs"]
mod golden;
mod interpreted;

use golden::{Golden, Sequence, golden_dir};
use interpreted::Rows;
use lapidary_models::checkpoint::Checkpoint;
use lapidary_models::program::{KvCache, Output, Phase};

/// Local layers and softcaps, and one KV head.
const CASES: [&str; 2] = ["gemma2-windowed", "gemma1-mqa"];
const TOLERANCE: f64 = 1e-4;

fn longest(golden: &Golden) -> &Sequence {
    golden.sequences.iter().max_by_key(|sequence| sequence.tokens.len()).unwrap()
}

#[track_caller]
fn assert_close(what: &str, got: &[f64], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, &expected)) in got.iter().zip(expected).enumerate() {
        let difference = (got - f64::from(expected)).abs();
        assert!(difference <= TOLERANCE, "{what}: element {i} is {got}, float64 says {expected}");
    }
}

#[test]
fn scores_match_float64_at_every_position() {
    for case in CASES {
        let golden = Golden::open(case);
        let checkpoint = Checkpoint::open(&golden_dir(case)).unwrap();
        let Sequence { tokens, logits, nll, .. } = longest(&golden);
        // In steps whose last one is part padding; the ring of the windowed layers has wrapped before it.
        let width = 48;
        assert!(tokens.len() > width && tokens.len() % width != 0);
        let mut rows = Rows::new(&checkpoint, 1, 128);
        let (mut got_logits, mut got_nll) = (Vec::new(), Vec::new());
        for (i, chunk) in tokens.chunks(width).enumerate() {
            let targets = &tokens[(i * width + 1).min(tokens.len())..];
            let targets = &targets[..targets.len().min(chunk.len())];
            let outputs = rows.score(width, &[chunk], &[targets]);
            let vocab = checkpoint.config().live_vocab_size();
            got_logits.extend_from_slice(&outputs[&Output::Logits][..chunk.len() * vocab]);
            got_nll.extend_from_slice(&outputs[&Output::Nll][..targets.len()]);
        }
        assert_close(&format!("{case}: logits"), &got_logits, logits);
        assert_close(&format!("{case}: nll"), &got_nll, nll);
    }
}

/// Prompts in pieces and then token by token, in a batch of rows at different positions.
#[test]
fn prefill_and_decode_match_float64_past_the_ring() {
    for case in CASES {
        let golden = Golden::open(case);
        let checkpoint = Checkpoint::open(&golden_dir(case)).unwrap();
        let vocab = checkpoint.config().live_vocab_size();
        let Sequence { tokens, logits, .. } = longest(&golden);
        let expected = |row: &Rows, index: usize| {
            let last = row.length(index) - 1;
            &logits[last * vocab..][..vocab]
        };
        // Two rows of the same text, the second behind the first and idle in the second step.
        let mut rows = Rows::new(&checkpoint, 2, 64);
        let steps: [[&[u32]; 2]; 3] =
            [[&tokens[..16], &tokens[..3]], [&tokens[16..29], &[]], [&tokens[29..30], &tokens[3..12]]];
        for step in steps {
            let outputs = rows.step(Phase::Prefill, 16, &step);
            for (index, answer) in outputs[&Output::Logits].chunks(vocab).enumerate() {
                if !step[index].is_empty() {
                    let what = format!("{case}: prefill of row {index} to {}", rows.length(index));
                    assert_close(&what, answer, expected(&rows, index));
                }
            }
        }
        for idle in [None, Some(0), None, Some(1), None, None, None, None, None, None] {
            let next = |index| if idle == Some(index) { &[][..] } else { &tokens[rows.length(index)..][..1] };
            let step = [next(0), next(1)];
            let outputs = rows.step(Phase::Decode, 1, &step);
            for (index, answer) in outputs[&Output::Logits].chunks(vocab).enumerate() {
                if !step[index].is_empty() {
                    let what = format!("{case}: decode of row {index} to {}", rows.length(index));
                    assert_close(&what, answer, expected(&rows, index));
                }
            }
        }
        assert_eq!((rows.length(0), rows.length(1)), (39, 21));
    }
}

/// Logits after each prefix of a text, which is read in steps of `width`, the last of them padded.
fn logits_in_steps(checkpoint: &Checkpoint, kv_cache: KvCache, tokens: &[u32], width: usize) -> Vec<f64> {
    let vocab = checkpoint.config().live_vocab_size();
    let mut rows = Rows::new(checkpoint, 1, 64).with_kv_cache(kv_cache);
    let steps = tokens.chunks(width).flat_map(|chunk| {
        let mut logits = rows.score(width, &[chunk], &[&[]]).remove(&Output::Logits).unwrap();
        logits.truncate(chunk.len() * vocab);
        logits
    });
    steps.collect()
}

fn worst(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Every token attends to codes, those of its own step too, so that how a text is cut into steps makes no difference: not
/// where rings have wrapped either.
#[test]
fn a_cache_in_8_bits_is_near_and_the_same_however_a_text_is_cut() {
    for case in CASES {
        let golden = Golden::open(case);
        let checkpoint = Checkpoint::open(&golden_dir(case)).unwrap();
        let tokens = &longest(&golden).tokens[..40];
        let logits = |kv_cache, width| logits_in_steps(&checkpoint, kv_cache, tokens, width);
        let full = logits(KvCache::Dense, 40);
        let whole = logits(KvCache::Int8, 40);
        let size = full.iter().fold(0.0, |max: f64, logit| max.max(logit.abs()));
        let error = worst(&whole, &full);
        // An element is off by up to 1/254 of the greatest of its head, in each of the layers.
        assert!(error > 0.0 && error < 0.02 * size, "{case}: {error} of {size}");
        for width in [1, 7, 16] {
            let difference = worst(&logits(KvCache::Int8, width), &whole);
            // Of sums in another order; a code that falls to the other side is a step of its head.
            assert!(difference < 0.1 * error, "{case} in steps of {width}: {difference}");
        }
    }
}
