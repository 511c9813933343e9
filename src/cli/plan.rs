//! `lapidary plan`.

mod compiled;
mod text;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use lapidary::lower::sharding::ShardingReport;
use lapidary::models::program::KvCache;
use lapidary::plan::{Plan, PlanRequest, plan, sharding_report};
use lapidary::target::TargetSpec;
use serde::Serialize;

use super::args::whole;
use super::compile::CompilerArgs;
use super::output;
use super::program_args::{ProgramArgs, ProgramChoice, SplitArgs};
use super::ui::Ui;
use compiled::Compiled;

/// Exit code of a plan that does not fit.
const DOES_NOT_FIT: u8 = 1;

/// Arguments of `plan`.
#[derive(Args, Debug)]
#[command(mut_arg("plugin", |arg| arg.requires("compile")), mut_arg("time_limit", |arg| arg.requires("compile")))]
#[command(after_help = "Examples:
  lapidary plan --model gemma2-27b --target tpu:v5p:2x2x1 --mesh model=4 --batch 16 --context 4096
  lapidary plan --model gemma2-9b --target tpu:v5e:2x2 --json
  lapidary plan --model gemma2-2b --target tpu:v5e:1x1 --batch 4 --context 4096 --compile
  lapidary plan --model ~/models/gemma-2-2b-it --target cuda:l4 --batch 4 --sharding

Exit code: 0 if it fits, by the plan and the compiler, 1 if it does not, 2 for an error. On the cpu target, whose memory
is not known, 0.")]
pub struct PlanArgs {
    #[command(flatten)]
    program: ProgramArgs,

    #[command(flatten)]
    split: SplitArgs,

    /// Devices to plan for; `lapidary targets` lists them.
    #[arg(long, value_name = "TARGET")]
    target: TargetSpec,

    /// Sequences that are prefilled at the same time, beside the batch's cache.
    #[arg(long, default_value_t = 1, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    prefill_batch: usize,

    /// Tokens that each of them takes in one step; by default 512, or the context if that is less.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    tokens: Option<usize>,

    /// Show how each parameter is split, and why.
    #[arg(long, alias = "show-sharding")]
    sharding: bool,

    /// Compile the programs too, and print what the compiler makes of them beside what is planned. Takes the target's
    /// plugin and some minutes, and keeps nothing on the disk.
    #[arg(long)]
    compile: bool,

    #[command(flatten)]
    compiler: CompilerArgs,

    /// Print one object, with bytes, seconds and flops as plain numbers.
    #[arg(long)]
    json: bool,
}

/// A plan and what it is of.
#[derive(Serialize)]
struct Report {
    model: String,
    dtype: String,
    /// How weights are stored; absent if they are in `dtype`.
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<String>,
    /// Form of the KV cache; absent if it is in `dtype`.
    #[serde(skip_serializing_if = "Option::is_none")]
    kv_cache: Option<String>,
    target: String,
    batch: usize,
    context: usize,
    #[serde(flatten)]
    plan: Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    compiled: Option<Compiled>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sharding: Option<ShardingReport>,
}

/// Plans, and says whether it fits.
///
/// # Errors
/// If there is no such model, sizes make no program of it, or mesh, rules and target do not go together; with
/// `--compile`, if there is no compiler, or it refuses a program for another reason than memory.
pub fn run(args: PlanArgs, ui: &Ui) -> Result<ExitCode> {
    let ProgramChoice { model, config, dtype, kv_cache, context } = args.program.read()?;
    let rules = args.split.rules()?;
    let request = PlanRequest {
        config: &config,
        dtype,
        kv_cache,
        target: &args.target,
        mesh: args.split.mesh.as_ref(),
        rules: &rules,
        batch: args.program.batch,
        context,
        prefill_batch: args.prefill_batch,
        prefill_tokens: args.tokens,
    };
    let plan = plan(&request)?;
    let sharding = match args.sharding {
        true => Some(sharding_report(&request, &plan.mesh)?),
        false => None,
    };
    let compiled = match args.compile {
        true => Some(compiled::compile(&model, &plan, &request, &args.compiler, ui)?),
        false => None,
    };
    let fits = plan.fits != Some(false) && compiled.as_ref().is_none_or(Compiled::fits);
    let report = Report {
        model,
        dtype: dtype.to_string(),
        weights: Some(&config.encodings).filter(|encodings| !encodings.is_dense()).map(ToString::to_string),
        kv_cache: Some(kv_cache).filter(|&form| form != KvCache::Dense).map(|form| form.to_string()),
        target: args.target.to_string(),
        batch: request.batch,
        context,
        plan,
        compiled,
        sharding,
    };
    match args.json {
        true => output::json(&report)?,
        false => output::line(text::report(&report, &args.target).trim_end())?,
    }
    Ok(match fits {
        false => ExitCode::from(DOES_NOT_FIT),
        true => ExitCode::SUCCESS,
    })
}
