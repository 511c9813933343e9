//! The programs that the arguments ask for.

use clap::{Args, ValueEnum};
use lapidary::engine::{MAX_STEP_TOKENS, STEPS_PER_DISPATCH};
use lapidary::graph::DType;
use lapidary::models::program::{Phase, ProgramShape, SamplerShape};

use super::args::whole;

/// Phases, and sizes of their steps.
#[derive(Args, Debug)]
pub struct PhaseArgs {
    /// Programs to write; several with commas, or given several times.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "all", value_name = "PHASE")]
    phase: Vec<PhaseArg>,

    /// Tokens that each sequence takes in one step of prefill and score; by default 512, or the context if that is
    /// less. Several, with commas or given several times, make a program each.
    #[arg(long, value_name = "N", value_delimiter = ',', allow_negative_numbers = true, value_parser = whole::<usize>)]
    tokens: Vec<usize>,
}

/// `--phase`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum PhaseArg {
    /// Many tokens a sequence; logits after the last.
    Prefill,
    /// One token a sequence; logits after it.
    Decode,
    /// Many tokens a sequence; the likelihood of each.
    Score,
    /// Prefill and decode as generate and chat run them: each sequence's next token, chosen on the device.
    Generate,
    /// All of them.
    All,
}

const SAMPLER: SamplerShape = SamplerShape { top_logprobs: 0, repetition_penalty: false };
const PHASES: [(PhaseArg, Phase); 5] = [
    (PhaseArg::Prefill, Phase::Prefill),
    (PhaseArg::Decode, Phase::Decode),
    (PhaseArg::Score, Phase::Score { logits: false }),
    (PhaseArg::Generate, Phase::SampledPrefill(SAMPLER)),
    (PhaseArg::Generate, Phase::SampledDecode { steps: STEPS_PER_DISPATCH.get(), sampler: SAMPLER }),
];

impl PhaseArgs {
    /// The programs, each once.
    pub fn shapes(&self, batch: usize, context: usize, dtype: DType) -> Vec<ProgramShape> {
        let asked = |phase: PhaseArg| self.phase.contains(&phase) || self.phase.contains(&PhaseArg::All);
        let buckets = match self.tokens.as_slice() {
            [] => vec![MAX_STEP_TOKENS.min(context)],
            tokens => tokens.to_vec(),
        };
        let mut shapes = Vec::new();
        for (_, phase) in PHASES.into_iter().filter(|(arg, _)| asked(*arg)) {
            let tokens = match phase {
                Phase::Decode | Phase::SampledDecode { .. } => &[1][..],
                Phase::Prefill | Phase::SampledPrefill(_) | Phase::Score { .. } => &buckets,
            };
            for &tokens in tokens {
                let shape = ProgramShape { phase, batch, tokens, capacity: context, dtype };
                if !shapes.contains(&shape) {
                    shapes.push(shape);
                }
            }
        }
        shapes
    }
}
