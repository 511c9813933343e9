//! Running a test.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Instant;

use lapidary_models::config::GemmaConfig;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use super::memory::{peak_memory, reset_peak_memory};
use super::{BenchError, Compiling, Kind, Peaks, Statistics, Test, Work};
use crate::engine::{Batch, Chosen, Engine, EngineError, GenerateOptions, SampledRow, Sampling};

/// How often a test is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Repetitions {
    /// Times that count; at least 1.
    pub timed: usize,
    /// Times that go before and do not. A generation then makes only one token.
    pub warmup: usize,
}

/// What a test came to. Fields that are not of its kind are `None`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Measurement {
    /// Name of the test.
    pub name: String,
    /// The test.
    #[serde(flatten)]
    pub test: Test,
    /// Tokens of all rows a second.
    pub tokens_per_s: Statistics,
    /// Generation: bytes to be read for each token, at least.
    pub bytes_per_token: Option<f64>,
    /// Generation: bytes a second that this makes at the mean rate.
    pub read_bytes_per_s: Option<f64>,
    /// Generation: these over the read bandwidth measured in the same run.
    pub of_read_bandwidth: Option<f64>,
    /// Prompt: operations for each token.
    pub flops_per_token: Option<f64>,
    /// Prompt: operations a second that this makes at the mean rate.
    pub flops_per_s: Option<f64>,
    /// Prompt: these over the matrix peak measured in the same run.
    pub of_matrix_peak: Option<f64>,
    /// Positions that each row's cache has room for.
    pub capacity: usize,
    /// Bytes of the KV cache of all rows.
    pub kv_cache_bytes: usize,
    /// Programs that no earlier test had compiled.
    pub compiling: Compiling,
    /// The most memory that this process had resident during the test.
    pub peak_memory_bytes: Option<u64>,
}

/// Runs `test` with the programs that [`Engine::generate`] runs: each step chooses the likeliest token of each row on the
/// device, `steps_per_dispatch` of them (or as many as suit the device) before the host sees them. Prompts are random,
/// every row takes as many tokens, and none ends an answer. `poll` may end it between dispatches; the answer is then
/// `None`.
///
/// # Errors
/// If there is no room for the cache, or a program does not compile or run.
pub fn measure(
    engine: &Engine,
    test: &Test,
    repetitions: Repetitions,
    steps_per_dispatch: Option<NonZeroUsize>,
    poll: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Option<Measurement>, BenchError> {
    // Where the peak cannot be reset, it is that of the run so far.
    let _ = reset_peak_memory();
    let compiled = Compiling::so_far(engine);
    let mut runner = Runner::new(engine, test, steps_per_dispatch)?;
    let compiling = Compiling::so_far(engine).since(compiled);

    let mut rates = Vec::new();
    for run in 0..repetitions.warmup.saturating_add(repetitions.timed.max(1)) {
        let warms_up = run < repetitions.warmup;
        let new_tokens = if warms_up { 1 } else { runner.options.max_new_tokens };
        let Some(seconds) = runner.run(new_tokens, poll)? else { return Ok(None) };
        if !warms_up {
            rates.push((test.batch * test.tokens) as f64 / seconds.max(1e-9));
        }
    }
    let Some(tokens_per_s) = Statistics::of(&rates) else { return Ok(None) };

    let weight_bytes = engine.load_stats().iter().map(|device| device.bytes).sum();
    let position_bytes = engine.kv_cache().position_bytes(engine.config(), engine.dtype());
    let work = Work::of(test, engine.config(), weight_bytes, position_bytes);
    let (bytes_per_token, flops_per_token) = match work {
        Work::Bytes(bytes) => (Some(bytes), None),
        Work::Flops(flops) => (None, Some(flops)),
    };
    Ok(Some(Measurement {
        name: test.name(),
        test: *test,
        tokens_per_s,
        bytes_per_token,
        read_bytes_per_s: bytes_per_token.map(|bytes| bytes * tokens_per_s.mean),
        of_read_bandwidth: None,
        flops_per_token,
        flops_per_s: flops_per_token.map(|flops| flops * tokens_per_s.mean),
        of_matrix_peak: None,
        capacity: runner.batch.capacity(),
        kv_cache_bytes: runner.batch.cache_bytes(),
        compiling,
        peak_memory_bytes: peak_memory(),
    }))
}

impl Measurement {
    /// Sets the figures beside what the devices can do.
    pub(super) fn relate(&mut self, peaks: &Peaks) {
        let of = |rate: Option<f64>, peak: f64| Some(rate? / peak).filter(|ratio| ratio.is_finite());
        self.of_read_bandwidth = of(self.read_bytes_per_s, peaks.read_bandwidth.best);
        self.of_matrix_peak = of(self.flops_per_s, peaks.matrix_peak.best);
    }
}

/// A batch at the depth of a test, and what it is fed.
struct Runner<'e> {
    batch: Batch<'e>,
    test: Test,
    options: GenerateOptions,
    /// Tokens of a row in one dispatch.
    steps: NonZeroUsize,
    /// What each row reads: what is in the cache before, and then a prompt, or the token that new ones follow.
    prompts: Vec<Vec<u32>>,
}

