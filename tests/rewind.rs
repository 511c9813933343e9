//! Rows that forget their last tokens go on as if they had never had them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::ops::ControlFlow;
use std::path::Path;

use lapidary::engine::{Batch, Engine};
use lapidary::graph::DType;
use lapidary::models::config::{AttentionKind, GemmaConfig};
use lapidary::models::synth::{SynthOptions, synth};

const WINDOW: usize = 16;

/// A model whose first layer sees a window of 16 tokens.
fn engine(directory: &Path) -> Option<Engine> {
    let client = support::cpu()?;
    let mut config = GemmaConfig::tiny();
    config.sliding_window = Some(WINDOW);
    let config = config.with_layers(2).unwrap();
    assert_eq!(config.layer_kinds, [AttentionKind::Local { window: WINDOW }, AttentionKind::Global]);
    synth(&config, directory, &SynthOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    Some(support::load(&client, directory, Some(DType::F32)))
}

fn tokens(range: std::ops::Range<u32>) -> Vec<u32> {
    range.map(|token| 3 + token % 400).collect()
}

/// The logits of a batch of two rows after another token each.
fn next(batch: &mut Batch<'_>) -> Vec<Vec<f32>> {
    batch.decode(&[Some(7), Some(8)]).unwrap()
}

#[test]
fn a_row_goes_on_from_where_it_was_rewound_to() {
    let directory = tempfile::tempdir().unwrap();
    let Some(engine) = engine(&directory.path().join("model")) else { return };
    let (long, short) = (tokens(0..12), tokens(100..105));
    let mut batch = engine.batch(2, 64).unwrap();
    batch.prefill(&[&long, &short]).unwrap();
    let expected = next(&mut batch);

    // The other tokens do not fill the window, so that no slot is written twice.
    assert!(batch.rewind(12));
    assert_eq!((batch.length(0), batch.length(1)), (12, 6), "the shorter row keeps what it has");
    assert!(batch.rewind(5));
    batch.prefill(&[&long[5..], &[]]).unwrap();
    assert!(support::max_difference(&next(&mut batch)[0], &expected[0]) < 1e-5);
    assert!(batch.rewind(5));
    batch.prefill(&[&long[5..], &[]]).unwrap();
    assert_eq!((batch.length(0), batch.length(1)), (12, 5));
    for (found, expected) in next(&mut batch).iter().zip(&expected) {
        assert!(support::max_difference(found, expected) < 1e-5);
    }
}

#[test]
fn what_a_ring_has_overwritten_does_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let Some(engine) = engine(&directory.path().join("model")) else { return };
    let sequence = tokens(0..40);
    let mut batch = engine.batch(1, 64).unwrap();
    batch.prefill(&[&sequence[..30]]).unwrap();
    let expected = batch.decode(&[Some(7)]).unwrap();
    // A token at position 30 sees 15 to 30, and a ring of 16 that has taken 31 has these.
    assert!(batch.rewind(30));
    let again = batch.decode(&[Some(7)]).unwrap();
    assert!(support::max_difference(&again[0], &expected[0]) < 1e-5);
    // One at 29 sees 14, whose slot 30 has taken.
    assert!(!batch.rewind(29));
    assert_eq!(batch.length(0), 31, "nothing changed");
    let after = batch.decode(&[Some(9)]).unwrap();
    batch.clear().unwrap();
    batch.prefill(&[&[&sequence[..30], &[7]].concat()]).unwrap();
    assert!(support::max_difference(&after[0], &batch.decode(&[Some(9)]).unwrap()[0]) < 1e-5);
}

#[test]
fn programs_are_prepared_before_they_run() {
    let directory = tempfile::tempdir().unwrap();
    let Some(engine) = engine(&directory.path().join("model")) else { return };
    let mut batch = engine.batch(1, 128).unwrap();
    batch.prepare(&[40, 5, 0], true).unwrap();
    let prepared = engine.compilations().len();
    assert_eq!(prepared, 3, "prefills of 64 and of 16 tokens, and decode");
    batch.prefill(&[&tokens(0..40)]).unwrap();
    batch.prefill(&[&tokens(0..5)]).unwrap();
    batch.decode(&[Some(3)]).unwrap();
    assert_eq!(engine.compilations().len(), prepared);
}
