//! The built-in model against what transformers makes of it in float32: greedy continuations, perplexity, accuracy.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};

use lapidary::engine::{GenerateOptions, Piece, Placement};
use lapidary::graph::DType;
use lapidary::model::Model;
use serde::Deserialize;
use serde_json::Value;

/// A prompt and how transformers goes on.
#[derive(Deserialize)]
struct Continuation {
    prompt_ids: Vec<u32>,
    new_ids: Vec<u32>,
    text: String,
}

/// What `tools/pebble/evaluate.py` prints.
#[derive(Deserialize)]
struct Evaluation {
    tokens: usize,
    perplexity: f64,
    tasks: BTreeMap<String, Tally>,
}

#[derive(Deserialize, Clone, Copy)]
struct Tally {
    correct: usize,
    n: usize,
}

fn golden<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/pebble").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// `lapidary eval` on the built-in model in f32, as JSON; `None` where there is no plugin.
fn eval(arguments: &[&str]) -> Option<Value> {
    support::cpu_plugin()?;
    let output = Command::new(env!("CARGO_BIN_EXE_lapidary"))
        .args(["eval", "--device", "cpu", "--dtype", "f32", "--json"])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Stories, chats of several turns, invented words, and questions about what was said several windows ago.
#[test]
fn greedy_continuations_equal_those_of_transformers() {
    let Some(client) = support::cpu() else { return };
    let model = Model::builtin().unwrap();
    let placement = Placement::single(&client, &client.addressable_devices()[0]);
    let engine = support::engine(&placement, model.checkpoint(), Some(DType::F32));
    let continuations: Vec<Continuation> = golden("greedy.json");
    assert!(continuations.len() > 10);
    for golden in continuations {
        let options = GenerateOptions { max_new_tokens: golden.new_ids.len(), ..GenerateOptions::default() };
        let go_on = &mut |_: Piece<'_>| ControlFlow::Continue(());
        let prompts = std::slice::from_ref(&golden.prompt_ids);
        let (generations, _) = engine.generate(prompts, model.tokenizer_if_any(), &options, go_on).unwrap();
        assert_eq!(generations[0].token_ids, golden.new_ids, "{}", golden.text);
    }
}

/// The documents state facts that training never did, and are up to seven windows long.
#[test]
fn perplexity_of_the_held_out_text_is_that_of_transformers() {
    let Some(ours) = eval(&[]) else { return };
    let theirs: Evaluation = golden("evaluation.json");
    let perplexity = ours["perplexity"].as_f64().unwrap();
    println!("perplexity {perplexity:.6}, transformers {:.6}", theirs.perplexity);
    assert_eq!(ours["tokens"], theirs.tokens);
    assert!(
        (perplexity / theirs.perplexity - 1.0).abs() < 1e-3,
        "{perplexity} against {}",
        theirs.perplexity
    );
}

/// The accuracy that the model card states, task by task: among them `far`, whose facts lie more than a window
/// before the question, where only global layers reach.
#[test]
fn questions_are_answered_as_well_as_the_model_card_says() {
    let Some(ours) = eval(&["--tasks"]) else { return };
    let theirs: Evaluation = golden("evaluation.json");
    assert_eq!(ours["tasks"].as_object().unwrap().len(), theirs.tasks.len());
    for (task, stated) in theirs.tasks {
        let n = ours["tasks"][&task]["n"].as_u64().unwrap() as usize;
        let correct = ours["tasks"][&task]["correct"].as_u64().unwrap() as usize;
        println!("{task}: {correct} of {n}, transformers {}", stated.correct);
        assert_eq!(n, stated.n, "{task}");
        // Two answers of a task may turn on a near tie.
        assert!(correct.abs_diff(stated.correct) <= 2, "{task}: {correct} of {n}, stated {}", stated.correct);
    }
}
