//! The command line: arguments, messages and exit codes around the library.

mod args;
mod bench;
mod bundle;
mod cache;
mod chat;
mod compile;
mod device;
mod doctor;
mod eval;
mod exit;
mod export;
mod generate;
mod input;
mod inspect;
mod interrupt;
mod mesh;
mod out_of_memory;
mod output;
mod phases;
mod plan;
mod plugin;
mod program_args;
mod quantize;
mod running;
mod score;
mod session;
mod synth;
mod table;
mod targets;
mod tokenize;
mod ui;
mod xla_flag;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use ui::Ui;

/// Gemma, cut for XLA: one graph for TPU, GPU and CPU.
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Examples:
  lapidary generate --prompt \"Why is the sky blue?\"
  lapidary chat --model ~/models/gemma-2-2b-it
  lapidary doctor

Each command's --help has examples of its own.")]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print nothing but the result.
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Continue prompts, or answer them as a chat.
    Generate(generate::GenerateArgs),
    /// Talk to a model.
    Chat(chat::ChatArgs),
    /// Say how likely each token of a text is.
    Score(score::ScoreArgs),
    /// Measure a model: perplexity of a text, or questions answered correctly.
    Eval(eval::EvalArgs),
    /// Measure how fast a model runs, beside what the device can do.
    Bench(bench::BenchArgs),
    /// Show the token ids that a model would be fed.
    Tokenize(tokenize::TokenizeArgs),
    /// Say what a model takes on devices that need not be here, and whether it fits.
    Plan(plan::PlanArgs),
    /// Write a model's programs as StableHLO, for any compiler that reads it.
    Export(export::ExportArgs),
    /// Compile a model's programs for devices that need not be here, as files with a manifest.
    Compile(Box<compile::CompileArgs>),
    /// Say what a compiler made of programs: memory, traffic, flops, collectives, time.
    Inspect(inspect::InspectArgs),
    /// List the devices that can be planned, exported and compiled for.
    Targets(targets::TargetsArgs),
    /// Write a model with weights in 8 or 4 bits.
    Quantize(Box<quantize::QuantizeArgs>),
    /// Write a checkpoint of random weights, of any size.
    Synth(synth::SynthArgs),
    /// Install, list and remove the plugins that drive devices.
    Plugin(plugin::PluginArgs),
    /// Show and clear the cache of executables.
    Cache(cache::CacheCommandArgs),
    /// Look for everything that Lapidary needs and say what is missing.
    Doctor(doctor::DoctorArgs),
    /// Load a plugin and describe it; `doctor` runs this as a process of its own.
    #[command(name = doctor::PROBE_COMMAND, hide = true)]
    Probe(doctor::ProbeArgs),
    /// Compile one program; `compile` runs this as a process of its own.
    #[command(name = compile::WORKER_COMMAND, hide = true)]
    CompileWorker(compile::WorkerArgs),
}

/// Parses the arguments, runs the command and turns errors into messages and exit codes.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let ui = Ui::new(cli.quiet);
    if let Err(error) = interrupt::install() {
        return exit::report(&anyhow::Error::new(error).context("Ctrl-C cannot be handled"));
    }
    let result = match cli.command {
        Command::Generate(args) => generate::run(args, &ui),
        Command::Chat(args) => chat::run(args, &ui),
        Command::Score(args) => score::run(args, &ui),
        Command::Eval(args) => eval::run(args, &ui),
        Command::Bench(args) => bench::run(args, &ui),
        Command::Tokenize(args) => tokenize::run(args, &ui),
        Command::Plan(args) => return plan::run(args, &ui).unwrap_or_else(|error| exit::report(&error)),
        Command::Export(args) => export::run(args, &ui),
        Command::Compile(args) => {
            return compile::run(*args, &ui).unwrap_or_else(|error| exit::report(&error));
        }
        Command::Inspect(args) => inspect::run(args, &ui),
        Command::Targets(args) => targets::run(args),
        Command::Quantize(args) => quantize::run(*args, &ui),
        Command::Synth(args) => synth::run(args, &ui),
        Command::Plugin(args) => plugin::run(args, &ui),
        Command::Cache(args) => cache::run(args, &ui),
        Command::Doctor(args) => doctor::run(args),
        Command::Probe(args) => doctor::probe(args),
        Command::CompileWorker(args) => compile::worker(args),
    };
    exit::end(result)
}
