//! `scripts/gpu-check` without a GPU: its own tests, its plan, and a run on the CPU with a tiny model.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/plugin.rs"]
mod plugin_file;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Python, where it is here. In CI it has to be.
fn python() -> Option<Command> {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        plugin_file::skip("no python3");
        return None;
    }
    let mut python = Command::new("python3");
    // Nothing is written into the checkout.
    python.arg("-B").current_dir(env!("CARGO_MANIFEST_DIR"));
    Some(python)
}

fn gpu_check(arguments: &str, out: &Path) -> Option<Output> {
    let mut python = python()?;
    python.arg("scripts/gpu-check").args(arguments.split_whitespace());
    Some(python.arg("--out").arg(out).output().unwrap())
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn its_parts_do_what_they_say() {
    let Some(mut python) = python() else { return };
    let output =
        python.args(["-m", "unittest", "discover", "-s", "scripts/gpu_check", "-p", "tests.py"]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("\nOK"), "{}", stderr(&output));
}

#[test]
fn a_dry_run_names_every_step_and_does_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("results");
    let Some(output) = gpu_check("--dry-run --minutes 5 --peers jax --lapidary ./lapidary", &out) else {
        return;
    };
    assert!(output.status.success(), "{}", stderr(&output));
    let plan = String::from_utf8(output.stdout).unwrap();
    for step in ["at most 5 minutes", "parity: ", "lapidary gemma2-27b: ", "jax gemma2-2b: ", "tg32@4096x32"]
    {
        assert!(plan.contains(step), "{step}: {plan}");
    }
    assert!(!plan.contains("torch") && !out.exists());
}

#[test]
fn a_missing_binary_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let Some(output) = gpu_check("--lapidary ./not-there", directory.path()) else { return };
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("not-there: build it with"), "{}", stderr(&output));
}

/// All of it but the card: parity, random weights made by the device, tests by name, limits, results.
#[test]
fn a_quick_run_on_the_cpu_is_complete() {
    if plugin_file::cpu_plugin().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("results");
    let lapidary = env!("CARGO_BIN_EXE_lapidary");
    let arguments = format!("--device cpu --quick --minutes 30 --lapidary {lapidary} --peers=");
    let Some(output) = gpu_check(&arguments, &out) else { return };
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");

    let results: Value = serde_json::from_slice(&fs::read(out.join("results.json")).unwrap()).unwrap();
    assert_eq!(results["complete"], true, "{told}\n{results}");
    let parity = results["parity"].as_array().unwrap();
    assert_eq!(parity.len(), 2, "{parity:?}");
    assert!(parity.iter().all(|case| case["passed"] == true), "{parity:?}");
    let cells = results["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 2, "{cells:?}");
    for cell in cells {
        for figure in ["prefill_tokens_per_s", "of_matrix_rate", "decode_tokens_per_s", "of_bandwidth"] {
            assert!(cell[figure].as_f64().is_some_and(|value| value > 0.0), "{figure}: {cell}");
        }
    }
    assert!(results["limits"]["tiny"]["matrix_peak"].as_f64().unwrap() > 0.0);

    let table = fs::read_to_string(out.join("table.md")).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), table.trim());
    for part in ["A trial of the script", "| gemma2-windowed | passed |", "| tiny | 2 x 32 | Lapidary |"] {
        assert!(table.contains(part), "{part}: {table}");
    }
}
