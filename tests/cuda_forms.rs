//! What XLA makes of the forms that the GPU's table chooses, for GPUs that are not here. Nothing runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/absent_cuda.rs"]
mod absent_cuda;
#[path = "support/command.rs"]
mod command;
#[path = "support/plugin.rs"]
mod plugin_file;

use std::fs;
use std::path::Path;

use absent_cuda::can_compile;
use command::lapidary_command;
use serde_json::Value;

/// Compiles one program into `bundle`, and returns the optimized HLO.
fn compile(arguments: &str, bundle: &Path) -> String {
    let mut command = lapidary_command();
    command.args("compile --model tiny --context 64 --quiet".split(' ')).args(arguments.split(' '));
    let output = command.arg("--out").arg(bundle).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    let programs: Vec<_> = fs::read_dir(bundle.join("programs")).unwrap().collect();
    assert_eq!(programs.len(), 1, "{arguments}");
    fs::read_to_string(programs[0].as_ref().unwrap().path().join("optimized.hlo.txt")).unwrap()
}

/// The lines that are products.
fn dots(hlo: &str) -> Vec<&str> {
    hlo.lines().filter(|line| line.contains(" dot(")).collect()
}

#[test]
fn f32_products_are_never_rounded_to_tf32() {
    if !can_compile() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for target in ["cuda:h100", "cuda:a100-80gb"] {
        let bundle = directory.path().join(target.replace(':', "-"));
        let arguments = format!("--target {target} --dtype f32 --batch 2 --phase prefill --tokens 16");
        let hlo = compile(&arguments, &bundle);
        assert!(dots(&hlo).len() >= 7, "{target}: a product of each kind");
        for dot in dots(&hlo) {
            assert!(dot.contains("operand_precision={highest,highest}"), "{target}: {dot}");
        }
        assert!(!hlo.to_ascii_lowercase().contains("tf32"), "{target}");
    }
}

#[test]
fn bf16_products_take_bf16_operands() {
    if !can_compile() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle");
    let hlo = compile("--target cuda:h100 --dtype bf16 --batch 8 --phase prefill --tokens 16", &bundle);
    assert!(dots(&hlo).len() >= 7, "a product of each kind");
    for dot in dots(&hlo) {
        assert!(!dot.contains("operand_precision"), "{dot}");
    }
    // Weights are parameters of the computations that multiply, in their own type.
    let weights = |dtype: &str| hlo.matches(&format!("= {dtype}[")).count();
    assert!(weights("bf16") > 0 && !hlo.to_ascii_lowercase().contains("tf32"));
}

/// What `inspect` says of the only program of a bundle.
fn inspect(bundle: &Path) -> Value {
    let output = lapidary_command().args(["inspect", "--json"]).arg(bundle).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["programs"][0].clone()
}

/// The batch dimension of one row is dropped by us. Where XLA does it, it has made a transposed copy of every layer's
/// keys before, and another one of the cache that it then cannot update in place.
#[test]
fn one_row_reads_its_keys_where_they_are() {
    if !can_compile() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for target in ["cuda:h100", "cuda:a100-80gb"] {
        for batch in [1, 2] {
            let bundle = directory.path().join(format!("{}-{batch}", target.replace(':', "-")));
            compile(&format!("--target {target} --dtype bf16 --batch {batch} --phase decode"), &bundle);
            let program = inspect(&bundle);
            let copies = program["copies"].as_array().unwrap();
            assert!(copies.is_empty(), "{target}, {batch} rows: {copies:?}");
        }
    }
}

/// A gather of one row, as decode of one sequence has it, is not a dynamic slice that needs the whole table.
#[test]
fn one_row_of_a_split_embedding_is_looked_up_where_it_is() {
    if !can_compile() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle");
    let arguments = "--target cuda:h100:2 --mesh model=2 --dtype bf16 --batch 1 --phase decode";
    let hlo = compile(arguments, &bundle);
    assert!(!hlo.contains("all-gather"), "the embedding travels");
    let program = inspect(&bundle);
    let collectives = program["collectives"].as_array().unwrap();
    assert!(collectives.iter().all(|each| each["kind"] == "all-reduce"), "{collectives:?}");
    assert!(collectives.iter().any(|each| each["path"] == "embed"), "{collectives:?}");
}

#[test]
fn a_flag_of_xla_reaches_the_compiler_and_the_manifest() {
    if !can_compile() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle");
    let arguments = "--target cuda:h100 --dtype bf16 --batch 8 --phase prefill --tokens 16 \
                     --xla-flag xla_gpu_enable_triton_gemm=false";
    let hlo = compile(&arguments.split_whitespace().collect::<Vec<_>>().join(" "), &bundle);
    assert!(hlo.contains("__cublas") && !hlo.contains("gemm_fusion"), "Triton is left out");
    let manifest: Value = serde_json::from_slice(&fs::read(bundle.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["target"]["compiler_flags"]["xla_gpu_enable_triton_gemm"], false, "{manifest}");

    let unknown = directory.path().join("unknown");
    let mut command = lapidary_command();
    command.args("compile --model tiny --context 64 --phase decode --target cuda:h100 --out".split(' '));
    let output = command.arg(&unknown).args(["--xla-flag", "xla_gpu_nope=1"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("No such compile option: 'xla_gpu_nope'") && !unknown.exists(), "{stderr}");
}
