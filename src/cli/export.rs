//! `lapidary export`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use lapidary::engine::MAX_STEP_TOKENS;
use lapidary::export::{Export, ExportRequest};
use lapidary::models::program::{Phase, ProgramShape};
use lapidary::target::TargetSpec;
use serde_json::json;

use super::args::whole;
use super::exit::Interrupted;
use super::program_args::{ProgramArgs, ProgramChoice};
use super::ui::Ui;
use super::{interrupt, output};

/// Arguments of `export`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary export --model gemma2-27b --mesh model=4 --batch 16 --context 4096 --out gemma2-27b-model4
  lapidary export --model gemma2-27b --target tpu:v5p:2x2x1 --mesh model=4 --phase decode --out decode
  lapidary export --model ~/models/gemma-2-2b-it --phase prefill,decode --tokens 128 --out programs

The directory holds a .stablehlo.mlir file for each program and manifest.json, which says what each parameter
and result is.")]
pub struct ExportArgs {
    #[command(flatten)]
    program: ProgramArgs,

    /// Programs to write; several with commas, or given several times.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "all", value_name = "PHASE")]
    phase: Vec<PhaseArg>,

    /// Tokens that each sequence takes in one step of prefill and score; by default 512, or the context if that is
    /// less.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    tokens: Option<usize>,

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

    /// Print {"path", "sha256", "programs": [{"phase", "file", "bytes", "sha256"}]}.
    #[arg(long)]
    json: bool,
}

/// `--phase`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum PhaseArg {
    /// Many tokens a sequence; logits after the last.
    Prefill,
    /// One token a sequence.
    Decode,
    /// Many tokens a sequence; the likelihood of each.
    Score,
    /// All three.
    All,
}

const PHASES: [(PhaseArg, Phase); 3] = [
    (PhaseArg::Prefill, Phase::Prefill),
    (PhaseArg::Decode, Phase::Decode),
    (PhaseArg::Score, Phase::Score { logits: false }),
];

/// Exports programs.
///
/// # Errors
/// If there is no such model, sizes make no program of it, mesh, rules and target do not go together, or the
/// directory is in use or cannot be written. Nothing is then left behind.
pub fn run(args: ExportArgs, ui: &Ui) -> Result<()> {
    let ProgramChoice { model, config, dtype, rules, context } = args.program.read()?;
    let mesh = args.program.mesh.clone().unwrap_or_default();
    let request = ExportRequest {
        model: &model,
        config: &config,
        dtype,
        target: args.target.as_ref(),
        mesh: &mesh,
        rules: &rules,
    };
    let asked = |phase: PhaseArg| args.phase.contains(&phase) || args.phase.contains(&PhaseArg::All);
    let shapes: Vec<ProgramShape> = PHASES
        .into_iter()
        .filter(|(arg, _)| asked(*arg))
        .map(|(_, phase)| {
            let tokens = match phase {
                Phase::Decode => 1,
                Phase::Prefill | Phase::Score { .. } => args.tokens.unwrap_or(MAX_STEP_TOKENS.min(context)),
            };
            ProgramShape { phase, batch: args.program.batch, tokens, capacity: context, dtype }
        })
        .collect();
    // A half-written directory is removed before Ctrl-C ends the command.
    let catch = interrupt::catch();
    let export = Export::new(&request, &shapes)?;
    if interrupt::poll().is_break() {
        return Err(Interrupted.into());
    }
    export.write(&args.out, args.force)?;
    drop(catch);
    let manifest = export.manifest;
    if args.json {
        let programs = manifest.programs.iter().map(|program| {
            json!({
                "phase": program.phase,
                "file": program.file,
                "bytes": program.bytes,
                "sha256": program.sha256,
            })
        });
        return output::json(&json!({
            "path": args.out.display().to_string(),
            "sha256": manifest.sha256,
            "programs": programs.collect::<Vec<_>>(),
        }));
    }
    for program in &manifest.programs {
        output::line(args.out.join(&program.file).display())?;
    }
    ui.remark(format_args!("{} programs, manifest.json: {}", manifest.programs.len(), manifest.sha256));
    Ok(())
}
