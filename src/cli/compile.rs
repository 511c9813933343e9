//! `lapidary compile`.

mod advice;
mod compiler;
mod list;
mod make;
mod verify;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use lapidary::target::TargetSpec;

use super::program_args::{ProgramArgs, SplitArgs};
use super::ui::Ui;
use make::MakeArgs;

pub use advice::fitting;
pub use compiler::{Compiler, CompilerArgs};
pub use worker::{WORKER_COMMAND, WorkerArgs, run as worker};

/// Options that look at a bundle, and need nothing else.
const LOOKS: [&str; 2] = ["list", "verify"];
/// What they do not go with.
const MAKES: [&str; 5] = ["ProgramArgs", "SplitArgs", "PhaseArgs", "target", "out"];

/// Arguments of `compile`.
#[derive(Args, Debug)]
#[command(
    mut_arg("model", |arg| arg.required(false).required_unless_present_any(LOOKS)),
    override_usage = "lapidary compile --model <NAME|FILE|DIR> --target <TARGET> --out <DIR> [OPTIONS]
       lapidary compile --list <DIR> [--json]
       lapidary compile --verify <DIR> [--json]",
    after_help = "Examples:
  lapidary compile --model gemma2-27b --target tpu:v5p:2x2x1 --mesh model=4 --batch 16 --context 4096 --out v5p
  lapidary compile --model gemma2-9b --target tpu:v5e:2x2 --mesh model=4 --phase prefill --tokens 128,512 --out v5e
  lapidary compile --list v5p
  lapidary compile --verify v5p

The directory holds programs/NAME/ for each program, with program.mlir (StableHLO), executable.bin, and the
optimized program as optimized.hlo.pb and .txt; manifest.json says what is in it.

Exit code: 0; 1 if --verify finds something that differs; 2 for an error."
)]
pub struct CompileArgs {
    #[command(flatten)]
    program: Option<ProgramArgs>,

    #[command(flatten)]
    split: SplitArgs,

    /// Devices to compile for, which need not be here; `lapidary targets` lists them.
    #[arg(long, value_name = "TARGET", required_unless_present_any = LOOKS)]
    target: Option<TargetSpec>,

    /// Directory to write; it appears when it is complete.
    #[arg(long, short, value_name = "DIR", required_unless_present_any = LOOKS)]
    out: Option<PathBuf>,

    #[command(flatten)]
    make: MakeArgs,

    /// List the programs of a bundle.
    #[arg(long, value_name = "DIR", conflicts_with_all = MAKES, conflicts_with = "verify")]
    list: Option<PathBuf>,

    /// Check that the files of a bundle are what they were, and that the plugin here is the one that compiled them.
    #[arg(long, value_name = "DIR", conflicts_with_all = MAKES)]
    verify: Option<PathBuf>,

    /// Print one object.
    #[arg(long)]
    json: bool,
}

/// Makes a bundle, or looks at one.
///
/// # Errors
/// If a bundle cannot be made or read.
pub fn run(args: CompileArgs, ui: &Ui) -> Result<ExitCode> {
    let CompileArgs { program, split, target, out, make, list, verify, json } = args;
    match (verify, list, program, target, out) {
        (Some(directory), _, _, _, _) => verify::run(&directory, json, ui),
        (None, Some(directory), _, _, _) => list::run(&directory, json),
        (None, None, Some(program), Some(target), Some(out)) => {
            make::run((&program, &split), &target, &out, &make, json, ui)
        }
        // The parser has asked for them.
        (None, None, _, _, _) => bail!("nothing to compile: give --model, --target and --out"),
    }
}
