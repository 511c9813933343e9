//! The programs of a plan as the compiler makes them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use lapidary::bundle::{BundleError, NewBundle};
use lapidary::export::{Export, ExportRequest};
use lapidary::inspect::{InspectOptions, Inspection, PlannedProgram, find, inspect};
use lapidary::plan::{PhasePlan, Plan, PlanRequest};
use serde::Serialize;

use crate::cli::compile::{Compiler, CompilerArgs};
use crate::cli::interrupt;
use crate::cli::ui::Ui;

/// What the compiler says to a plan.
#[derive(Serialize)]
pub struct Compiled {
    /// Which plugin's compiler: `tpu`.
    pub plugin: String,
    /// Its version; `None` where none is recorded beside the library.
    pub version: Option<String>,
    /// The programs, in the order of the plan's phases.
    pub programs: Vec<CompiledPhase>,
}

/// A program as it was compiled.
#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum CompiledPhase {
    /// It was compiled.
    Compiled {
        /// Its figures.
        #[serde(flatten)]
        program: PlannedProgram,
        /// Time of the compiler.
        compile_s: f64,
        /// Most memory that the compiler's process had.
        compile_peak_bytes: Option<u64>,
    },
    /// The compiler does not find room for it.
    OutOfMemory {
        /// `decode` or `prefill`.
        phase: &'static str,
        /// In a sentence.
        message: String,
    },
}

impl Compiled {
    /// Whether every program was compiled.
    pub fn fits(&self) -> bool {
        self.programs.iter().all(|program| matches!(program, CompiledPhase::Compiled { .. }))
    }
}

/// Compiles the programs of a plan, and keeps nothing of them but their figures.
///
/// # Errors
/// If there is no compiler for the target, or one of the programs does not compile for another reason than memory.
pub fn compile(
    model: &str,
    plan: &Plan,
    request: &PlanRequest<'_>,
    args: &CompilerArgs,
    ui: &Ui,
) -> Result<Compiled> {
    let compiler = Compiler::find(args, request.target, &plan.mesh, ui)?;
    // What is under way is removed before Ctrl-C ends the command.
    let _catch = interrupt::catch();
    let programs = plan.phases.iter().map(|phase| {
        let export = export(model, plan, phase, request)?;
        match compile_phase(plan, phase, &export, &compiler, ui) {
            Err(error) => match error.downcast_ref::<BundleError>() {
                Some(BundleError::OutOfMemory { .. }) => {
                    Ok(CompiledPhase::OutOfMemory { phase: phase.phase, message: error.to_string() })
                }
                _ => Err(error),
            },
            compiled => compiled,
        }
    });
    let programs = programs.collect::<Result<Vec<_>>>()?;
    let plugin = compiler.plugin();
    Ok(Compiled { plugin: plugin.kind.to_string(), version: plugin.version.clone(), programs })
}

fn export(model: &str, plan: &Plan, phase: &PhasePlan, request: &PlanRequest<'_>) -> Result<Export> {
    let request = ExportRequest {
        model,
        config: request.config,
        dtype: request.dtype,
        target: Some(request.target),
        mesh: &plan.mesh,
        rules: request.rules,
        compiler_flags: &BTreeMap::new(),
    };
    Ok(Export::new(&request, &[phase.shape])?)
}

fn compile_phase(
    plan: &Plan,
    phase: &PhasePlan,
    export: &Export,
    compiler: &Compiler<'_>,
    ui: &Ui,
) -> Result<CompiledPhase> {
    let directory = tempfile::tempdir().context("there is no room for what the compiler makes")?;
    let bundle = directory.path().join("bundle");
    let manifest = compiler.compile(export, NewBundle::create(&bundle, false)?, ui)?;
    let program = manifest.programs.first().context("the compiler has made no program")?;
    let found = find(&bundle)?;
    let found = found.first().context("the compiler has made no program")?;
    let inspection: Inspection = inspect(found, &InspectOptions { target: None, mesh: None, largest: 0 })?;
    Ok(CompiledPhase::Compiled {
        program: PlannedProgram::new(plan, phase, &inspection),
        compile_s: program.compile.seconds,
        compile_peak_bytes: program.compile.peak_process_bytes,
    })
}
