//! `lapidary export`.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use lapidary::export::{Export, ExportRequest, NewExport};
use lapidary::target::TargetSpec;
use serde_json::json;

use super::compile::{Compiler, CompilerArgs};
use super::exit::Interrupted;
use super::phases::PhaseArgs;
use super::program_args::{ProgramArgs, ProgramChoice, SplitArgs};
use super::ui::Ui;
use super::{device, interrupt, output};

/// Arguments of `export`.
#[derive(Args, Debug)]
#[command(
    mut_arg("plugin", |arg| arg.requires("hlo")),
    mut_arg("time_limit", |arg| arg.requires("hlo")),
    after_help = "Examples:
  lapidary export --model gemma2-27b --mesh model=4 --batch 16 --context 4096 --out gemma2-27b-model4
  lapidary export --model gemma2-27b --target tpu:v5p:2x2x1 --mesh model=4 --phase decode --out decode
  lapidary export --model ~/models/gemma-2-2b-it --phase prefill,decode --tokens 128 --out programs
  lapidary export --model gemma2-9b --phase decode --hlo --out hlo

The directory holds a .stablehlo.mlir file for each program, with --hlo a .hlo.pb and a .hlo.txt, and manifest.json,
which says what each parameter and result is."
)]
pub struct ExportArgs {
    #[command(flatten)]
    program: ProgramArgs,

    #[command(flatten)]
    split: SplitArgs,

    #[command(flatten)]
    phases: PhaseArgs,

    /// Devices that the programs are for, which decides the form of some operations; `lapidary targets` lists
    /// them. By default any: every operation in its plain form.
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetSpec>,

    /// Directory to write; it appears when it is complete.
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,

    /// Replace an export that is in the directory already.
    #[arg(long)]
    force: bool,

    /// Write each program as HLO, too, as XLA's importer makes it before anything is optimized: a message (.hlo.pb)
    /// and text (.hlo.txt). Needs the plugin of the target; without --target, the CPU's.
    #[arg(long)]
    hlo: bool,

    #[command(flatten)]
    compiler: CompilerArgs,

    /// Print {"path", "sha256", "programs": [{"phase", "file", "bytes", "sha256"}]}; with --hlo each program has
    /// "hlo": {"proto", "text"}, each {"file", "bytes", "sha256"}.
    #[arg(long)]
    json: bool,
}

/// Exports programs.
///
/// # Errors
/// If there is no such model, sizes make no program of it, mesh, rules and target do not go together, a compiler that
/// is asked for HLO is missing or does not take a program, or the directory is in use or cannot be written. Nothing is
/// then left behind.
pub fn run(args: ExportArgs, ui: &Ui) -> Result<()> {
    let ProgramChoice { model, config, dtype, kv_cache, context } = args.program.read()?;
    let rules = args.split.rules()?;
    let mesh = args.split.mesh.clone().unwrap_or_default();
    let request = ExportRequest {
        model: &model,
        config: &config,
        dtype,
        target: args.target.as_ref(),
        mesh: &mesh,
        rules: &rules,
        compiler_flags: &BTreeMap::new(),
    };
    // Without a target, one step: not every compiler that reads StableHLO makes loops.
    let decode_steps =
        args.target.as_ref().map_or(NonZeroUsize::MIN, |target| target.lowering().decode_steps);
    let shapes = args.phases.shapes(decode_steps, args.program.batch, context, dtype, kv_cache);
    // A half-written directory is removed before Ctrl-C ends the command.
    let catch = interrupt::catch();
    let new = NewExport::create(&args.out, args.force)?;
    let mut export = Export::new(&request, &shapes)?;
    if args.hlo {
        // Any compiler can read programs that are for any.
        let importer = args.target.as_ref().unwrap_or(&TargetSpec::Cpu);
        device::client_options(importer.plugin_kind(), mesh.num_devices())?;
        let compiler = Compiler::find(&args.compiler, importer, &mesh, ui)?;
        export.manifest = compiler.import_hlo(&export, &new, ui)?;
    }
    if interrupt::poll().is_break() {
        return Err(Interrupted.into());
    }
    new.finish(&export)?;
    drop(catch);
    let manifest = export.manifest;
    if args.json {
        let programs = manifest.programs.iter().map(|program| {
            let mut object = json!({
                "phase": program.phase,
                "file": program.file,
                "bytes": program.bytes,
                "sha256": program.sha256,
            });
            if let (Some(object), Some(hlo)) = (object.as_object_mut(), &program.hlo) {
                object.insert("hlo".to_string(), json!(hlo));
            }
            object
        });
        return output::json(&json!({
            "path": args.out.display().to_string(),
            "sha256": manifest.sha256,
            "programs": programs.collect::<Vec<_>>(),
        }));
    }
    for program in &manifest.programs {
        output::line(args.out.join(&program.file).display())?;
        for file in program.hlo.iter().flat_map(|hlo| [&hlo.proto, &hlo.text]) {
            output::line(args.out.join(&file.file).display())?;
        }
    }
    ui.remark(format_args!("{} programs, manifest.json: {}", manifest.programs.len(), manifest.sha256));
    Ok(())
}
