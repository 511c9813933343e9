//! Flags with absurd values.

use serde_json::Value;

use crate::sandbox::{Sandbox, run};

fn with_model() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.model(|_| ());
    sandbox.write("ids.json", "[[1, 2, 3], [4]]");
    sandbox
}

#[test]
fn values_out_of_range() {
    let sandbox = with_model();
    for (flag, part) in [
        ("--temperature -1", "temperature must be 0 or greater, not -1"),
        ("--temperature nan", "temperature must be 0 or greater, not NaN"),
        ("--temperature inf", "temperature must be"),
        ("--temperature warm", "'--temperature <T>'"),
        ("--top-p 0", "top-p must be in (0, 1], not 0"),
        ("--top-p 2", "top-p must be in (0, 1], not 2"),
        ("--steps-per-dispatch 0", "give at least 1"),
        ("--steps-per-dispatch 99999999999", "give at most 1024"),
        ("--kernels linear,gelu", "`gelu` is no kernel"),
        ("--min-p -0.5", "min-p must be in [0, 1], not -0.5"),
        ("--repetition-penalty 0", "repetition penalty must be greater than 0, not 0"),
        ("--top-k -1", "'-1' for '--top-k <K>': give a whole number from 0"),
        ("--seed -1", "'-1' for '--seed <SEED>': give a whole number from 0"),
        ("--seed 18446744073709551616", "'--seed <SEED>': give a whole number from 0"),
        ("--max-new-tokens -5", "'-5' for '--max-new-tokens <N>': give a whole number from 0"),
        ("--max-new-tokens 100000000000000000000", "'--max-new-tokens <N>': give a whole number"),
        ("--max-new-tokens 1.5", "'--max-new-tokens <N>': give a whole number"),
        ("--dtype f64", "possible values: auto, bf16, f32"),
        ("--device gpu", "possible values: auto, cpu, tpu, cuda"),
        ("--promt hi", "a similar argument exists: '--prompt'"),
        ("--prompt hi", "cannot be used with '--prompt <TEXT>'"),
    ] {
        sandbox.refuses(&format!("generate --model model --token-ids ids.json {flag}"), &[part]);
    }
    sandbox.refuses("genrate", &["a similar subcommand exists: 'generate'"]);
    let empty = ["generate", "--model", "model", "--prompt", "hi", "--stop", ""];
    crate::sandbox::refused(sandbox.command_of(&empty), &["--stop"]);
    let nameless = ["generate", "--model", "", "--prompt", "hi"];
    crate::sandbox::refused(sandbox.command_of(&nameless), &["--model"]);
}

#[test]
fn an_absent_tpu_is_told_at_once() {
    if ["/dev/accel0", "/dev/vfio/0"].iter().any(|path| std::path::Path::new(path).exists()) {
        crate::plugin_file::skip("this machine may have a TPU");
        return;
    }
    let sandbox = with_model();
    let command = "generate --model model --token-ids ids.json --device tpu";
    sandbox.refuses(command, &["no TPU is attached", "--device"]);
    let command = "generate --model model --token-ids ids.json --device cpu --plugin elsewhere/libtpu.so";
    sandbox.refuses(command, &["no TPU is attached", "--device"]);
}

/// More tokens than any context holds must neither overflow nor be allocated for: the context ends the answer.
#[test]
fn a_quintillion_new_tokens_end_at_the_context() {
    let sandbox = with_model();
    let arguments = "generate --model model --token-ids ids.json --ignore-eos --json --max-new-tokens 1000000000000000000";
    let Some(command) = sandbox.command_with_plugin(arguments) else { return };
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    for (generation, prompt_len) in report["generations"].as_array().unwrap().iter().zip([3, 1]) {
        assert_eq!(generation["finish_reason"], "length");
        // The last token need not be fed back, so it needs no position.
        assert_eq!(generation["token_ids"].as_array().unwrap().len(), 64 - prompt_len + 1);
    }
}

#[test]
fn no_new_tokens_are_no_error() {
    let sandbox = with_model();
    let arguments = "generate --model model --token-ids ids.json --json --max-new-tokens 0";
    let Some(command) = sandbox.command_with_plugin(arguments) else { return };
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    for generation in report["generations"].as_array().unwrap() {
        assert_eq!(generation["finish_reason"], "length");
        assert!(generation["token_ids"].as_array().unwrap().is_empty());
    }
}
