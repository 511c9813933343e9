//! The start of a model, up to its first token.

use std::time::Instant;

use serde::Serialize;

use super::measure::random_tokens;
use super::{BenchError, Compiling, Peaks};
use crate::engine::{Engine, EngineError, GenerateOptions, SampledRow, Sampling};

/// Tokens of the prompt that the first token follows.
const PROMPT_TOKENS: usize = 16;
/// Tokens that are to follow, of which the first is timed.
const ANSWER_TOKENS: usize = 32;

/// From nothing to the first token of a short prompt, in parts that follow each other.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Start {
    /// Seconds to find, load and start the plugin.
    pub plugin_s: f64,
    /// Seconds to bring the weights onto the devices.
    pub load_s: f64,
    /// The programs of the prompt, and of the tokens after it. The seconds are those that the first token waited for an
    /// executable after the weights were there.
    pub compiling: Compiling,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Seconds to read the prompt. It is the first run of all: weights that are used where they lie in a file are
    /// brought into memory here.
    pub prefill_s: f64,
    /// The sum.
    pub time_to_first_token_s: f64,
    /// Seconds to read the same prompt again, with everything in memory.
    pub prefill_again_s: f64,
    /// Seconds that a start takes at least: the time to read the weights once at the measured bandwidth, and
    /// [`Self::prefill_again_s`]. `None` if the bandwidth was not measured.
    pub least_s: Option<f64>,
    /// The first token over the least. It says something of an engine only where nothing was compiled.
    pub of_least: Option<f64>,
}

impl Start {
    /// Sets the start beside the least that it could take, for `weight_bytes` of weights.
    pub(super) fn relate(&mut self, peaks: &Peaks, weight_bytes: u64) {
        let least_s = weight_bytes as f64 / peaks.read_bandwidth.best + self.prefill_again_s;
        let of_least = self.time_to_first_token_s / least_s;
        self.least_s = Some(least_s).filter(|seconds| seconds.is_finite());
        self.of_least = Some(of_least).filter(|ratio| ratio.is_finite());
    }
}

/// Has the programs made that [`start`] runs: while the weights are loaded, as commands do.
///
/// # Errors
/// If one cannot be made.
pub fn prepare_start(engine: &Engine) -> Result<(), EngineError> {
    engine.prepare_generation(&[prompt(engine)], &options())
}

/// Lets an engine that has run nothing read a prompt of 16 tokens (or of the context, if that is less), and adds up
/// what came before. Decode is made ahead meanwhile, as it is when an answer is to follow.
///
/// # Errors
/// If a program does not compile or run.
pub fn start(engine: &Engine, plugin_s: f64, load_s: f64) -> Result<Start, BenchError> {
    let (prompt, options) = (prompt(engine), options());
    let prompt_tokens = prompt.len();
    let mut batch = engine.batch(1, prompt_tokens + options.max_new_tokens)?;
    batch.prepare_generation(&[prompt_tokens], &options)?;
    let seconds = engine.compile_time().as_secs_f64();
    let row = SampledRow { sequence: &prompt, sampling: Sampling::GREEDY, remaining: 1, stop_at_eos: false };
    let mut read = || {
        let started = Instant::now();
        batch.sampled_prefill(&[Some(row)], options.sampler())?;
        let elapsed = started.elapsed().as_secs_f64();
        batch.clear().map(|()| elapsed)
    };
    let prefill_s = read()?;
    engine.settle();
    let prefill_again_s = read()?;
    let time_to_first_token_s = plugin_s + load_s + seconds + prefill_s;
    Ok(Start {
        plugin_s,
        load_s,
        compiling: Compiling { seconds, ..Compiling::so_far(engine) },
        prompt_tokens,
        prefill_s,
        time_to_first_token_s,
        prefill_again_s,
        least_s: None,
        of_least: None,
    })
}

fn prompt(engine: &Engine) -> Vec<u32> {
    random_tokens(engine.config(), 1, PROMPT_TOKENS.min(engine.config().context)).concat()
}

/// Of a short answer, which fits into the smallest cache.
fn options() -> GenerateOptions {
    GenerateOptions { max_new_tokens: ANSWER_TOKENS, ..GenerateOptions::default() }
}
