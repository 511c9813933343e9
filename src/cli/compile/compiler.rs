//! Compiling exported programs, each in a process of its own.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use lapidary::bundle::{BundleError, BundleManifest, CompileRequest, NewBundle, Progress, import_hlo};
use lapidary::export::{self, Export, NewExport};
use lapidary::lower::Mesh;
use lapidary::runtime::plugins::{Environment, LocatedPlugin};
use lapidary::target::TargetSpec;

use super::WORKER_COMMAND;
use crate::cli::exit::Interrupted;
use crate::cli::ui::Ui;
use crate::cli::{device, interrupt};

/// Which compiler, and how long it may take.
#[derive(Args, Debug)]
pub struct CompilerArgs {
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

/// The compiler of a target.
pub struct Compiler<'a> {
    target: &'a TargetSpec,
    mesh: &'a Mesh,
    plugin: LocatedPlugin,
    time_limit: Duration,
    this_program: PathBuf,
}

impl<'a> Compiler<'a> {
    /// Finds the compiler for programs on a mesh of a target's devices.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(args: &CompilerArgs, target: &'a TargetSpec, mesh: &'a Mesh, ui: &Ui) -> Result<Self> {
        let environment = Environment::from_process();
        let plugin = device::locate(&environment, target.plugin_kind(), args.plugin.as_deref(), ui)?;
        let this_program =
            std::env::current_exe().context("this program cannot find itself to start a child")?;
        Ok(Self { target, mesh, plugin, time_limit: args.time_limit, this_program })
    }

    /// What compiles.
    pub fn plugin(&self) -> &LocatedPlugin {
        &self.plugin
    }

    /// Compiles programs into a bundle, and shows how far that is.
    ///
    /// # Errors
    /// If a program does not compile, or a file cannot be written; [`Interrupted`] on Ctrl-C, if somebody
    /// [catches](interrupt::catch) it.
    pub fn compile(&self, export: &Export, bundle: NewBundle, ui: &Ui) -> Result<BundleManifest> {
        self.watch(export, "compiling", ui, |request, progress| bundle.compile(request, progress))
    }

    /// Adds the HLO of programs to an export, and shows how far that is.
    ///
    /// # Errors
    /// If the compiler does not take a program, or a file cannot be written; [`Interrupted`] on Ctrl-C, if somebody
    /// [catches](interrupt::catch) it.
    pub fn import_hlo(&self, export: &Export, new: &NewExport, ui: &Ui) -> Result<export::Manifest> {
        self.watch(export, "importing", ui, |request, progress| import_hlo(new, request, progress))
    }

    fn watch<T>(
        &self,
        export: &Export,
        doing: &str,
        ui: &Ui,
        work: impl FnOnce(
            &CompileRequest<'_>,
            &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
        ) -> Result<T, BundleError>,
    ) -> Result<T> {
        let environment = device::environment(self.target.plugin_kind());
        let worker = || {
            let mut command = Command::new(&self.this_program);
            command.arg(WORKER_COMMAND).envs(environment.iter().copied());
            command
        };
        let request = CompileRequest {
            export,
            target: self.target,
            mesh: self.mesh,
            plugin: &self.plugin,
            time_limit: self.time_limit,
            worker: &worker,
        };
        let target = self.target;
        let spinner = ui.spinner(format!("{doing} for {target}"));
        let mut shown = None;
        let done = work(&request, &mut |progress| {
            if shown.replace(progress.done) != Some(progress.done) {
                let (number, total) = (progress.done + 1, progress.total);
                spinner
                    .set_message(format!("{doing} {} for {target} ({number} of {total})", progress.program));
            }
            interrupt::poll()
        });
        spinner.finish_and_clear();
        match done {
            Err(BundleError::Cancelled) => Err(Interrupted.into()),
            done => Ok(done?),
        }
    }
}
