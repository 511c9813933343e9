//! What a model answers, and what had to be compiled for it.

use std::ops::ControlFlow;

use lapidary::engine::cache::{Origin, Origins};
use lapidary::engine::{Engine, GenerateOptions, Piece, Placement};
use lapidary::lower::ShardingRules;

use crate::bundles::{ROWS, edit, fixture};
use crate::support::{cpu, cpu_devices, max_difference};

/// Sequences of these lengths.
fn sequences(lengths: &[u32]) -> Vec<Vec<u32>> {
    let sequence = |(row, length): (u32, &u32)| (0..*length).map(|i| 2 + (row * 31 + i * 17) % 200).collect();
    (0..).zip(lengths).map(sequence).collect()
}

/// Logits of prompts and of some tokens after them.
fn logits(engine: &Engine, sequences: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let mut batch = engine.batch(sequences.len(), 64).unwrap();
    let slices: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let mut logits = batch.prefill(&slices).unwrap();
    for token in [3, 50, 7, 9] {
        logits.extend(batch.decode(&vec![Some(token); sequences.len()]).unwrap());
    }
    logits
}

fn tokens(engine: &Engine, prompts: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let options = GenerateOptions { max_new_tokens: 8, ignore_eos: true, ..GenerateOptions::default() };
    let go_on = &mut |_: Piece<'_>| ControlFlow::Continue(());
    let (generations, _) = engine.generate(prompts, None, &options, go_on).unwrap();
    generations.into_iter().map(|generation| generation.token_ids).collect()
}

fn nll(engine: &Engine, sequences: &[Vec<u32>]) -> Vec<Vec<f32>> {
    engine.score(sequences, None).unwrap().into_iter().map(|score| score.nll).collect()
}

fn assert_close(bundled: &[Vec<f32>], compiled: &[Vec<f32>]) {
    assert_eq!(bundled.len(), compiled.len());
    let differences = bundled.iter().zip(compiled).map(|(a, b)| max_difference(a, b));
    let difference = differences.fold(0.0, f32::max);
    println!("largest difference: {difference:e}");
    assert!(difference < 1e-4, "{difference}");
}

/// Compares all answers of two engines, and what the bundle's had to do for them.
fn same_answers(compiled: &Engine, bundled: &Engine) {
    // The second row is longer than the largest step takes.
    let four = sequences(&[14, 45, 1, 23]);
    let expected = logits(compiled, &four);
    assert_close(&logits(bundled, &four), &expected);
    assert_close(&logits(bundled, &four[..1])[..1], &expected[..1]);
    assert_close(&nll(bundled, &four), &nll(compiled, &four));
    let expected = tokens(compiled, &four);
    assert_eq!(tokens(bundled, &four), expected);
    assert_eq!(tokens(bundled, &four[..3]), expected[..3], "a row is idle");
    let six = [four.clone(), four[..2].to_vec()].concat();
    let expected = [expected.clone(), expected[..2].to_vec()].concat();
    assert!(six.len() > ROWS);
    assert_eq!(tokens(bundled, &six), expected, "two wait");

    // Lengths of which the engine makes the very programs that the bundle has: of four rows, and 16 or 32 tokens.
    for length in [9, 30] {
        let four = sequences(&[length; ROWS]);
        let bits = |engine: &Engine| {
            let mut batch = engine.batch(ROWS, fixture().context()).unwrap();
            let slices: Vec<&[u32]> = four.iter().map(Vec::as_slice).collect();
            let logits = batch.prefill(&slices).unwrap().concat();
            logits.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(bits(bundled), bits(compiled), "{length} tokens");
    }
    assert!(bundled.compilations().iter().all(|program| program.cache.origin() == Origin::Bundle));
    assert_eq!(bundled.origins(), Origins { bundled: 8, ..Origins::default() }, "each is loaded once");
    assert!(bundled.is_compile_cached() && !compiled.is_compile_cached());
}

#[test]
fn answers_are_those_of_a_compiled_model() {
    let Some(client) = cpu() else { return };
    let fixture = fixture();
    let compiled = fixture.compiled(&Placement::single(&client, &client.devices()[0]));
    let bundled = fixture.bundled(&fixture.bundle("one"), &client, false).unwrap();
    assert_eq!(bundled.dtype(), compiled.dtype());
    same_answers(&compiled, &bundled);
}

#[test]
fn so_are_those_of_a_mesh() {
    let Some(client) = cpu_devices(2) else { return };
    let fixture = fixture();
    let rules = ShardingRules::transformer();
    let placement = Placement::new(&client, "model=2".parse().unwrap(), rules).unwrap();
    let bundled = fixture.bundled(&fixture.bundle("two"), &client, false).unwrap();
    assert_eq!(bundled.placement().to_string(), placement.to_string());
    assert_eq!(
        bundled.load_stats(),
        fixture.compiled(&placement).load_stats(),
        "each device loads its shards"
    );
    same_answers(&fixture.compiled(&placement), &bundled);
}

#[test]
fn an_answer_ends_where_the_bundle_has_no_more_room() {
    let Some(client) = cpu() else { return };
    let fixture = fixture();
    let bundled = fixture.bundled(&fixture.bundle("one"), &client, false).unwrap();
    let prompt = sequences(&[20]);
    let options = GenerateOptions { max_new_tokens: 1000, ignore_eos: true, ..GenerateOptions::default() };
    let go_on = &mut |_: Piece<'_>| ControlFlow::Continue(());
    let (generations, _) = bundled.generate(&prompt, None, &options, go_on).unwrap();
    // The last token is not read.
    assert_eq!(generations[0].token_ids.len(), fixture.context() - 20 + 1);
}

#[test]
fn what_another_plugin_compiled_is_compiled_again_on_request() {
    let Some(client) = cpu() else { return };
    let fixture = fixture();
    let (_directory, bundle) = fixture.copy();
    edit(&bundle, |manifest| manifest["plugin"]["sha256"] = "0".repeat(64).into());
    let bundled = fixture.bundled(&bundle, &client, true).unwrap();
    let compiled = fixture.compiled(&Placement::single(&client, &client.devices()[0]));
    let four = sequences(&[14, 45, 1, 23]);
    assert_eq!(tokens(&bundled, &four), tokens(&compiled, &four));
    assert_eq!(bundled.origins(), Origins { compiled: 3, ..Origins::default() });
    let told = bundled.compilations()[0].cache.to_string();
    assert!(
        told.starts_with(
            "compiled from the bundle's StableHLO, because the bundle was compiled by the cpu plugin "
        ) && told.contains("(SHA-256 000000000000...), but the one here is version 0.0.9 (SHA-256 "),
        "{told}"
    );
}
