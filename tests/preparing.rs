//! Programs become executables while weights are loaded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::ops::ControlFlow;

use lapidary::engine::{Engine, EngineError, GenerateOptions, Piece, Placement, UnloadedEngine};
use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::progress::Progress;
use support::small;

fn unloaded(checkpoint: &Checkpoint) -> Option<UnloadedEngine> {
    let client = support::cpu()?;
    Some(Engine::unloaded(&Placement::single(&client, &client.devices()[0]), checkpoint, None).unwrap())
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn what_was_prepared_is_there_when_the_weights_are() {
    let (_directory, checkpoint) = small("gemma1-mqa");
    let Some(unloaded) = unloaded(&checkpoint) else { return };
    let prompts = [vec![2, 17, 40]];
    let options = GenerateOptions { max_new_tokens: 6, ignore_eos: true, ..GenerateOptions::default() };
    let prepare = |engine: &Engine| engine.prepare_generation(&prompts, &options);
    let engine = unloaded.load(&checkpoint, prepare, &mut go_on).unwrap();
    engine.settle();
    let prepared = engine.compilations().len();
    assert!(prepared >= 2, "{:?}", engine.compilations());
    assert!(!engine.load_time().is_zero());
    let generate = |engine: &Engine| {
        let on_piece = &mut |_: Piece<'_>| ControlFlow::Continue(());
        engine.generate(&prompts, None, &options, on_piece).unwrap().0
    };
    let answers = generate(&engine);
    assert_eq!(engine.compilations().len(), prepared);
    assert_eq!(answers, generate(&support::load(engine.placement().client(), checkpoint.path(), None)));
}

/// What prompts are read with is there when `prepare_generation` returns. It has not waited for what makes the other
/// tokens, which is begun.
#[test]
fn the_first_token_waits_for_its_own_program_only() {
    let (_directory, checkpoint) = small("gemma1-mqa");
    let Some(client) = support::cpu() else { return };
    let prompts = [vec![2, 17, 40]];
    let made_for = |max_new_tokens| {
        let engine = support::load(&client, checkpoint.path(), None);
        let options = GenerateOptions { max_new_tokens, ignore_eos: true, ..GenerateOptions::default() };
        engine.prepare_generation(&prompts, &options).unwrap();
        let at_first = engine.compilations();
        assert!(at_first.iter().any(|each| each.program.to_string().starts_with("sampled_prefill_b1_t16_")));
        let on_piece = &mut |_: Piece<'_>| ControlFlow::Continue(());
        engine.generate(&prompts, None, &options, on_piece).unwrap();
        engine.settle();
        let phase = |program: String| program.split("_b1_").next().unwrap().to_owned();
        let made = engine.compilations();
        let made = made.iter().map(|each| (phase(each.program.to_string()), each.ahead));
        // In whichever order they were ready.
        made.collect::<std::collections::BTreeSet<_>>()
    };
    let (prefill, decode) = (("sampled_prefill".to_owned(), false), ("sampled_decode".to_owned(), true));
    assert_eq!(made_for(6), [prefill.clone(), decode].into());
    assert_eq!(made_for(1), [prefill].into(), "there are no other tokens");
}

#[test]
fn scoring_is_prepared_too() {
    let (_directory, checkpoint) = small("gemma1-mqa");
    let Some(unloaded) = unloaded(&checkpoint) else { return };
    let sequences = [vec![2, 17, 40], vec![2; 20]];
    let engine = unloaded.load(&checkpoint, |engine| engine.prepare_score(2, 20, false), &mut go_on).unwrap();
    assert_eq!(engine.compilations().len(), 1);
    engine.score(&sequences, None).unwrap();
    assert_eq!(engine.compilations().len(), 1, "{:?}", engine.compilations());
}

#[test]
fn one_error_is_told() {
    let (_directory, checkpoint) = small("gemma1-mqa");
    let refuse = |engine: &Engine| engine.prepare_generation(&[vec![]], &GenerateOptions::default());
    let Some(engine) = unloaded(&checkpoint) else { return };
    let error = engine.load(&checkpoint, refuse, &mut go_on).unwrap_err();
    assert!(matches!(error, EngineError::Empty { row: 0 }), "{error}");
    // That of loading, if both fail.
    let Some(engine) = unloaded(&checkpoint) else { return };
    let error = engine.load(&checkpoint, refuse, &mut |_| ControlFlow::Break(())).unwrap_err();
    assert!(matches!(error, EngineError::Cancelled), "{error}");
}
