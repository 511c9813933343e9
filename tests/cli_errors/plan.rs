//! `plan`, `export` and `targets`: models, targets, meshes and sizes that do not exist or go together.

use crate::sandbox::{Sandbox, refused};

const PLAN: &str = "plan --model gemma2-2b --target tpu:v5p:2x2x1";
const EXPORT: &str = "export --model tiny --out programs";

#[test]
fn targets_that_do_not_exist() {
    let sandbox = Sandbox::new();
    for (target, part) in [
        ("gpu:h100", "a target is cpu, tpu:v5p:2x2x1 or cuda:h100"),
        ("tpu:v99:2x2", "no TPU generation is called `v99`; known: v4, v5e, v5p, v6e, tpu7x"),
        ("tpu:v5p:3x2x1", "does not divide 3"),
        ("tpu:v5p:999999999x999999999x999999999", "at most 8960 chips"),
        ("cuda:h300", "no GPU is called `h300`; known: a100-40gb"),
        ("cuda:h100:many", "`many` is not a number of GPUs"),
    ] {
        for command in ["plan --model gemma2-2b", EXPORT] {
            sandbox.refuses(&format!("{command} --target {target}"), &["'--target <TARGET>'", part]);
        }
    }
    sandbox.refuses("plan --model gemma2-2b", &["--target <TARGET>"]);
    assert_eq!(sandbox.files(), [""; 0]);
}

#[test]
fn meshes_that_are_not_the_targets() {
    let sandbox = Sandbox::new();
    let parts = ["the mesh model=2 has 2 devices", "tpu:v5p:2x2x1 has 4", "such as model=4"];
    sandbox.refuses(&format!("{PLAN} --mesh model=2"), &parts);
    sandbox.refuses(&format!("{EXPORT} --target tpu:v5p:2x2x1 --mesh model=2"), &parts);
    sandbox.refuses(&format!("{EXPORT} --target cuda:h100:2"), &["the mesh is one device", "has 2"]);
    sandbox.refuses(&format!("{PLAN} --mesh tensor=4"), &["mesh axis `tensor`", "name it one of"]);
    sandbox.write("rules.toml", "[rules]\nheds = \"model\"\n");
    sandbox.refuses(&format!("{PLAN} --rules rules.toml"), &["--rules rules.toml cannot be used"]);
    sandbox.refuses(&format!("{EXPORT} --rules none.toml"), &["cannot read --rules none.toml"]);
}

#[test]
fn models_that_do_not_exist() {
    let sandbox = Sandbox::new();
    sandbox.write("config.json", "{\"model_type\": \"llama\"}");
    sandbox.write("model.txt", "gemma");
    let command = |model: &str| {
        let mut command = sandbox.command_of(&["plan", "--target", "cpu", "--model", model]);
        command.env("HF_HUB_CACHE", sandbox.path("no-cache"));
        command
    };
    refused(command("gemma2-2"), &["no model `gemma2-2`", "did you mean `gemma2-2b`?"]);
    refused(command("../elsewhere"), &["no model `../elsewhere`", "a model directory", "known: gemma-2b"]);
    refused(command("config.json"), &["config.json does not describe a usable Gemma model", "`model_type`"]);
    refused(command("model.txt"), &["model.txt does not describe", "not valid JSON"]);
    refused(command("."), &["field `model_type`"]);
    refused(command(""), &["--model"]);
}

#[test]
fn sizes_that_make_no_program() {
    let sandbox = Sandbox::new();
    for (flags, part) in [
        ("--batch 0", "a program needs at least one row"),
        ("--context 0", "a program needs at least one position"),
        ("--context 8193", "exceeds the model's context of 8192"),
        ("--context 18446744073709551615", "exceeds the model's context of 8192"),
        ("--batch 18446744073709551615", "give at most 1048576"),
        ("--batch 1048577", "give at most 1048576"),
        ("--batch -1", "'-1' for '--batch <N>'"),
        ("--prefill-batch 0", "at least one row"),
        ("--tokens 0", "at least one token"),
        ("--tokens 9000", "a step of 9000 tokens exceeds the cache of 8192 positions"),
    ] {
        sandbox.refuses(&format!("{PLAN} {flags}"), &[part]);
    }
    for (flags, part) in [
        ("--batch 0", "at least one row"),
        ("--context 2000", "exceeds the model's context of 1024"),
        ("--tokens 1025", "a step of 1025 tokens"),
        ("--phase train", "possible values: prefill, decode, score, score_logits, generate, all"),
    ] {
        sandbox.refuses(&format!("{EXPORT} {flags}"), &[part]);
    }
    assert_eq!(sandbox.files(), [""; 0]);
}

#[test]
fn an_export_that_cannot_be_written_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    sandbox.refuses("export --model tiny --out file", &["cannot write", "file"]);
    sandbox.refuses("export --model tiny --out file/inside", &["cannot write", "file"]);
    sandbox.refuses("export --model tiny --out /", &["cannot write"]);
    sandbox.refuses("export --model tiny", &["--out <DIR>"]);
    assert_eq!(sandbox.files(), ["file"]);
}
