//! A GGUF file with weights of every type that is read, against a float64 reference of what ggml decodes them to, and on
//! the commands that take a model.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/command.rs"]
mod command;
mod support;

use std::ops::ControlFlow;
use std::path::PathBuf;

use lapidary::engine::GenerateOptions;
use lapidary::graph::DType;
use serde_json::Value;
use support::{Golden, golden_dir, load, logits, max_difference};

const CASE: &str = "gguf-mixed";
const TOLERANCE: f32 = 1e-4;

fn model() -> PathBuf {
    golden_dir(CASE).join("model.gguf")
}

fn sequences(golden: &Golden) -> Vec<Vec<u32>> {
    golden.sequences.iter().map(|sequence| sequence.tokens.clone()).collect()
}

/// Runs `lapidary` on the model with these arguments; what it printed.
fn lapidary(command: &str, arguments: &[&str]) -> (bool, String, String) {
    let output = command::lapidary_command()
        .arg(command)
        .arg("--model")
        .arg(model())
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn printed(command: &str, arguments: &[&str]) -> Value {
    let (success, stdout, stderr) = lapidary(command, arguments);
    assert!(success, "{command}: {stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn f32_logits_are_those_of_the_decoded_weights() {
    let Some(client) = support::cpu() else { return };
    let golden = Golden::open(CASE);
    let engine = load(&client, &model(), Some(DType::F32));
    let ours = logits(&engine, &sequences(&golden));
    let mut worst = 0_f32;
    for (sequence, logits) in golden.sequences.iter().zip(&ours) {
        worst = worst.max(max_difference(&sequence.logits, logits));
    }
    println!("{CASE}: max |logit - float64| = {worst:.2e}");
    assert!(worst <= TOLERANCE, "{worst}");
}

#[test]
fn greedy_tokens_are_those_of_the_decoded_weights() {
    let Some(client) = support::cpu() else { return };
    let golden = Golden::open(CASE);
    let engine = load(&client, &model(), Some(DType::F32));
    for case in &golden.greedy {
        let options = GenerateOptions {
            max_new_tokens: case.new_tokens.len(),
            ignore_eos: true,
            ..GenerateOptions::default()
        };
        let prompts = std::slice::from_ref(&case.prompt);
        let go_on = &mut |_: lapidary::engine::Piece<'_>| ControlFlow::Continue(());
        let (generations, _) = engine.generate(prompts, None, &options, go_on).unwrap();
        assert_eq!(generations[0].token_ids, case.new_tokens);
    }
}

/// Codes say nothing of the type to compute in.
#[test]
fn encoded_models_run_in_bf16() {
    let Some(client) = support::cpu() else { return };
    let golden = Golden::open(CASE);
    let engine = load(&client, &model(), None);
    assert_eq!(engine.dtype(), DType::BF16);
    let ours = logits(&engine, &sequences(&golden)).concat();
    let exact: Vec<f32> = golden.sequences.iter().flat_map(|sequence| sequence.logits.clone()).collect();
    let error = ours.iter().zip(&exact).map(|(a, b)| (a - b).abs()).sum::<f32>() / exact.len() as f32;
    println!("{CASE}: mean |logit - float64| in bf16 = {error:.4}");
    let scale = golden.meta["logits_std"].as_f64().unwrap() as f32;
    assert!(error < 0.02 * scale, "{error} of {scale}");
}

#[test]
fn text_becomes_the_ids_of_the_tokenizer_that_the_vocabulary_is_of() {
    let texts = Golden::open(CASE).meta["texts"].as_array().unwrap().clone();
    assert!(texts.len() > 5);
    for case in texts {
        let text = case["text"].as_str().unwrap();
        // Lapidary begins with one <bos>, spelled out or not.
        if !text.starts_with("<bos>") {
            let option = format!("--text={text}");
            assert_eq!(printed("tokenize", &[&option, "--json"])["token_ids"], case["token_ids"], "{text:?}");
        }
    }
}

#[test]
fn commands_that_take_a_model_take_a_file() {
    if support::cpu_plugin().is_none() {
        return;
    }
    let greedy = &Golden::open(CASE).greedy[0];
    let directory = tempfile::tempdir().unwrap();
    let ids = directory.path().join("ids.json");
    std::fs::write(&ids, format!("{:?}", greedy.prompt)).unwrap();
    let ids = ids.to_str().unwrap();
    let count = greedy.new_tokens.len().to_string();
    let f32 = ["--dtype", "f32", "--device", "cpu", "--json", "--quiet"];

    let with = |more: &[&'static str], own: &[&str]| [own, more, &f32].concat().join("\n");
    let generate =
        with(&["--ignore-eos", "--temperature", "0"], &["--token-ids", ids, "--max-new-tokens", &count]);
    let generated = printed("generate", &generate.split('\n').collect::<Vec<_>>());
    assert_eq!(generated["token_ids"], serde_json::json!(greedy.new_tokens));

    let score = with(&[], &["--token-ids", ids]);
    let scored = printed("score", &score.split('\n').collect::<Vec<_>>());
    assert_eq!(scored["sequences"][0]["tokens"], serde_json::json!(greedy.prompt));
}

#[test]
fn what_cannot_be_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out").display().to_string();
    let (success, _, stderr) = lapidary("quantize", &["--to", "int8", "--out", &out]);
    assert!(!success && stderr.contains("is a GGUF file"), "{stderr}");

    let damaged = directory.path().join("damaged.gguf");
    let bytes = std::fs::read(model()).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let output = command::lapidary_command()
        .args(["tokenize", "--text", "x", "--model"])
        .arg(&damaged)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(stderr.contains("damaged.gguf") && stderr.contains("truncated"), "{stderr}");
}
