//! The start of a model, up to its first token.

use std::time::Instant;

use serde::Serialize;

use super::measure::random_tokens;
use super::{BenchError, Compiling, Peaks};
use crate::engine::Engine;

/// Tokens of the prompt that the first token follows.
const PROMPT_TOKENS: usize = 16;

/// From nothing to the first token of a short prompt, in parts that follow each other.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Start {
    /// Seconds to find, load and start the plugin.
    pub plugin_s: f64,
    /// Seconds to bring the weights onto the devices.
    pub load_s: f64,
    /// The programs of the prompt, and of the tokens after it.
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

/// Lets an engine that has run nothing read a prompt of 16 tokens (or of the context, if that is less), and adds up
/// what came before.
///
/// # Errors
/// If a program does not compile or run.
pub fn start(engine: &Engine, plugin_s: f64, load_s: f64) -> Result<Start, BenchError> {
    let prompt_tokens = PROMPT_TOKENS.min(engine.config().context);
    let prompt = random_tokens(engine.config(), 1, prompt_tokens).concat();
    let mut batch = engine.batch(1, prompt_tokens)?;
    batch.prepare(&[prompt_tokens], true)?;
    let compiling = Compiling::so_far(engine);
    let prepared = Instant::now();
    batch.prefill(&[&prompt])?;
    let prefill_s = prepared.elapsed().as_secs_f64();
    batch.clear()?;
    let cleared = Instant::now();
    batch.prefill(&[&prompt])?;
    let prefill_again_s = cleared.elapsed().as_secs_f64();
    let time_to_first_token_s = plugin_s + load_s + compiling.seconds + prefill_s;
    Ok(Start {
        plugin_s,
        load_s,
        compiling,
        prompt_tokens,
        prefill_s,
        time_to_first_token_s,
        prefill_again_s,
        least_s: None,
        of_least: None,
    })
}
