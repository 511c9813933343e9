//! The command with `--bundle`.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::bundles::{edit, fixture};
use crate::command::lapidary_command;
use crate::support::cpu_plugin;

struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn lapidary(arguments: &[&str]) -> Run {
    run_of(lapidary_command().args(arguments))
}

fn run_of(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn json(run: &Run) -> Value {
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    serde_json::from_str(&run.stdout).unwrap()
}

/// A file with prompts as ids.
fn prompts(directory: &tempfile::TempDir) -> String {
    let path = directory.path().join("ids.json");
    fs::write(&path, "[[2, 9, 17, 30], [2, 5]]").unwrap();
    path.display().to_string()
}

#[test]
fn commands_run_from_a_bundle_and_say_so() {
    if cpu_plugin().is_none() {
        return;
    }
    let (fixture, directory) = (fixture(), tempfile::tempdir().unwrap());
    let (model, bundle, ids) =
        (fixture.model(), fixture.bundle("two").display().to_string(), prompts(&directory));
    let generate = ["generate", "--model", &model, "--token-ids", &ids, "-n", "6", "--ignore-eos", "--json"];
    let plain = json(&lapidary(&generate));
    let elsewhere = tempfile::tempdir().unwrap();
    let from_bundle = [&generate[..], &["--bundle", &bundle, "-v"]].concat();
    let run = run_of(lapidary_command().args(from_bundle).current_dir(&elsewhere));
    // The plugin would dump a program as it loads it, had it been told to when it was compiled.
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    let bundled = json(&run);
    assert_eq!(bundled["generations"], plain["generations"]);
    assert_eq!(bundled["timings"]["compile_cached"], true);
    let programs = serde_json::json!({"compiled": 0, "cached": 0, "bundled": 2});
    assert_eq!(bundled["timings"]["programs"], programs);
    assert_eq!(run.stderr.lines().count(), 2, "{}", run.stderr);
    assert!(
        run.stderr.lines().all(|line| line.contains(", from the bundle; compiling took ")),
        "{}",
        run.stderr
    );

    let score = ["score", "--model", &model, "--token-ids", &ids, "--json"];
    let (plain, bundled) =
        (json(&lapidary(&score)), json(&lapidary(&[&score[..], &["--bundle", &bundle]].concat())));
    let mean = |scores: &Value| scores["sequences"][0]["mean_nll"].as_f64().unwrap();
    assert!((mean(&plain) - mean(&bundled)).abs() < 1e-4);

    let bench = ["bench", "--model", &model, "--bundle", &bundle, "--pp", "16", "--tg", "4", "-r", "1"];
    let bench = json(&lapidary(&[&bench[..], &["--batch", "3", "-o", "json"]].concat()));
    let compiling = &bench["compiling"];
    assert_eq!((&compiling["programs"], &compiling["from_bundle"]), (&2.into(), &2.into()), "{compiling}");
}

#[test]
fn pebble_runs_from_a_bundle_of_its_own() {
    if cpu_plugin().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("pebble").display().to_string();
    let sizes = ["--context", "128", "--batch", "2", "--tokens", "64", "--dtype", "f32"];
    let made = lapidary(
        &[&["compile", "--model", "pebble", "--target", "cpu", "--out", &bundle], &sizes[..]].concat(),
    );
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let generate = ["generate", "--prompt", "Once upon a time", "--dtype", "f32", "-n", "12", "--json"];
    let text = |run: Run| json(&run)["text"].as_str().unwrap().to_owned();
    let plain = text(lapidary(&generate));
    assert!(!plain.is_empty());
    assert_eq!(text(lapidary(&[&generate[..], &["--bundle", &bundle]].concat())), plain);
    // A window is as long as the bundle's cache.
    let corpus = directory.path().join("text.txt");
    fs::write(&corpus, "Mia had a red ball. ".repeat(30)).unwrap();
    let eval = ["eval", &corpus.display().to_string(), "--bundle", &bundle, "--json"].map(str::to_owned);
    let eval = json(&lapidary(&eval.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!((&eval["settings"]["context"], &eval["settings"]["batch"]), (&128.into(), &2.into()));
}

#[test]
fn what_does_not_fit_is_told_before_anything_is_loaded() {
    let (fixture, directory) = (fixture(), tempfile::tempdir().unwrap());
    let (model, bundle, ids) =
        (fixture.model(), fixture.bundle("two").display().to_string(), prompts(&directory));
    let generate = ["generate", "--model", &model, "--token-ids", &ids, "--bundle", &bundle];
    for (more, told) in [
        (&["--mesh", "model=4"][..], "is for the mesh model=2, but the mesh model=4 was asked for"),
        (&["--dtype", "bf16"], "runs in f32, but --dtype bf16 was asked for"),
        (&["--virtual-devices", "1"], "is for 2 devices, but --virtual-devices 1 was asked for"),
        (&["--device", "cuda"], "is for cpu, but the device here is cuda"),
    ] {
        let run = lapidary(&[&generate[..], more].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    let pebble = lapidary(&["generate", "--prompt", "One", "--bundle", &bundle]);
    assert!(
        pebble.stderr.contains("is of `model`, but this model differs: vocab_size is "),
        "{}",
        pebble.stderr
    );
    let lone = lapidary(&["generate", "--prompt", "One", "--recompile"]);
    assert!(lone.code == Some(2) && lone.stderr.contains("--bundle"), "{}", lone.stderr);
}

#[test]
fn compiling_again_is_said_once() {
    if cpu_plugin().is_none() {
        return;
    }
    let (fixture, directory) = (fixture(), tempfile::tempdir().unwrap());
    let (_copy, bundle) = fixture.copy();
    edit(&bundle, |manifest| {
        manifest["plugin"]["version"] = "0.9.9".into();
        manifest["plugin"]["sha256"] = "0".repeat(64).into();
    });
    let (model, ids, path) = (fixture.model(), prompts(&directory), bundle.display().to_string());
    let generate =
        ["generate", "--model", &model, "--token-ids", &ids, "-n", "3", "--json", "--bundle", &path];
    let refused = lapidary(&generate);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.trim_end().ends_with("or add --recompile"), "{}", refused.stderr);
    let again = lapidary(&[&generate[..], &["--recompile", "--no-cache"]].concat());
    let timings = json(&again)["timings"].clone();
    assert_eq!((&timings["compile_cached"], &timings["programs"]["compiled"]), (&false.into(), &2.into()));
    assert_eq!(again.stderr.lines().count(), 1, "{}", again.stderr);
    assert!(
        again.stderr.contains(" was compiled by the cpu plugin version 0.9.9 (SHA-256 000000000000...), but the one here is version ")
            && again.stderr.trim_end().ends_with("; compiling its programs again"),
        "{}", again.stderr
    );
}
