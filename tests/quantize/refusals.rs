use std::ops::ControlFlow;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::config::GemmaConfig;
use lapidary::models::dtype::StoredDtype;
use lapidary::models::quantize::{Bits, ModelFiles, QuantizeError, QuantizeOptions, quantize};

use super::{Run, command, go_on, names, quantized, random, run};

/// A small model, and the arguments that quantize it to `out` beside it.
fn tiny(directory: &Path) -> (String, String) {
    let model = random(directory, &GemmaConfig::tiny(), StoredDtype::F32);
    (model.display().to_string(), directory.join("out").display().to_string())
}

#[test]
fn what_cannot_be_done_is_said_and_nothing_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let (model, out) = tiny(directory.path());
    for (arguments, parts) in [
        (&["--to", "int4", "--group", "48"][..], &["groups of 48", "--group"][..]),
        (&["--to", "int4", "--group", "0"], &["such as 64"]),
        (&["--to", "int4", "--keep", "*.dwn_proj"], &["`*.dwn_proj`", "`*.down_proj`"]),
        (&["--to", "int4", "--int8", ""], &["name of a weight"]),
        (&["--to", "int5"], &["int4", "int8"]),
        (&["--to", "int8", "--out", &model], &["is the model itself"]),
        (&["--to", "int8", "--out", &model, "--force"], &["is the model itself"]),
        (&["--to", "int8", "--eval", "no-such-file.txt"], &["no-such-file.txt"]),
        (&["--to", "int8", "--bundle", "x"], &["--bundle"]),
    ] {
        let mut all = vec!["--model", &model];
        if !arguments.contains(&"--out") {
            all.extend(["--out", &out]);
        }
        all.extend(arguments);
        let refused = run(&all);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        for part in parts {
            assert!(refused.stderr.contains(part), "{arguments:?}: {}", refused.stderr);
        }
        assert_eq!(names(directory.path()), ["model"], "{arguments:?} left something");
    }
}

#[test]
fn a_model_is_replaced_only_on_request() {
    let directory = tempfile::tempdir().unwrap();
    let (model, out) = tiny(directory.path());
    let arguments = ["--model", &model, "--to", "int8", "--out", &out];
    assert_eq!(run(&arguments).code, Some(0));
    let refused = run(&arguments);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("is not empty") && refused.stderr.contains("--force"),
        "{}",
        refused.stderr
    );
    assert_eq!(command(&arguments).arg("--force").output().unwrap().status.code(), Some(0));
    std::fs::write(format!("{out}/thesis.tex"), "x").unwrap();
    let refused: Run = command(&arguments).arg("--force").output().unwrap().into();
    assert!(refused.stderr.contains("thesis.tex"), "{}", refused.stderr);
    assert_eq!(names(directory.path()), ["model", "out"]);
}

#[test]
fn what_is_quantized_already_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let (model, out) = tiny(directory.path());
    let cases = [
        ("int8", "int8", "`model.embed_tokens.weight`"),
        ("int4", "keep", "layers.0.self_attn.q_proj.weight`"),
    ];
    for (to, embedding, tensor) in cases {
        let written =
            run(&["--model", &model, "--to", to, "--group", "16", "--embedding", embedding, "--out", &out]);
        assert_eq!(written.code, Some(0), "{}", written.stderr);
        let again = format!("{out}-again");
        let refused = run(&["--model", &out, "--to", "int8", "--out", &again]);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("quantized already") && refused.stderr.contains(tensor),
            "{}",
            refused.stderr
        );
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn weights_that_are_not_numbers_are_named() {
    for (tensor, value) in [
        ("model.layers.1.mlp.down_proj.weight", f32::NAN),
        ("model.embed_tokens.weight", f32::INFINITY),
        ("model.layers.0.input_layernorm.weight", f32::NEG_INFINITY),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let model = random(directory.path(), &GemmaConfig::tiny(), StoredDtype::F32);
        let (at, position) = {
            let checkpoint = Checkpoint::open(&model).unwrap();
            let view = checkpoint.tensor(tensor).unwrap();
            let index = view.element_count() - 2;
            let position = match view.dims() {
                [_, inputs] => vec![index / inputs, index % inputs],
                _ => vec![index],
            };
            (view.range().start + 4 * index, position)
        };
        let file = model.join("model.safetensors");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        std::fs::write(&file, bytes).unwrap();

        let error = quantized(&model, &QuantizeOptions::new(Bits::Eight)).unwrap_err();
        let message = error.to_string();
        let QuantizeError::NonFinite { tensor: named, position: found, .. } = error else {
            panic!("{error}")
        };
        assert_eq!((named.as_str(), found), (tensor, position));
        assert!(message.contains("model.safetensors"), "{message}");
        assert_eq!(names(directory.path()), ["model"]);
    }
}

#[test]
fn cancelling_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let model = random(directory.path(), &GemmaConfig::tiny(), StoredDtype::Bf16);
    let checkpoint = Checkpoint::open(&model).unwrap();
    let mut calls = 0;
    let mut progress = |_| {
        calls += 1;
        if calls == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let (out, options) = (directory.path().join("out"), QuantizeOptions::new(Bits::Eight));
    let files = ModelFiles::Directory(&model);
    let error = quantize(&checkpoint, files, &out, &options, &mut progress);
    assert!(matches!(error, Err(QuantizeError::Cancelled(_))));
    assert_eq!(names(directory.path()), ["model"]);
    // And a model that was to be replaced is still there.
    quantize(&checkpoint, files, &out, &options, &mut go_on).unwrap();
    let before = std::fs::read(out.join("model.safetensors")).unwrap();
    let replacing = QuantizeOptions { replace: true, ..QuantizeOptions::new(Bits::Four) };
    let mut stop = |_| ControlFlow::Break(());
    assert!(quantize(&checkpoint, files, &out, &replacing, &mut stop).is_err());
    assert!(before == std::fs::read(out.join("model.safetensors")).unwrap());
    assert_eq!(names(directory.path()), ["model", "out"]);
}

#[test]
fn an_interrupted_model_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    // Large enough not to be done before the signal.
    let config = GemmaConfig { vocab_size: 1 << 16, hidden_size: 1 << 10, ..GemmaConfig::tiny() };
    let model = random(directory.path(), &config, StoredDtype::Bf16);
    let out = directory.path().join("out");
    let arguments = ["--model", model.to_str().unwrap(), "--to", "int4", "--embedding", "int4", "--out"];
    let mut command = command(&arguments);
    let child = command.arg(&out).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = || names(directory.path()).len() > 1;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !begun() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(begun());
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: sends a signal to our own child, which has not been waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
    let ended: Run = child.wait_with_output().unwrap().into();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(130), "interrupted\n"));
    assert_eq!(names(directory.path()), ["model"]);
}

/// A limit on the size of files stands for the full disk.
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let (model, out) = tiny(directory.path());
    let mut command = command(&["--model", &model, "--to", "int8", "--out", &out]);
    let limit = libc::rlimit { rlim_cur: 40_000, rlim_max: 40_000 };
    // SAFETY: only makes a system call, on a value that it owns.
    let lower = move || match unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    // SAFETY: between fork and exec, `lower` calls nothing but what signal handlers may.
    let failed: Run = unsafe { command.pre_exec(lower) }.output().unwrap().into();
    assert_eq!(failed.code, Some(2), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("cannot write") && failed.stderr.contains("because: "),
        "{}",
        failed.stderr
    );
    assert_eq!(names(directory.path()), ["model"]);
}
