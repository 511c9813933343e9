//! Making a bundle.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use lapidary::bundle::{BundleError, CompileRequest, NewBundle};
use lapidary::export::{Export, ExportRequest};
use lapidary::runtime::plugins::Environment;
use lapidary::target::TargetSpec;

use super::{WORKER_COMMAND, list};
use crate::cli::exit::Interrupted;
use crate::cli::phases::PhaseArgs;
use crate::cli::program_args::{ProgramArgs, ProgramChoice};
use crate::cli::ui::Ui;
use crate::cli::{device, interrupt};

/// How to make a bundle.
#[derive(Args, Debug)]
pub struct MakeArgs {
    #[command(flatten)]
    phases: PhaseArgs,

    /// Replace a bundle that is in the directory already.
    #[arg(long)]
    force: bool,

    /// The plugin's library, instead of the one that `lapidary doctor` names.
    #[arg(long, value_name = "PATH")]
    plugin: Option<PathBuf>,

    /// Seconds that the compiler may take for each program.
    #[arg(long, value_name = "SECONDS", default_value = "3600", allow_negative_numbers = true, value_parser = seconds)]
    time_limit: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|&seconds: &f64| seconds > 0.0);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "give a number of seconds above 0, such as 600 or 0.5".to_string())
}

/// Compiles programs, each in a process of its own.
///
/// # Errors
/// If there is no such model, sizes make no program of it, mesh, rules and target do not go together, there is no
/// plugin for the target, a program does not compile, or the directory is in use or cannot be written. Nothing is
/// then left behind.
pub fn run(
    program: &ProgramArgs,
    target: &TargetSpec,
    out: &Path,
    args: &MakeArgs,
    json: bool,
    ui: &Ui,
) -> Result<ExitCode> {
    let ProgramChoice { model, config, dtype, rules, context } = program.read()?;
    let mesh = program.mesh.clone().unwrap_or_default();
    let kind = target.plugin_kind();
    device::client_options(kind, mesh.num_devices())?;
    let shapes = args.phases.shapes(program.batch, context, dtype);
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
    };
    let export = Export::new(&request, &shapes)?;
    let plugin = device::locate(&Environment::from_process(), kind, args.plugin.as_deref(), ui)?;
    let this_program = std::env::current_exe().context("this program cannot find itself to start a child")?;
    let worker = || {
        let mut command = Command::new(&this_program);
        command.arg(WORKER_COMMAND).envs(device::environment(kind).iter().copied());
        command
    };
    let request = CompileRequest {
        export: &export,
        target,
        mesh: &mesh,
        plugin: &plugin,
        time_limit: args.time_limit,
        worker: &worker,
    };
    let spinner = ui.spinner(format!("compiling for {target}"));
    let mut shown = None;
    let compiled = bundle.compile(&request, &mut |progress| {
        if shown.replace(progress.done) != Some(progress.done) {
            let (number, total) = (progress.done + 1, progress.total);
            spinner.set_message(format!("compiling {} for {target} ({number} of {total})", progress.program));
        }
        interrupt::poll()
    });
    spinner.finish_and_clear();
    let manifest = match compiled {
        Err(BundleError::Cancelled) => return Err(Interrupted.into()),
        compiled => compiled?,
    };
    drop(catch);
    list::print(out, &manifest, json)?;
    Ok(ExitCode::SUCCESS)
}
