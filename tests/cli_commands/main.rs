//! The commands as a person runs them: what they print, their exit codes, and what they leave behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bench;
mod builtin;
mod cache;
mod chat;
#[path = "../support/command.rs"]
mod command;
mod compile;
mod doctor;
mod eval;
mod export;
mod inspect;
mod plan;
mod plugin;
#[path = "../support/plugin.rs"]
mod plugin_file;
mod synth;
mod targets;
mod terminal;

use std::path::Path;
use std::process::{Command, Stdio};

use command::Run;

/// `lapidary` with these arguments and nothing to read, not yet started.
fn lapidary(arguments: &[&str]) -> Command {
    let mut command = command::lapidary_command();
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Run {
    command.output().unwrap().into()
}

/// Runs `lapidary` with these arguments.
fn run_lapidary(arguments: &[&str]) -> Run {
    run(&mut lapidary(arguments))
}

/// A random model of the smallest shape in `directory`.
fn tiny_model(directory: &Path, more: &[&str]) -> String {
    let out = directory.join("tiny").display().to_string();
    let mut arguments = vec!["synth", "--config", "tiny", "--out", &out];
    arguments.extend(more);
    let written = run_lapidary(&arguments);
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    out
}

/// Whether there is a CPU plugin. Where there is none, tests that need it fail in CI and say so elsewhere.
fn has_cpu_plugin() -> bool {
    plugin_file::cpu_plugin().is_some()
}
