//! `lapidary synth`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use indicatif::{BinaryBytes, HumanCount};
use lapidary::models::config::GemmaConfig;
use lapidary::models::dtype::StoredDtype;
use lapidary::models::encoding::{Encodings, WeightScheme};
use lapidary::models::progress::Progress;
use lapidary::models::synth::{SynthOptions, SynthReport, synth};
use serde_json::json;

use super::args::{size, whole};
use super::ui::Ui;
use super::{interrupt, output};

/// Arguments of `synth`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary synth --config gemma2-2b --out gemma2-2b-random
  lapidary synth --config gemma2-27b --layers 2 --out two-layers --dtype f32
  lapidary synth --config gemma2-2b --weights int4:128 --out gemma2-2b-int4
  lapidary synth --config tiny --out tiny --seed 7 --max-shard-size 100KB --json")]
pub struct SynthArgs {
    /// Model whose shape to take: gemma-2b, gemma-7b, gemma2-2b, gemma2-9b, gemma2-27b, tiny.
    #[arg(long, value_name = "NAME")]
    config: String,

    /// Directory to write; it appears when it is complete.
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,

    /// Seed of the weights: same seed, same weights.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_parser = whole::<u64>)]
    seed: u64,

    /// Element type of weights that are not in few bits, and of the scales of those that are.
    #[arg(long, value_enum, default_value_t = StoredDtypeArg::Bf16)]
    dtype: StoredDtypeArg,

    /// How weights are stored: bf16 (all as --dtype says), or codes of 8 or 4 bits with a scale for each GROUP of
    /// inputs: int8 has one for each output, int4 one for 64 inputs.
    #[arg(long, value_name = "bf16|int8|int4[:GROUP]", default_value_t)]
    weights: WeightScheme,

    /// Most bytes of weights in one file.
    #[arg(long, value_name = "SIZE", default_value = "5GB", value_parser = size)]
    max_shard_size: u64,

    /// Replace a model that is in the directory already.
    #[arg(long)]
    force: bool,

    /// Print {"path", "parameters", "bytes", "shards", "tokenizer", "seconds"}.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    sizes: SizeArgs,
}

/// Sizes that replace the config's own.
#[derive(Args, Debug)]
#[command(next_help_heading = "Sizes instead of the config's")]
struct SizeArgs {
    /// Decoder layers.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    layers: Option<usize>,

    /// Rows of the embedding; a tokenizer comes with 461 and more.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    vocab: Option<usize>,

    /// Width of the residual stream.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    hidden: Option<usize>,

    /// Width of the feed-forward.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    intermediate: Option<usize>,

    /// Query heads.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    heads: Option<usize>,

    /// Key and value heads.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    kv_heads: Option<usize>,

    /// Width of one head.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    head_dim: Option<usize>,

    /// Positions of the context.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    context: Option<usize>,

    /// Positions that Gemma 2's local layers see.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    window: Option<usize>,
}

/// `--dtype` of files, which may hold what models do not run in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum StoredDtypeArg {
    /// bfloat16.
    Bf16,
    /// Single precision.
    F32,
    /// Half precision.
    F16,
}

/// Writes a checkpoint of random weights.
///
/// # Errors
/// If the sizes do not fit together, the directory is in use or cannot be written, or on Ctrl-C. Nothing is then
/// left behind.
pub fn run(args: SynthArgs, ui: &Ui) -> Result<()> {
    let named = GemmaConfig::named(&args.config)?;
    let mut config = args.sizes.apply(named).context("these sizes do not make a model")?;
    let dtype = match args.dtype {
        StoredDtypeArg::Bf16 => StoredDtype::Bf16,
        StoredDtypeArg::F32 => StoredDtype::F32,
        StoredDtypeArg::F16 => StoredDtype::F16,
    };
    config.checkpoint_dtype = dtype;
    config.encodings = Encodings::uniform(&config, args.weights)?;
    let options =
        SynthOptions { seed: args.seed, dtype, max_shard_bytes: args.max_shard_size, replace: args.force };
    let started = Instant::now();
    let catch = interrupt::catch();
    let bar = ui.bytes("writing", 0);
    let written = synth(&config, &args.out, &options, &mut |progress: Progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        interrupt::poll()
    });
    bar.finish_and_clear();
    drop(catch);
    let SynthReport { data_bytes, shards, has_tokenizer } = written?;
    let (seconds, parameters) = (started.elapsed().as_secs_f64(), config.parameter_count());
    if args.json {
        return output::json(&json!({
            "path": args.out.display().to_string(),
            "parameters": parameters,
            "bytes": data_bytes,
            "shards": shards,
            "tokenizer": has_tokenizer,
            "seconds": seconds,
        }));
    }
    let tokenizer = match has_tokenizer {
        true => "with a tokenizer",
        false => "without a tokenizer (its vocabulary is too small); use --token-ids",
    };
    let rate = (data_bytes as f64 / seconds.max(1e-9)) as u64;
    output::line(format_args!(
        "{}: {} parameters, {} in {shards} file{}, {tokenizer}; {seconds:.1} s, {}/s",
        args.out.display(),
        HumanCount(parameters),
        BinaryBytes(data_bytes),
        if shards == 1 { "" } else { "s" },
        BinaryBytes(rate),
    ))?;
    Ok(())
}

impl SizeArgs {
    /// The config with these sizes, and what follows from them.
    fn apply(&self, mut config: GemmaConfig) -> Result<GemmaConfig> {
        // As published: every Gemma's queries are scaled by their width, except where it is not `head_dim`.
        let scaled_by_head_dim = config.query_pre_attn_scalar == config.head_dim as f64;
        let replacements = [
            (&mut config.vocab_size, self.vocab),
            (&mut config.hidden_size, self.hidden),
            (&mut config.intermediate_size, self.intermediate),
            (&mut config.num_heads, self.heads),
            (&mut config.num_kv_heads, self.kv_heads),
            (&mut config.head_dim, self.head_dim),
            (&mut config.context, self.context),
        ];
        for (size, replacement) in replacements {
            *size = replacement.unwrap_or(*size);
        }
        config.sliding_window = self.window.or(config.sliding_window);
        config.query_pre_attn_scalar = if scaled_by_head_dim {
            config.head_dim as f64
        } else {
            config.hidden_size as f64 / config.num_heads as f64
        };
        let layers = self.layers.unwrap_or(config.num_layers);
        Ok(config.with_layers(layers)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_size_follows_it() {
        let none = SizeArgs {
            layers: None,
            vocab: None,
            hidden: None,
            intermediate: None,
            heads: None,
            kv_heads: None,
            head_dim: None,
            context: None,
            window: None,
        };
        for name in GemmaConfig::names() {
            let config = GemmaConfig::named(name).unwrap();
            assert_eq!(none.apply(config.clone()).unwrap(), config, "{name}");
        }
        let small = SizeArgs { hidden: Some(64), heads: Some(4), kv_heads: Some(2), window: Some(8), ..none };
        let config = small.apply(GemmaConfig::named("gemma2-27b").unwrap()).unwrap();
        assert_eq!(config.query_pre_attn_scalar, 16.0);
        assert!(small.apply(GemmaConfig::named("gemma-2b").unwrap()).is_err(), "Gemma 1 has no window");
    }
}
