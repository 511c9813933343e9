//! `export --hlo`: compilers that fail or are missing, and directories.

use std::process::Command;

use crate::compile::{interfere, is_running, send};
use crate::sandbox::{Sandbox, refused};

const EXPORT: &str = "export --model tiny --context 64 --hlo --out programs";

#[test]
fn what_does_not_go_together() {
    let sandbox = Sandbox::new();
    for (arguments, parts) in [
        ("export --model tiny --out programs --plugin a.so", ["--hlo", "required"]),
        ("export --model tiny --out programs --time-limit 5", ["--hlo", "required"]),
        ("export --model tiny --hlo --mesh data=2000 --out programs", ["takes 2000 devices", "at most 1024"]),
        ("export --model tiny --hlo --plugin none.so --out programs", ["none.so", "none.so"]),
    ] {
        sandbox.refuses(arguments, &parts);
    }
    let mut command = sandbox.command(&format!("{EXPORT} --target cuda:h100"));
    command.env("LAPIDARY_PLUGIN_CUDA", "none.so");
    refused(command, &["LAPIDARY_PLUGIN_CUDA", "none.so"]);
    assert_eq!(sandbox.files(), [""; 0]);
}

#[test]
fn a_compiler_that_fails_leaves_what_was_there() {
    let sandbox = Sandbox::new();
    let mut first = sandbox.command("export --model tiny --context 64 --phase decode --out programs");
    assert!(first.output().unwrap().status.success());
    let exported = || std::fs::read(sandbox.path("programs/manifest.json")).unwrap();
    let before = exported();
    sandbox.write("bad.c", "#include <stdlib.h>\nconst void *GetPjrtApi(void) { abort(); }\n");
    // Rust itself links through cc.
    let compiler = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([sandbox.path("bad.so"), sandbox.path("bad.c")])
        .status();
    assert!(compiler.unwrap().success());
    sandbox.refuses(&format!("{EXPORT} --plugin ./bad.so"), &["programs is not empty", "--force"]);
    let parts = ["gemma2_prefill_b1_t64_c64_bf16 did not compile for cpu", "gave up (SIGABRT)"];
    sandbox.refuses(&format!("{EXPORT} --force --plugin ./bad.so"), &parts);
    assert_eq!(sandbox.files(), ["bad.c", "bad.so", "programs"]);
    assert_eq!(exported(), before);
}

#[test]
fn a_compiler_that_takes_too_long() {
    let sandbox = Sandbox::new();
    let Some(command) = sandbox.command_with_plugin(&format!("{EXPORT} --time-limit 0.01")) else { return };
    refused(command, &["within 0.01 s", "was stopped", "--time-limit"]);
    assert_eq!(sandbox.files(), [""; 0]);
}

#[test]
fn ctrl_c_ends_the_compiler_too() {
    let sandbox = Sandbox::new();
    let Some((child, outcome)) = interfere(&sandbox, EXPORT, |command, _| send("-INT", command)) else {
        return;
    };
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(130), "interrupted\n"));
    assert!(!is_running(child));
    assert_eq!(sandbox.files(), [""; 0]);
}
