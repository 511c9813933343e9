//! Measurements that cannot be made. All are refused before a plugin starts and before anything is written.

use crate::sandbox::{Sandbox, refused};

#[test]
fn tests_that_a_model_cannot_take() {
    let sandbox = Sandbox::new();
    sandbox.model(|_| ());
    for (flags, parts) in [
        ("--pp 65", &["pp65 takes 65 positions", "context has 64", "--pp", "--depth"][..]),
        ("--pp 8 --tg 4 --depth 0,61", &["pp8 @ d61 takes 69 positions", "context has 64"]),
        ("--pp 0 --tg 1 --depth 64", &["tg1 @ d64 takes 65 positions", "shorten --tg"]),
        ("--depth 18446744073709551615", &["positions", "context has 64"]),
        ("--pp 8 --batch 1,0", &["at least 1 row, not 0", "--batch"]),
        ("--pp 8 --batch 1000000000000", &["1000000000000 rows is beyond measuring", "--batch"]),
        ("--pp 0 --tg 0", &["nothing to measure", "--pp 512"]),
        ("--pp 8,x", &["'x' for '--pp <N,...>': give a whole number"]),
        ("--pp 8,,9", &["'' for '--pp <N,...>'"]),
        ("--tg -1", &["'-1' for '--tg <N,...>': give a whole number"]),
        ("--depth 1.5", &["'1.5' for '--depth <N,...>'"]),
        ("--repetitions 0", &["'--repetitions <N>'", "at least 1"]),
        ("--warmup -1", &["'-1' for '--warmup <N>'"]),
        ("--output xml", &["possible values: md, csv, json"]),
        ("--synth tiny", &["cannot be used with"]),
        ("--layers 2", &["cannot be used with"]),
        ("--pp 8 --virtual-devices 0", &["--virtual-devices must be at least 1"]),
    ] {
        sandbox.refuses(&format!("bench --model model {flags}"), parts);
    }
    sandbox.refuses("bench --model nowhere", &["nowhere"]);
}

#[test]
fn random_models_that_cannot_be_made() {
    let sandbox = Sandbox::new();
    let home = sandbox.path("home");
    for (flags, parts) in [
        ("--synth gemma2-2", &["did you mean `gemma2-2b`?"][..]),
        ("--synth tiny --layers 0", &["num_hidden_layers"]),
        // More than any machine has: 4096 layers of 1.1 GB each.
        ("--synth gemma2-27b --layers 4096", &["the weights take", "of memory left", "--layers"]),
        ("--synth gemma2-27b --layers 4096 --mesh model=0", &["--mesh"]),
    ] {
        let mut command = sandbox.command(&format!("bench {flags}"));
        command.env("LAPIDARY_CACHE_DIR", &home);
        refused(command, parts);
        assert_eq!(sandbox.files(), [""; 0], "{flags} left something");
    }
    sandbox.write("home", "a file");
    let mut command = sandbox.command("bench --synth tiny --pp 8");
    command.env("LAPIDARY_CACHE_DIR", &home);
    refused(command, &["cannot create", "home"]);
}
