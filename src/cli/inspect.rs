//! `lapidary inspect`.

mod composites;
mod text;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use lapidary::engine::Kernels;
use lapidary::inspect::{InspectOptions, Inspection, LoweredProgram, find, html, inspect, inspect_lowering};
use lapidary::lower::LowerOptions;
use lapidary::target::TargetSpec;
use serde_json::json;

use super::args::whole;
use super::output;
use super::phases::PhaseArgs;
use super::program_args::{ProgramArgs, ProgramChoice, SplitArgs};
use super::ui::Ui;

/// Options that say which programs of which model, for which a compiled program has no use.
const OF_MODELS: [&str; 12] = [
    "model",
    "dtype",
    "weights",
    "kv_cache",
    "batch",
    "context",
    "phase",
    "tokens",
    "logprobs",
    "repetition_penalty",
    "rules",
    "kernels",
];

/// Arguments of `inspect`.
#[derive(Args, Debug)]
#[command(
    mut_args(|arg| match OF_MODELS.contains(&arg.get_id().as_str()) {
        true => arg.required(false).conflicts_with_all(["path", "html"]),
        false => arg,
    }),
    mut_arg("phase", |arg| arg.help("Programs to look at; several with commas, or given several times")),
    override_usage = "lapidary inspect <PATH> [OPTIONS]
       lapidary inspect --model <NAME|FILE|DIR> [OPTIONS]",
    after_help = "Examples:
  lapidary inspect bundle
  lapidary inspect bundle/programs/gemma2_decode_b16_t1_c4096_bf16 --html decode.html
  lapidary inspect step.hlo.txt --target tpu:v5p:2x2x1 --mesh model=4
  lapidary inspect --model gemma2-2b --phase decode --weights int8
  lapidary inspect --model ~/models/gemma-2-2b-it --kernels linear,attention

With --model, it says which parts of the model's programs are calls of kernels as generate and
others run them on this machine's processors, and why the rest are not. Nothing is compiled, and
no weights are read."
)]
pub struct InspectArgs {
    /// A bundle that `compile` wrote, the folder of one of its programs, or a file of optimized HLO (text or proto).
    #[arg(required_unless_present = "model")]
    path: Option<PathBuf>,

    #[command(flatten)]
    program: Option<ProgramArgs>,

    #[command(flatten)]
    phases: PhaseArgs,

    /// With --model, which parts of it are kernels of ours on the CPU: auto, off, or names as generate takes them.
    #[arg(long, value_name = "auto|off|NAME,...", default_value_t = Kernels::AUTO)]
    kernels: Kernels,

    /// Devices that it was compiled for, where the bundle does not say; `lapidary targets` lists them. With --model,
    /// those to lower it for, instead of this machine's processors.
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetSpec>,

    #[command(flatten)]
    split: SplitArgs,

    /// How many operations, temporaries and copies to list.
    #[arg(long, default_value_t = 8, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    top: usize,

    /// Also write the report as a page for a browser, with pictures.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Print one object, with bytes, seconds and flops as plain numbers.
    #[arg(long)]
    json: bool,
}

/// Says what compiled programs cost, or which parts of a model's programs are calls of kernels.
///
/// # Errors
/// If there is no program, it cannot be read, mesh and target do not go together, or the page cannot be written; if
/// there is no such model, or sizes make no program of it.
pub fn run(args: InspectArgs, ui: &Ui) -> Result<()> {
    match (&args.path, &args.program) {
        (Some(path), _) => {
            let options = InspectOptions {
                target: args.target.clone(),
                mesh: args.split.mesh.clone(),
                largest: args.top,
            };
            compiled(
                &find(path)?
                    .iter()
                    .map(|program| inspect(program, &options))
                    .collect::<Result<Vec<_>, _>>()?,
                &args,
                ui,
            )
        }
        (None, Some(program)) => lowered(program, &args),
        // The parser has asked for one of them.
        (None, None) => bail!("nothing to inspect: give a path or --model"),
    }
}

fn compiled(programs: &[Inspection], args: &InspectArgs, ui: &Ui) -> Result<()> {
    if let Some(file) = &args.html {
        let page = html::page(programs, args.top);
        std::fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))?;
        ui.remark(format_args!("the page is in {}", file.display()));
    }
    if args.json {
        return output::json(&json!({ "programs": programs }));
    }
    let reports: Vec<String> = programs.iter().map(|each| text::report(each, args.top)).collect();
    Ok(output::line(reports.join("\n\n").trim_end())?)
}

fn lowered(program: &ProgramArgs, args: &InspectArgs) -> Result<()> {
    let ProgramChoice { config, dtype, kv_cache, context, .. } = program.read()?;
    let spec = args.target.clone().unwrap_or(TargetSpec::Cpu);
    let mesh = args.split.mesh.clone().unwrap_or_default();
    spec.check_mesh(&mesh)?;
    let (target, rules) = (args.kernels.on_this_processor(spec.lowering()), args.split.rules()?);
    let options = LowerOptions { target: &target, mesh: Some(&mesh), rules: &rules };
    let shapes = args.phases.shapes(target.decode_steps, program.batch, context, dtype, kv_cache);
    let programs = shapes.iter().map(|shape| inspect_lowering(&config, shape, &options));
    let programs = programs.collect::<Result<Vec<LoweredProgram>, _>>()?;
    if args.json {
        return output::json(&json!({ "programs": programs }));
    }
    let reports: Vec<String> = programs.iter().map(composites::report).collect();
    Ok(output::line(reports.join("\n").trim_end())?)
}