impl<'e> Runner<'e> {
    /// Compiles what the test takes; the cache is still empty.
    fn new(
        engine: &'e Engine,
        test: &Test,
        steps_per_dispatch: Option<NonZeroUsize>,
    ) -> Result<Self, EngineError> {
        let Test { kind, tokens, depth, batch: rows } = *test;
        let (max_new_tokens, read) = match kind {
            Kind::Prompt => (1, test.positions()),
            Kind::Generation => (tokens, depth.saturating_add(1)),
        };
        let options = GenerateOptions { max_new_tokens, steps_per_dispatch, ..GenerateOptions::default() };
        let batch = engine.batch(rows, test.positions())?;
        match kind {
            Kind::Prompt => batch.prepare_whole_generation(&[depth, tokens], &options)?,
            // A single new token is made by decode here, too.
            Kind::Generation => {
                let options = GenerateOptions { max_new_tokens: max_new_tokens.max(2), ..options.clone() };
                batch.prepare_whole_generation(&[depth], &options)?;
            }
        }
        let steps = engine.steps_per_dispatch(&options);
        Ok(Self { batch, test: *test, options, steps, prompts: random_tokens(engine.config(), rows, read) })
    }

    /// Runs the test, a generation up to `new_tokens` tokens a row. Returns its seconds.
    fn run(
        &mut self,
        new_tokens: usize,
        poll: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<f64>, EngineError> {
        if poll().is_break() {
            return Ok(None);
        }
        self.restore_depth()?;
        let started = Instant::now();
        let is_done = match self.test.kind {
            Kind::Prompt => self.read(self.test.positions()).map(|()| true)?,
            Kind::Generation => self.generate(new_tokens, poll)?,
        };
        Ok(is_done.then(|| started.elapsed().as_secs_f64()))
    }

    /// Makes each row's cache hold what is to be there before the test.
    fn restore_depth(&mut self) -> Result<(), EngineError> {
        let filled = (0..self.batch.rows()).all(|row| self.batch.length(row) >= self.test.depth);
        if filled && self.batch.rewind(self.test.depth) {
            return Ok(());
        }
        self.batch.clear()?;
        self.read(self.test.depth)
    }

    /// Reads as much as each row's cache lacks of the first `length` tokens.
    fn read(&mut self, length: usize) -> Result<(), EngineError> {
        let sequences: Vec<&[u32]> =
            self.prompts.iter().map(|prompt| prompt.get(..length).unwrap_or_default()).collect();
        let sampler = self.options.sampler();
        check(&sequences, &self.batch.sampled_prefill(&rows(&sequences, 1), sampler)?)
    }

    /// Lets each row make `new_tokens` tokens, one after the other. Returns whether it was let to.
    fn generate(
        &mut self,
        new_tokens: usize,
        poll: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<bool, EngineError> {
        let (sampler, steps) = (self.options.sampler(), self.steps);
        let mut histories = self.prompts.clone();
        let mut left = new_tokens;
        while left > 0 {
            if poll().is_break() {
                return Ok(false);
            }
            let sequences: Vec<&[u32]> = histories.iter().map(Vec::as_slice).collect();
            let chosen = self.batch.sampled_decode(&rows(&sequences, left), sampler, steps)?;
            check(&sequences, &chosen)?;
            for (history, chosen) in histories.iter_mut().zip(&chosen) {
                history.extend(chosen.choices.iter().map(|choice| choice.token));
            }
            left -= left.min(steps.get());
        }
        Ok(true)
    }
}

/// Rows that take up to `remaining` greedy tokens after what they are given.
fn rows<'t>(sequences: &[&'t [u32]], remaining: usize) -> Vec<Option<SampledRow<'t>>> {
    let row = |&sequence| SampledRow { sequence, sampling: Sampling::GREEDY, remaining, stop_at_eos: false };
    sequences.iter().map(|sequence| Some(row(sequence))).collect()
}

/// Checks that tokens were chosen after the sequences: a row that ends before the others would make them faster.
fn check(sequences: &[&[u32]], chosen: &[Chosen]) -> Result<(), EngineError> {
    let broken = chosen.iter().enumerate().find_map(|(row, chosen)| Some((row, chosen, chosen.non_finite?)));
    let Some((row, chosen, (token, value))) = broken else { return Ok(()) };
    let position = sequences.get(row).map_or(0, |sequence| sequence.len()) + chosen.choices.len();
    Err(EngineError::NonFiniteLogit { row, position, token, value })
}

/// Sequences of random tokens, always the same.
pub(super) fn random_tokens(config: &GemmaConfig, rows: usize, tokens: usize) -> Vec<Vec<u32>> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let vocab = config.live_vocab_size().max(1) as u64;
    // Below the vocabulary, which is counted in u32s.
    let mut token = || (random.next_u64() % vocab) as u32;
    (0..rows).map(|_| (0..tokens).map(|_| token()).collect()).collect()
}
