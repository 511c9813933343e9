//! Programs that a bundle has for options.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use lapidary::engine::cache::Origin;
use lapidary::engine::{
    Engine, GenerateOptions, Generation, Numerics, Piece, Placement, Sampling, ScoreChunk,
};
use lapidary::graph::DType;
use lapidary::models::program::KvCache;

use crate::bundles::{ROWS, fixture};
use crate::support::{cpu, max_difference};

fn sequences(count: u32) -> Vec<Vec<u32>> {
    (0..count).map(|row| (0..9 + 5 * row).map(|i| 2 + (row * 31 + i * 17) % 200).collect()).collect()
}

fn answers(engine: &Engine, options: &GenerateOptions) -> Vec<Generation> {
    let go_on = &mut |_: Piece<'_>| ControlFlow::Continue(());
    engine.generate(&sequences(3), None, options, go_on).unwrap().0
}

/// Each sequence's likelihoods and logits.
fn scored(engine: &Engine) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let sequences = sequences(ROWS as u32 + 2);
    let mut logits = vec![Vec::new(); sequences.len()];
    let mut take = |chunk: ScoreChunk<'_>| {
        logits[chunk.sequence].extend_from_slice(chunk.logits);
        Ok(())
    };
    let scores = engine.score(&sequences, Some(&mut take)).unwrap();
    (scores.into_iter().map(|score| score.nll).collect(), logits)
}

/// The programs say which form of the KV cache they take.
#[test]
fn a_kv_cache_in_8_bits_runs_from_a_bundle() {
    let Some(client) = cpu() else { return };
    let fixture = fixture();
    fixture.compile("int8", &["--phase", "generate", "--kv-cache", "int8"]);
    let bundled = fixture.bundled(&fixture.bundle("int8"), &client, false).unwrap();
    assert_eq!(bundled.kv_cache(), KvCache::Int8);
    let placement = Placement::single(&client, &client.devices()[0]);
    let numerics = Numerics { dtype: Some(DType::F32), kv_cache: KvCache::Int8 };
    let go_on = &mut |_| ControlFlow::Continue(());
    let compiled = Engine::load(&placement, &fixture.checkpoint, numerics, go_on).unwrap();
    let options = GenerateOptions { max_new_tokens: 6, ignore_eos: true, ..GenerateOptions::default() };
    let tokens = |engine: &Engine| {
        answers(engine, &options).into_iter().map(|answer| answer.token_ids).collect::<Vec<_>>()
    };
    assert_eq!(tokens(&bundled), tokens(&compiled));
}

#[test]
fn options_run_from_a_bundle_that_was_compiled_for_them() {
    let Some(client) = cpu() else { return };
    let fixture = fixture();
    let phases = ["--phase", "generate,score_logits", "--logprobs", "2", "--repetition-penalty"];
    // Which the bundle's programs take without being told, and others answer alike.
    let steps = ["--steps-per-dispatch", "3"];
    fixture.compile("variants", &[&phases[..], &steps].concat());
    let bundled = fixture.bundled(&fixture.bundle("variants"), &client, false).unwrap();
    let compiled = fixture.compiled(&Placement::single(&client, &client.devices()[0]));
    let penalised = Sampling { repetition_penalty: 1.5, ..Sampling::GREEDY };
    for (sampling, logprobs) in
        [(Sampling::GREEDY, None), (penalised, None), (Sampling::GREEDY, Some(2)), (penalised, Some(2))]
    {
        let options = GenerateOptions {
            max_new_tokens: 6,
            ignore_eos: true,
            sampling,
            logprobs,
            ..GenerateOptions::default()
        };
        let (found, expected) = (answers(&bundled, &options), answers(&compiled, &options));
        let tokens = |answers: &[Generation]| {
            answers.iter().map(|answer| answer.token_ids.clone()).collect::<Vec<_>>()
        };
        assert_eq!(tokens(&found), tokens(&expected), "{options:?}");
        let told = found.iter().flat_map(|answer| answer.logprobs.iter().flatten());
        assert!(told.clone().all(|choice| choice.top.len() == 2), "{options:?}");
        assert_eq!(told.count(), logprobs.map_or(0, |_| 3 * 6));
    }

    // More sequences than there are rows.
    let ((found, found_logits), (expected, expected_logits)) = (scored(&bundled), scored(&compiled));
    let pairs = found.iter().chain(&found_logits).zip(expected.iter().chain(&expected_logits));
    let worst = pairs.map(|(a, b)| max_difference(a, b)).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{worst}");
    assert!(bundled.compilations().iter().all(|program| program.cache.origin() == Origin::Bundle));

    // Others are asked for.
    let three = GenerateOptions { logprobs: Some(3), sampling: penalised, ..GenerateOptions::default() };
    let message = bundled.prepare_generation(&sequences(1), &three).unwrap_err().to_string();
    let wanted = "has no program `sampled_prefill` (compile's --logprobs 3 --repetition-penalty) for 4 rows";
    assert!(message.contains(wanted), "{message}");
    let two = GenerateOptions { steps_per_dispatch: NonZeroUsize::new(2), ..GenerateOptions::default() };
    bundled.prepare_generation(&sequences(1), &two).unwrap();
    let message = bundled
        .generate(&sequences(1), None, &two, &mut |_| ControlFlow::Continue(()))
        .unwrap_err()
        .to_string();
    let wanted = "has no program `sampled_decode` (compile's --steps-per-dispatch 2) for 4 rows";
    assert!(message.contains(wanted), "{message}");
}
