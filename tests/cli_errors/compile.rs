//! `compile`: targets, meshes, directories and compilers that fail.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Outcome, Sandbox, collect, refused, wait};

const COMPILE: &str = "compile --model tiny --context 64 --phase decode --out bundle";

fn to_cpu() -> String {
    format!("{COMPILE} --target cpu")
}

#[test]
fn targets_and_meshes_that_do_not_go_together() {
    let sandbox = Sandbox::new();
    for (arguments, parts) in [
        ("--target tpu:v5p:3x2x1", ["'--target <TARGET>'", "does not divide 3"]),
        ("--target tpu:v5p:2x2x1", ["the mesh is one device", "such as model=4"]),
        ("--target tpu:v5p:2x2x1 --mesh model=8", ["the mesh model=8 has 8 devices", "has 4"]),
        ("--target cpu --mesh model=2000", ["takes 2000 devices", "at most 1024"]),
        ("--target cpu --time-limit 0", ["'0' for '--time-limit", "above 0"]),
        ("--target cpu --time-limit inf", ["'inf' for '--time-limit", "above 0"]),
        ("--target cpu --list bundle", ["cannot be used with", "'--list <DIR>'"]),
        ("", ["--target <TARGET>", "required"]),
    ] {
        sandbox.refuses(format!("{COMPILE} {arguments}").trim_end(), &parts);
    }
    assert_eq!(sandbox.files(), [""; 0]);
}

#[test]
fn plugins_that_are_not_there() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&format!("{COMPILE} --target cuda:h100"));
    command.env("LAPIDARY_PLUGIN_CUDA", "none.so");
    refused(command, &["LAPIDARY_PLUGIN_CUDA", "none.so"]);
    sandbox.refuses(&format!("{COMPILE} --target cpu --plugin none.so"), &["none.so"]);
    assert_eq!(sandbox.files(), [""; 0]);
}

/// A library that is no plugin is found out in the process that compiles, whose words come through.
#[test]
fn a_library_that_is_no_plugin() {
    let sandbox = Sandbox::new();
    std::fs::copy(env!("CARGO_BIN_EXE_lapidary"), sandbox.path("plugin.so")).unwrap();
    let parts = ["gemma2_decode_b1_t1_c64_bf16 does not compile for cpu", "because: ", "plugin.so"];
    sandbox.refuses(&format!("{COMPILE} --target cpu --plugin plugin.so"), &parts);
    assert_eq!(sandbox.files(), ["plugin.so"]);
}

#[test]
fn a_plugin_that_aborts_leaves_its_last_words() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "bad.c",
        "#include <stdio.h>\n#include <stdlib.h>\n\
         const void *GetPjrtApi(void) { fputs(\"the plugin's last words\\n\", stderr); abort(); }\n",
    );
    // Rust itself links through cc.
    let compiler = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([sandbox.path("bad.so"), sandbox.path("bad.c")])
        .status();
    assert!(compiler.unwrap().success());
    let parts = ["the compiler's process gave up (SIGABRT)", "\nthe plugin's last words\n"];
    sandbox.refuses(&format!("{COMPILE} --target cpu --plugin ./bad.so"), &parts);
    assert_eq!(sandbox.files(), ["bad.c", "bad.so"]);
}

#[test]
fn directories_that_are_in_use() {
    let sandbox = Sandbox::new();
    sandbox.write("bundle", "a file");
    sandbox.refuses(&format!("{COMPILE} --target cpu"), &["cannot write", "bundle"]);
    std::fs::remove_file(sandbox.path("bundle")).unwrap();
    std::fs::create_dir(sandbox.path("bundle")).unwrap();
    sandbox.write("bundle/notes.txt", "mine");
    sandbox.refuses(&format!("{COMPILE} --target cpu"), &["bundle is not empty", "--force"]);
    let parts = ["holds `notes.txt`, which no bundle has", "choose another directory"];
    sandbox.refuses(&format!("{COMPILE} --target cpu --force"), &parts);
    assert_eq!(sandbox.files(), ["bundle"]);
    assert_eq!(std::fs::read(sandbox.path("bundle/notes.txt")).unwrap(), b"mine");
}

