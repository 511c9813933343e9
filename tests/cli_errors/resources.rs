//! `compile` and `plan --compile` where the devices' memory or this machine's disk is not enough.

use std::process::Command;

use lapidary::runtime::plugins::PluginKind;
use serde_json::Value;

use crate::plugin_file;
use crate::sandbox::{Sandbox, refused, run};

const TOO_LARGE: &str = "--model tiny --target tpu:v5e:1x1 --batch 65536 --context 1024";

#[test]
fn programs_that_are_larger_than_the_memory() {
    if plugin_file::plugin(PluginKind::Tpu).is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let parts = [
        "gemma2_decode_b65536_t1_c1024_bf16 does not compile for tpu:v5e:1x1: it needs ",
        "of a device's memory, which has 15.75 GiB; by `lapidary plan`, which prefills 1 sequence at a time, there is \
         room for ",
        " sequences at most of context 1024, or with 65536 sequences for a context of ",
        ", or all of it with --target tpu:v5e:",
    ];
    sandbox.refuses(&format!("compile {TOO_LARGE} --phase decode --out bundle"), &parts);
    assert_eq!(sandbox.files(), [""; 0]);
}

/// That a program does not fit is what a plan is asked, and no failure.
#[test]
fn a_plan_that_the_compiler_does_not_find_room_for() {
    if plugin_file::plugin(PluginKind::Tpu).is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&format!("plan {TOO_LARGE} --tokens 8 --compile --json"));
    command.env("TMPDIR", sandbox.path(""));
    let outcome = run(command);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let decode = &report["compiled"]["programs"][0];
    assert_eq!((&decode["outcome"], &decode["phase"]), (&"out_of_memory".into(), &"decode".into()));
    assert!(decode["message"].as_str().unwrap().contains("which has 15.75 GiB"), "{decode}");
    assert_eq!(report["compiled"]["programs"][1]["outcome"], "compiled");
    assert_eq!(sandbox.files(), [""; 0]);
}

/// A limit of the size of files acts as a full disk does, wherever it comes to pass.
#[test]
fn disks_that_are_full() {
    let Some(plugin) = plugin_file::cpu_plugin() else { return };
    let compile = "compile --model tiny --context 64 --phase decode --target cpu --out bundle --plugin";
    // The program as text takes some 50 KB, the executable 120 or more; limits are in blocks of 512 bytes.
    for (blocks, part) in
        [(20, "cannot write "), (160, "for what the compiler makes of gemma2_decode_b1_t1_c64_bf16")]
    {
        let sandbox = Sandbox::new();
        let lapidary = sandbox.command("");
        let mut command = Command::new("/bin/sh");
        let script = format!("ulimit -f {blocks}; exec \"$0\" {compile} \"$1\"");
        command.args(["-c", &script]).arg(lapidary.get_program()).arg(&plugin).current_dir(sandbox.path(""));
        refused(command, &[part]);
        assert_eq!(sandbox.files(), [""; 0]);
    }
}

#[test]
fn a_compiler_without_compiling() {
    let sandbox = Sandbox::new();
    for option in ["--time-limit 5", "--plugin none.so"] {
        let command = format!("plan --model tiny --target cpu {option}");
        sandbox.refuses(&command, &["required arguments were not provided", "--compile"]);
    }
    let command = "plan --model tiny --target cpu --context 64 --compile --plugin none.so";
    sandbox.refuses(command, &["none.so"]);
}
