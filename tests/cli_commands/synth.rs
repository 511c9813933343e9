use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use lapidary::models::checkpoint::Checkpoint;
use serde_json::Value;

use super::{lapidary, run, run_lapidary, tiny_model};

#[test]
fn a_written_model_opens_and_is_described() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("model").display().to_string();
    let shape = ["--layers", "3", "--vocab", "300", "--heads", "2", "--kv-heads", "1", "--dtype", "f32"];
    let mut arguments = vec!["synth", "--config", "tiny", "--out", &out, "--json"];
    arguments.extend(shape.iter().chain(&["--max-shard-size", "100KB"]));
    let written = run_lapidary(&arguments);
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    let report: Value = serde_json::from_str(&written.stdout).unwrap();

    let checkpoint = Checkpoint::open(out.as_ref()).unwrap();
    let config = checkpoint.config();
    assert_eq!((config.num_layers, config.vocab_size, config.num_heads, config.num_kv_heads), (3, 300, 2, 1));
    assert_eq!(config.query_pre_attn_scalar, 32.0, "as in 27B, hidden / heads");
    assert_eq!(report["parameters"], config.parameter_count());
    assert_eq!(report["bytes"], 4 * config.parameter_count());
    assert_eq!(report["tokenizer"], false, "300 ids are too few for one");
    let shards = fs::read_dir(&out).unwrap().flatten();
    let shards = shards.filter(|file| file.path().extension().is_some_and(|end| end == "safetensors"));
    assert_eq!(report["shards"], shards.count());
    assert!(report["shards"].as_u64() > Some(1), "{report}");
}

/// JSON cannot say such a path, and it must be no panic to want it told.
#[test]
#[cfg(target_os = "linux")]
fn a_directory_that_is_not_utf8_is_described() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join(OsStr::from_bytes(b"mod\xffel"));
    let mut command = lapidary(&["synth", "--config", "tiny", "--json", "--out"]);
    let written = run(command.arg(&out));
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    let report: Value = serde_json::from_str(&written.stdout).unwrap();
    assert_eq!(report["path"], out.display().to_string());
    assert!(out.join("config.json").is_file());
}

#[test]
fn the_seed_decides_the_weights() {
    let directory = tempfile::tempdir().unwrap();
    let weights = |name: &str, seed: &str| {
        let out = tiny_model(&directory.path().join(name), &["--seed", seed]);
        fs::read(format!("{out}/model.safetensors")).unwrap()
    };
    let first = weights("a", "1");
    assert!(first == weights("b", "1"));
    assert!(first != weights("c", "2"));
}

#[test]
fn a_model_is_replaced_only_on_request() {
    let directory = tempfile::tempdir().unwrap();
    let out = tiny_model(directory.path(), &[]);
    let again = ["synth", "--config", "tiny", "--out", &out, "--seed", "1"];
    let before = fs::read(format!("{out}/model.safetensors")).unwrap();
    let refused = run_lapidary(&again);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("is not empty") && refused.stderr.contains("--force"),
        "{}",
        refused.stderr
    );
    assert!(before == fs::read(format!("{out}/model.safetensors")).unwrap());
    assert_eq!(run(lapidary(&again).arg("--force")).code, Some(0));
    assert!(before != fs::read(format!("{out}/model.safetensors")).unwrap());
}

#[test]
fn sizes_that_make_no_model_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("model").display().to_string();
    for (arguments, part) in [
        (["gemma2-2", "--layers", "1"], "did you mean `gemma2-2b`?"),
        (["gemma2-2b", "--heads", "6"], "`num_attention_heads` is 6, but must be a multiple"),
        (["gemma2-2b", "--vocab", "100"], "`eos_token_id` is 107"),
        (["gemma-2b", "--window", "64"], "Gemma 1 has no local layers"),
        (["gemma2-2b", "--layers", "-1"], "whole number"),
        (["gemma2-2b", "--max-shard-size", "5XB"], "such as 5GB"),
    ] {
        let mut all = vec!["synth", "--out", &out, "--config"];
        all.extend(arguments);
        let refused = run_lapidary(&all);
        assert_eq!(refused.code, Some(2), "{arguments:?}");
        assert!(refused.stderr.contains(part), "{arguments:?}: {}", refused.stderr);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "{arguments:?} left something");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_model_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("model").display().to_string();
    // Large enough not to be done before the signal.
    let arguments = ["synth", "--config", "gemma2-27b", "--layers", "2", "--out", &out];
    let child = lapidary(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = || fs::read_dir(directory.path()).unwrap().count() > 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !begun() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(begun());
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: sends a signal to our own child, which has not been waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
    let ended: super::Run = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(ended.stderr, "interrupted\n");
    assert_eq!(ended.stdout, "");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
