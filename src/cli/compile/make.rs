//! Making a bundle.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use lapidary::bundle::NewBundle;
use lapidary::export::{Export, ExportRequest};
use lapidary::plan::PlanRequest;
use lapidary::target::TargetSpec;

use super::advice::advise;
use super::compiler::{Compiler, CompilerArgs};
use super::list;
use crate::cli::phases::PhaseArgs;
use crate::cli::program_args::{ProgramArgs, ProgramChoice, SplitArgs};
use crate::cli::ui::Ui;
use crate::cli::xla_flag::XlaFlag;
use crate::cli::{device, interrupt, xla_flag};

/// How to make a bundle.
#[derive(Args, Debug)]
pub struct MakeArgs {
    #[command(flatten)]
    phases: PhaseArgs,

    /// Replace a bundle that is in the directory already.
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    compiler: CompilerArgs,

    /// Flag of XLA's compiler for the programs, such as xla_gpu_autotune_level=0; can be given several times. The
    /// manifest names it.
    #[arg(long = "xla-flag", value_name = "NAME=VALUE")]
    xla_flags: Vec<XlaFlag>,
}

/// Compiles programs, each in a process of its own.
///
/// # Errors
/// If there is no such model, sizes make no program of it, mesh, rules and target do not go together, there is no
/// plugin for the target, a program does not compile, or the directory is in use or cannot be written. Nothing is
/// then left behind.
pub fn run(
    (program, split): (&ProgramArgs, &SplitArgs),
    target: &TargetSpec,
    out: &Path,
    args: &MakeArgs,
    json: bool,
    ui: &Ui,
) -> Result<ExitCode> {
    let ProgramChoice { model, config, dtype, kv_cache, context } = program.read()?;
    let rules = split.rules()?;
    let mesh = split.mesh.clone().unwrap_or_default();
    let kind = target.plugin_kind();
    device::client_options(kind, mesh.num_devices())?;
    let shapes = args.phases.shapes(target.lowering().decode_steps, program.batch, context, dtype, kv_cache);
    // A half-written directory is removed before Ctrl-C ends the command.
    let catch = interrupt::catch();
    let bundle = NewBundle::create(out, args.force)?;
    let request = ExportRequest {
        model: &model,
        config: &config,
        dtype,
        target: Some(target),
        mesh: &mesh,
        rules: &rules,
        compiler_flags: &xla_flag::by_name(&args.xla_flags).collect(),
    };
    let export = Export::new(&request, &shapes)?;
    let compiler = Compiler::find(&args.compiler, target, &mesh, ui)?;
    let manifest = compiler.compile(&export, bundle, ui).map_err(|error| {
        let request = PlanRequest {
            config: &config,
            dtype,
            kv_cache,
            target,
            mesh: Some(&mesh),
            rules: &rules,
            batch: program.batch,
            context,
            prefill_batch: 1,
            prefill_tokens: None,
        };
        advise(error, &request)
    })?;
    drop(catch);
    list::print(out, &manifest, json)?;
    Ok(ExitCode::SUCCESS)
}
