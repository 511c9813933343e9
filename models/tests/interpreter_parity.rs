//! Whole models through the reference interpreter, against float64: what a program means, whatever XLA does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/support/golden.rs"]
mod golden;
mod interpreted;

use golden::{Golden, Sequence, golden_dir};
use interpreted::Rows;
use lapidary_models::checkpoint::Checkpoint;
use lapidary_models::program::{Output, Phase};

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
