//! `lapidary quantize`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use lapidary::model::Model;
use lapidary::models::dtype::StoredDtype;
use lapidary::models::progress::Progress;
use lapidary::models::quantize::{
    Bits, EmbeddingFormat, Group, ModelFiles, Pattern, QuantizeOptions, QuantizeReport, quantize,
};

use super::args::{DeviceArgs, ModelArgs, size};
use super::ui::Ui;
use super::{interrupt, session};

mod perplexity;
mod report;

use perplexity::Comparison;
use report::Report;

/// Arguments of `quantize`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary quantize --model DIR --to int8 --out DIR-int8
  lapidary quantize --model DIR --to int4 --group 32 --out DIR-int4 --eval page.txt
  lapidary quantize --model DIR --to int4 --int8 '*.down_proj' --keep 'model.layers.0.*' --out DIR-mixed
  lapidary quantize --to int4 --out pebble-int4

The last one is about the built-in model.

A PATTERN is the name of a weight, such as model.layers.0.mlp.down_proj, in which * stands for any characters and ? for
one.")]
pub struct QuantizeArgs {
    #[command(flatten)]
    model: ModelArgs,

    /// Size of the codes that weights become.
    #[arg(long, value_enum, conflicts_with = "bundle")]
    to: BitsArg,

    /// Directory to write; it appears when it is complete.
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,

    /// Neighbouring inputs of an output that share a scale, or channel for all of them. By default channel for int8, and
    /// 64 for int4.
    #[arg(long, value_name = "N|channel", value_parser = group)]
    group: Option<Group>,

    /// What becomes of the embedding, which also projects to the logits: a scale a row for int8, groups for int4.
    #[arg(long, value_enum, default_value_t = EmbeddingArg::Int8)]
    embedding: EmbeddingArg,

    /// Leave weights as they are, whatever else is said; may be given several times.
    #[arg(long, value_name = "PATTERN")]
    keep: Vec<Pattern>,

    /// Store weights in 8 bits with a scale a channel, where others have 4; may be given several times.
    #[arg(long, value_name = "PATTERN")]
    int8: Vec<Pattern>,

    /// Element type of scales.
    #[arg(long, value_enum, default_value_t = ScaleDtypeArg::Bf16)]
    scale_dtype: ScaleDtypeArg,

    /// Most bytes of weights in one file.
    #[arg(long, value_name = "SIZE", default_value = "5GB", value_parser = size)]
    max_shard_size: u64,

    /// Replace a model that is in the directory already.
    #[arg(long)]
    force: bool,

    /// Find the perplexity of a file, as `lapidary eval` does, before and after.
    #[arg(long, value_name = "FILE")]
    eval: Option<PathBuf>,

    /// Print one object: bytes and errors of every tensor and kind of tensor, and perplexities.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    device: DeviceArgs,
}

/// `--to`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum BitsArg {
    /// 8 bits.
    Int8,
    /// 4 bits.
    Int4,
}

/// `--embedding`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum EmbeddingArg {
    /// 8 bits, with a scale a row.
    Int8,
    /// 4 bits, in groups.
    Int4,
    /// As it is.
    #[value(alias = "bf16")]
    Keep,
}

/// `--scale-dtype`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ScaleDtypeArg {
    /// bfloat16.
    Bf16,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
}

impl QuantizeArgs {
    fn options(&self) -> QuantizeOptions {
        let bits = match self.to {
            BitsArg::Int8 => Bits::Eight,
            BitsArg::Int4 => Bits::Four,
        };
        QuantizeOptions {
            group: self.group,
            embedding: match self.embedding {
                EmbeddingArg::Int8 => EmbeddingFormat::Int8,
                EmbeddingArg::Int4 => EmbeddingFormat::Int4,
                EmbeddingArg::Keep => EmbeddingFormat::Keep,
            },
            keep: self.keep.clone(),
            int8: self.int8.clone(),
            scale_dtype: match self.scale_dtype {
                ScaleDtypeArg::Bf16 => StoredDtype::Bf16,
                ScaleDtypeArg::F16 => StoredDtype::F16,
                ScaleDtypeArg::F32 => StoredDtype::F32,
            },
            max_shard_bytes: self.max_shard_size,
            replace: self.force,
            ..QuantizeOptions::new(bits)
        }
    }
}

/// Parses `--group`.
fn group(text: &str) -> Result<Group, String> {
    match text {
        "channel" => Ok(Group::Channel),
        number => match number.parse() {
            Ok(size) if size > 0 => Ok(Group::Of(size)),
            _ => Err("give a number of inputs such as 64, or channel".to_owned()),
        },
    }
}

/// Writes a model with weights in few bits.
///
/// # Errors
/// If the model or the options do not allow it, the directory is in use or cannot be written, or on Ctrl-C. Nothing is
/// then left behind.
pub fn run(args: QuantizeArgs, ui: &Ui) -> Result<()> {
    let model = session::open_model(&args.model, ui)?;
    // First what can fail early; the text may be unreadable.
    let comparison = args.eval.as_deref().map(|file| Comparison::begin(file, &args, ui)).transpose()?;
    let started = Instant::now();
    let written = write(&model, &args, ui)?;
    let seconds = started.elapsed().as_secs_f64();
    let perplexity = comparison
        .map(|comparison| comparison.finish(&args, ui))
        .transpose()
        .with_context(|| format!("{} is written, but cannot be evaluated", args.out.display()))?;
    let report = Report { path: &args.out, written, seconds, perplexity };
    if args.json { report.print_json() } else { report.print(args.device.cache.verbose) }
}

fn write(model: &Model, args: &QuantizeArgs, ui: &Ui) -> Result<QuantizeReport> {
    let files = if model.is_builtin() { ModelFiles::Builtin } else { ModelFiles::Directory(model.path()) };
    let _catch = interrupt::catch();
    let bar = ui.bytes("quantizing", model.checkpoint().byte_count());
    let mut show = |progress: Progress| {
        bar.set_position(progress.done);
        interrupt::poll()
    };
    let written = quantize(model.checkpoint(), files, &args.out, &args.options(), &mut show);
    bar.finish_and_clear();
    Ok(written?)
}
