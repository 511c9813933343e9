//! The programs that the arguments ask for.

use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};
use lapidary::engine::MAX_STEP_TOKENS;
use lapidary::graph::DType;
use lapidary::models::program::{KvCache, Phase, ProgramShape, SamplerShape};

use super::args::{steps_per_dispatch, whole};
use super::generate::top_logprobs;

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

    /// Write the programs of generate once more, as they also tell the log-probabilities of the N likeliest tokens (1 to
    /// 20): for generate --logprobs N.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = top_logprobs)]
    logprobs: Option<usize>,

    /// Write the programs of generate once more, as they take a repetition penalty; with --logprobs, without and with
    /// each of the two.
    #[arg(long)]
    repetition_penalty: bool,

    /// Tokens that generate's decode programs make of each sequence before the host sees them. Default: what suits the
    /// target.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = steps_per_dispatch)]
    steps_per_dispatch: Option<NonZeroUsize>,
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
    /// Many tokens a sequence; the likelihood of each, and the logits after it, for score --logits.
    #[value(name = "score_logits")]
    ScoreLogits,
    /// Prefill and decode as generate and chat run them: each sequence's next token, chosen on the device.
    Generate,
    /// All of them but score_logits, whose results are large.
    All,
}

impl PhaseArg {
    const ALL: [Self; 4] = [Self::Prefill, Self::Decode, Self::Score, Self::Generate];

    /// The phases of the programs that this asks for, those of decode with so many steps.
    fn phases(self, samplers: &[SamplerShape], steps: NonZeroUsize) -> Vec<Phase> {
        match self {
            Self::Prefill => vec![Phase::Prefill],
            Self::Decode => vec![Phase::Decode],
            Self::Score => vec![Phase::Score { logits: false }],
            Self::ScoreLogits => vec![Phase::Score { logits: true }],
            Self::Generate => {
                let steps = steps.get();
                let programs = |&sampler: &SamplerShape| {
                    [Phase::SampledPrefill(sampler), Phase::SampledDecode { steps, sampler }]
                };
                samplers.iter().flat_map(programs).collect()
            }
            Self::All => Self::ALL.into_iter().flat_map(|phase| phase.phases(samplers, steps)).collect(),
        }
    }
}

impl PhaseArgs {
    /// What the programs of `generate` compute of each token, in each of their variants.
    fn samplers(&self) -> Vec<SamplerShape> {
        let tops = std::iter::once(0).chain(self.logprobs.filter(|&top| top > 0));
        let penalties = if self.repetition_penalty { &[false, true][..] } else { &[false] };
        tops.flat_map(|top_logprobs| {
            penalties.iter().map(move |&repetition_penalty| SamplerShape { top_logprobs, repetition_penalty })
        })
        .collect()
    }

    /// The programs, each once; where nobody says otherwise, those of decode take `decode_steps` steps.
    pub fn shapes(
        &self,
        decode_steps: NonZeroUsize,
        batch: usize,
        context: usize,
        dtype: DType,
        kv_cache: KvCache,
    ) -> Vec<ProgramShape> {
        let buckets = match self.tokens.as_slice() {
            [] => vec![MAX_STEP_TOKENS.min(context)],
            tokens => tokens.to_vec(),
        };
        let samplers = self.samplers();
        let steps = self.steps_per_dispatch.unwrap_or(decode_steps);
        let mut shapes = Vec::new();
        for phase in self.phase.iter().flat_map(|phase| phase.phases(&samplers, steps)) {
            let tokens = match phase {
                Phase::Decode | Phase::SampledDecode { .. } => &[1][..],
                Phase::Prefill | Phase::SampledPrefill(_) | Phase::Score { .. } => &buckets,
            };
            for &tokens in tokens {
                let shape = ProgramShape { phase, batch, tokens, capacity: context, dtype, kv_cache };
                if !shapes.contains(&shape) {
                    shapes.push(shape);
                }
            }
        }
        shapes
    }
}
