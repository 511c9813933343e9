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
