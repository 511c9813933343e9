//! Gemma compiles for NVIDIA GPUs that are not here, and the bundles' reports make sense. Nothing runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/absent_cuda.rs"]
mod absent_cuda;
#[path = "support/command.rs"]
mod command;
#[path = "support/plugin.rs"]
mod plugin_file;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use absent_cuda::{INSTALL, can_compile};
use command::lapidary_command;
use lapidary::runtime::plugins::PluginKind;
use serde_json::Value;

/// Tiny programs of the phases without loops, whose reports need no caveat.
const SIZES: &str =
    "--model tiny --batch 2 --context 64 --phase prefill --phase decode --phase score --tokens 16";
fn lapidary(arguments: &str, path: &Path) -> Output {
    lapidary_command().args(arguments.split_whitespace()).arg(path).output().unwrap()
}

/// The standard output of a command that succeeds and says nothing else.
fn silent(arguments: &str, path: &Path) -> String {
    let output = lapidary(arguments, path);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*stderr), (Some(0), ""), "{arguments}");
    String::from_utf8(output.stdout).unwrap()
}

/// Compiles, and returns what `inspect` says of each program.
fn compile_and_inspect(arguments: &str) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle");
    let compiled = silent(&format!("compile {arguments} --json --out"), &bundle);
    let compiled: Value = serde_json::from_str(&compiled).unwrap();
    assert_eq!(compiled["plugin"]["kind"], "cuda", "{compiled}");
    let report: Value = serde_json::from_str(&silent("inspect --json", &bundle)).unwrap();
    let programs = report["programs"].as_array().unwrap().clone();
    for program in &programs {
        check(program);
    }
    programs
}

/// What holds for every program on every GPU.
fn check(program: &Value) {
    let name = &program["name"];
    assert_eq!(program["is_scheduled"], true, "{name}");
    let number = |pointer: &str| program.pointer(pointer).and_then(Value::as_f64).unwrap_or_default();
    assert_eq!(program["memory"]["temporaries_source"], "compiler", "{name}");
    assert!(number("/memory/temporaries_bytes") > 0.0 && number("/memory/kv_cache_bytes") > 0.0, "{name}");
    assert!(number("/memory/total_bytes") < number("/memory/available_bytes"), "{name}");
    assert!(number("/traffic/ratio") >= 1.0 && number("/flops/elementwise") > 0.0, "{name}: {program}");
    // Products of a single row become arithmetic on elements; nothing is computed twice.
    assert!(number("/flops/ratio") <= 1.0, "{name}: {}", program["flops"]);
    assert!(number("/estimate/seconds") > 0.0, "{name}: {}", program["estimate"]);
    for caveat in program["caveats"].as_array().unwrap() {
        let caveat = caveat.as_str().unwrap();
        for doubt in
            ["TPU", "on-chip memory", "not scheduled", "nothing says how often", "no time is estimated"]
        {
            assert!(!caveat.contains(doubt), "{name}: {caveat}");
        }
    }
}

fn names(programs: &[Value]) -> Vec<&str> {
    programs.iter().map(|program| program["name"].as_str().unwrap()).collect()
}

#[test]
fn gemma_compiles_for_one_absent_gpu() {
    if !can_compile() {
        return;
    }
    let programs = compile_and_inspect(&format!("{SIZES} --target cuda:h100"));
    let shapes = ["prefill_b2_t16_c64_bf16", "decode_b2_t1_c64_bf16", "score_b2_t16_c64_bf16"];
    assert_eq!(names(&programs), shapes.map(|shape| format!("gemma2_{shape}")));
    for program in &programs {
        assert_eq!(program["collectives"].as_array().unwrap().len(), 0, "{}", program["name"]);
        assert_eq!(program["memory"]["available_bytes"], 84_942_979_072_u64);
    }
}

#[test]
fn gemma_compiles_for_two_absent_gpus() {
    if !can_compile() {
        return;
    }
    let whole = "--target cuda:a100-80gb --model tiny --batch 2 --context 64 --phase prefill --tokens 16";
    let whole = compile_and_inspect(whole);
    let parts = compile_and_inspect(&format!("{SIZES} --target cuda:h100:2 --mesh model=2"));
    for field in ["weights_bytes", "kv_cache_bytes"] {
        let [whole, part] = [&whole[0], &parts[0]].map(|program| program["memory"][field].as_f64().unwrap());
        assert!((0.5..0.55).contains(&(part / whole)), "{field}: {part} of {whole}");
    }
    // One all-reduce after attention and one after the MLP of each of the two layers, and one for the embedding.
    let prefill = parts[0]["collectives"].as_array().unwrap();
    let of = |path: &str| -> Vec<_> {
        prefill
            .iter()
            .filter(|each| each["path"] == path)
            .map(|each| (&each["kind"], &each["count"]))
            .collect()
    };
    let all_reduce = Value::from("all-reduce");
    assert_eq!(of("layers.*.attn"), [(&all_reduce, &2.into())]);
    assert_eq!(of("layers.*.mlp"), [(&all_reduce, &2.into())]);
    assert_eq!(of("embed"), [(&all_reduce, &1.into())]);
    assert_eq!(prefill.len(), 3, "{prefill:?}");
}

#[test]
fn every_gpu_of_the_table_has_a_compiler() {
    if !can_compile() {
        return;
    }
    for gpu in ["a100-40gb", "h200", "b200", "l4"] {
        let arguments = "--model tiny --context 32 --phase decode";
        assert_eq!(compile_and_inspect(&format!("{arguments} --target cuda:{gpu}")).len(), 1);
    }
}

/// A plugin by itself, as earlier versions installed it.
#[test]
fn a_missing_compiler_is_named_with_the_command_that_brings_it() {
    let Some(library) = plugin_file::plugin(PluginKind::Cuda) else { return };
    let directory = tempfile::tempdir().unwrap();
    let alone = directory.path().join("jax_plugins/xla_cuda13/plugin.so");
    fs::create_dir_all(alone.parent().unwrap()).unwrap();
    // The loader follows no link to where a library's companions are.
    if fs::hard_link(&library, &alone).is_err() {
        symlink(&library, &alone).unwrap();
    }
    let bundle = directory.path().join("bundle");
    let mut command = lapidary_command();
    command.args("compile --model tiny --context 32 --phase decode --target cuda:h100 --out".split(' '));
    let output = command.arg(&bundle).arg("--plugin").arg(&alone).env("PATH", "").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    // Which of the two is missed first is the compiler's affair.
    let named = ["NVIDIA's libdevice", "NVIDIA's ptxas"].iter().any(|missing| stderr.contains(missing));
    assert!(named && stderr.contains(INSTALL), "{stderr}");
    assert!(!bundle.exists());
}
