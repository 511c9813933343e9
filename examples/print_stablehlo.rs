//! Prints the StableHLO of a Gemma program, without weights, plugin or device:
//!
//! ```sh
//! cargo run --example print_stablehlo -- gemma2-2b decode --layers 2
//! cargo run --example print_stablehlo -- gemma2-27b prefill --layers 1 --target tpu --mesh data=1,model=4
//! ```

use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use lapidary::graph::{DType, verify_program};
use lapidary::lower::{LowerOptions, Mesh, ShardingRules, Target, lower};
use lapidary::models::config::GemmaConfig;
use lapidary::models::program::{KvCache, Phase, ProgramShape, build};

/// Print the StableHLO of a Gemma program.
#[derive(Parser)]
struct Arguments {
    /// gemma2-2b, gemma2-9b, gemma2-27b, gemma-2b or gemma-7b, or a directory with a config.json
    model: String,
    /// What the program is for
    phase: PhaseArg,
    /// Only the first layers, for a text that one can read
    #[arg(long)]
    layers: Option<usize>,
    /// Platform whose forms and kernels to use: cpu, tpu or cuda
    #[arg(long, default_value = "cpu", value_parser = parse_target)]
    target: &'static Target,
    /// Devices to split the program over, such as data=2,model=4
    #[arg(long)]
    mesh: Option<Mesh>,
    /// Element type of weights and activations
    #[arg(long, default_value = "bf16")]
    dtype: DTypeArg,
    /// Sequences in a batch
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Tokens of a sequence in one step of prefill or score
    #[arg(long, default_value_t = 128)]
    tokens: usize,
    /// Positions in the KV cache [default: the model's context]
    #[arg(long)]
    capacity: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum PhaseArg {
    /// Logits after a prompt
    Prefill,
    /// Logits after one more token
    Decode,
    /// Likelihood of each token
    Score,
    /// Likelihood of each token, and the logits at each position
    ScoreLogits,
}

#[derive(Clone, Copy, ValueEnum)]
enum DTypeArg {
    Bf16,
    F32,
}

fn parse_target(name: &str) -> Result<&'static Target, String> {
    Target::of_platform(name).ok_or_else(|| "known targets: cpu, tpu, cuda".to_string())
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let directory = Path::new(&arguments.model);
    let mut config = match directory.is_dir() {
        true => GemmaConfig::open(directory)?,
        false => GemmaConfig::named(&arguments.model)?,
    };
    if let Some(layers) = arguments.layers {
        config = config.with_layers(layers)?;
    }
    let (phase, tokens) = match arguments.phase {
        PhaseArg::Prefill => (Phase::Prefill, arguments.tokens),
        PhaseArg::Decode => (Phase::Decode, 1),
        PhaseArg::Score => (Phase::Score { logits: false }, arguments.tokens),
        PhaseArg::ScoreLogits => (Phase::Score { logits: true }, arguments.tokens),
    };
    let dtype = match arguments.dtype {
        DTypeArg::Bf16 => DType::BF16,
        DTypeArg::F32 => DType::F32,
    };
    let capacity = arguments.capacity.unwrap_or(config.context);
    let shape =
        ProgramShape { phase, batch: arguments.batch, tokens, capacity, dtype, kv_cache: KvCache::Dense };

    // The graph says nothing of targets or devices: both come in here, when it is lowered.
    let program = build(&config, &shape)?;
    let module = verify_program(&program.module).context("the program breaks a rule of the IR")?;
    let options = LowerOptions {
        target: arguments.target,
        mesh: arguments.mesh.as_ref(),
        rules: &ShardingRules::transformer(),
    };
    let text = lower(module, &options)?;
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write the program"),
    }
}