#[test]
fn directories_that_are_no_bundles() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("bundle")).unwrap();
    for look in ["compile --list bundle", "compile --verify bundle"] {
        let _ = std::fs::remove_file(sandbox.path("bundle/manifest.json"));
        sandbox.refuses(look, &["bundle/manifest.json cannot be read", "`lapidary compile` writes"]);
        sandbox.write("bundle/manifest.json", "[1, 2");
        sandbox.refuses(look, &["bundle/manifest.json is not the manifest of a bundle"]);
        sandbox.write("bundle/manifest.json", "{\"format\": \"lapidary-bundle/99\"}");
        sandbox.refuses(look, &["of the format `lapidary-bundle/99`", "reads `lapidary-bundle/1`"]);
        sandbox.write("bundle/manifest.json", "{\"format\": \"lapidary-bundle/1\"}");
        sandbox.refuses(look, &["is not the manifest of a bundle", "missing field"]);
    }
}

#[test]
fn a_compiler_that_takes_too_long() {
    let sandbox = Sandbox::new();
    let arguments = format!("{COMPILE} --target cpu --time-limit 0.1");
    let Some(command) = sandbox.command_with_plugin(&arguments) else { return };
    refused(command, &["did not compile for cpu within 0.1 s", "was stopped", "--time-limit"]);
    assert_eq!(sandbox.files(), [""; 0]);
}

#[test]
fn a_compiler_that_is_killed() {
    for (signal, part) in [("-KILL", "was killed from outside (SIGKILL)"), ("-ABRT", "gave up (SIGABRT)")] {
        let sandbox = Sandbox::new();
        let Some((child, outcome)) = interfere(&sandbox, &to_cpu(), |_, compiler| send(signal, compiler))
        else {
            return;
        };
        let parts = ["gemma2_decode_b1_t1_c64_bf16 did not compile for cpu: the compiler's process", part];
        outcome.assert_refusal(signal, &parts);
        assert!(!is_running(child));
        assert_eq!(sandbox.files(), [""; 0]);
    }
}

#[test]
fn ctrl_c_ends_the_compiler_too() {
    let sandbox = Sandbox::new();
    let Some((child, outcome)) = interfere(&sandbox, &to_cpu(), |command, _| send("-INT", command)) else {
        return;
    };
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(130), "interrupted\n"));
    assert!(!is_running(child));
    assert_eq!(sandbox.files(), [""; 0]);
}

/// A command that cannot stop its compiler is missed by it.
#[test]
fn a_compiler_does_not_outlive_a_killed_command() {
    let sandbox = Sandbox::new();
    let Some((child, _)) = interfere(&sandbox, &to_cpu(), |command, _| send("-KILL", command)) else {
        return;
    };
    let started = Instant::now();
    while is_running(child) {
        assert!(started.elapsed() < Duration::from_secs(30), "the compiler goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a command that compiles, does something once the compiler's process is there, and says which that was and how the command ended.
pub fn interfere(sandbox: &Sandbox, arguments: &str, act: impl FnOnce(u32, u32)) -> Option<(u32, Outcome)> {
    let mut command = sandbox.command_with_plugin(arguments)?;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let compiler = compiler_of(&mut child);
    act(child.id(), compiler);
    let code = wait(&mut child);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(stdout.join().unwrap()), text(stderr.join().unwrap()));
    Some((compiler, Outcome { code, stdout, stderr }))
}

/// Waits for a process to have a child of its own that has loaded a plugin.
fn compiler_of(process: &mut Child) -> u32 {
    let id = process.id();
    loop {
        assert!(process.try_wait().unwrap().is_none(), "it ended before it could be interfered with");
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        if let Some(child) = children.split_whitespace().next()
            && std::fs::read_to_string(format!("/proc/{child}/maps")).is_ok_and(|maps| maps.contains("pjrt"))
        {
            return child.parse().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn send(signal: &str, process: u32) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}

/// Whether a process runs; one that waits to be buried does not.
pub fn is_running(process: u32) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}
