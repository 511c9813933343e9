//! `lapidary inspect`.

mod text;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use lapidary::inspect::{InspectOptions, Inspection, find, html, inspect};
use lapidary::lower::Mesh;
use lapidary::target::TargetSpec;
use serde_json::json;

use super::args::whole;
use super::output;
use super::ui::Ui;

/// Arguments of `inspect`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary inspect bundle
  lapidary inspect bundle/programs/gemma2_decode_b16_t1_c4096_bf16 --html decode.html
  lapidary inspect step.hlo.txt --target tpu:v5p:2x2x1 --mesh model=4")]
pub struct InspectArgs {
    /// A bundle that `compile` wrote, the folder of one of its programs, or a file of optimized HLO (text or proto).
    path: PathBuf,

    /// Devices that it was compiled for, where the bundle does not say; `lapidary targets` lists them.
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetSpec>,

    /// Mesh that it was partitioned for, major axis first, where the bundle does not say.
    #[arg(long, value_name = "AXIS=N,...")]
    mesh: Option<Mesh>,

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

/// Says what compiled programs cost.
///
/// # Errors
/// If there is no program, it cannot be read, mesh and target do not go together, or the page cannot be written.
pub fn run(args: InspectArgs, ui: &Ui) -> Result<()> {
    let options = InspectOptions { target: args.target, mesh: args.mesh, largest: args.top };
    let programs = find(&args.path)?;
    let inspections =
        programs.iter().map(|program| inspect(program, &options)).collect::<Result<Vec<Inspection>, _>>()?;
    if let Some(file) = &args.html {
        let page = html::page(&inspections, args.top);
        std::fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))?;
        ui.remark(format_args!("the page is in {}", file.display()));
    }
    if args.json {
        return output::json(&json!({ "programs": inspections }));
    }
    let reports: Vec<String> = inspections.iter().map(|each| text::report(each, args.top)).collect();
    Ok(output::line(reports.join("\n\n").trim_end())?)
}
