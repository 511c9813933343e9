//! `lapidary quantize`: what is written, what is refused, and what it takes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/command.rs"]
mod command;
mod decoded;
mod memory;
mod perplexity;
#[path = "../support/plugin.rs"]
mod plugin_file;
mod refusals;
mod written;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use command::Run;
use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::config::GemmaConfig;
use lapidary::models::dtype::StoredDtype;
use lapidary::models::progress::Progress;
use lapidary::models::quantize::{ModelFiles, QuantizeError, QuantizeOptions, QuantizeReport, quantize};
use lapidary::models::synth::{SynthOptions, synth};

/// `lapidary quantize` with these arguments and nothing to read, not yet started.
fn command(arguments: &[&str]) -> Command {
    let mut command = command::lapidary_command();
    command.arg("quantize").args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Run {
    command(arguments).output().unwrap().into()
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A random model in `directory`.
fn random(directory: &Path, config: &GemmaConfig, dtype: StoredDtype) -> PathBuf {
    let model = directory.join("model");
    synth(config, &model, &SynthOptions { dtype, ..SynthOptions::default() }, &mut go_on).unwrap();
    model
}

/// Quantizes the model in `model` to `out` beside it.
fn quantized(model: &Path, options: &QuantizeOptions) -> Result<(PathBuf, QuantizeReport), QuantizeError> {
    let out = model.with_file_name("out");
    let checkpoint = Checkpoint::open(model).unwrap();
    let report = quantize(&checkpoint, ModelFiles::Directory(model), &out, options, &mut go_on)?;
    Ok((out, report))
}

/// The names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
