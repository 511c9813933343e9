//! Running a test.

use std::ops::ControlFlow;
use std::time::Instant;

use lapidary_models::config::GemmaConfig;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use super::memory::{peak_memory, reset_peak_memory};
use super::{BenchError, Compiling, Kind, Peaks, Statistics, Test, Work};
use crate::engine::{Batch, Engine, EngineError};

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

/// Runs `test`. Tokens are random, every row takes as many, and nothing is sampled: what is timed is the steps and
/// bringing their logits to the host. `poll` may end it between steps; the answer is then `None`.
///
/// # Errors
/// If there is no room for the cache, or a program does not compile or run.
pub fn measure(
    engine: &Engine,
    test: &Test,
    repetitions: Repetitions,
    poll: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Option<Measurement>, BenchError> {
    // Where the peak cannot be reset, it is that of the run so far.
    let _ = reset_peak_memory();
    let compiled = Compiling::so_far(engine);
    let mut runner = Runner::new(engine, test)?;
    let compiling = Compiling::so_far(engine).since(compiled);

    let mut rates = Vec::new();
    for run in 0..repetitions.warmup.saturating_add(repetitions.timed.max(1)) {
        let warms_up = run < repetitions.warmup;
        let steps = if warms_up { 1 } else { runner.steps() };
        let Some(seconds) = runner.run(steps, poll)? else { return Ok(None) };
        if !warms_up {
            rates.push((test.batch * test.tokens) as f64 / seconds.max(1e-9));
        }
    }
    let Some(tokens_per_s) = Statistics::of(&rates) else { return Ok(None) };

    let weight_bytes = engine.load_stats().iter().map(|device| device.bytes).sum();
    let work = Work::of(test, engine.config(), weight_bytes, engine.dtype().byte_width());
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
    /// What is in the cache before.
    context: Vec<Vec<u32>>,
    /// What each row reads, or makes.
    tokens: Vec<Vec<u32>>,
}

impl<'e> Runner<'e> {
    /// Compiles what the test takes; the cache is still empty.
    fn new(engine: &'e Engine, test: &Test) -> Result<Self, EngineError> {
        let batch = engine.batch(test.batch, test.positions())?;
        match test.kind {
            Kind::Prompt => batch.prepare(&[test.depth, test.tokens], false)?,
            Kind::Generation => batch.prepare(&[test.depth], true)?,
        }
        let mut context = random_tokens(engine.config(), test.batch, test.positions());
        let tokens = context.iter_mut().map(|row| row.split_off(test.depth)).collect();
        Ok(Self { batch, test: *test, context, tokens })
    }

    /// Calls of the engine that the whole test takes.
    fn steps(&self) -> usize {
        match self.test.kind {
            Kind::Prompt => 1,
            Kind::Generation => self.test.tokens,
        }
    }

    /// Runs the first `steps` steps of the test. Returns their seconds.
    fn run(
        &mut self,
        steps: usize,
        poll: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<f64>, EngineError> {
        if poll().is_break() {
            return Ok(None);
        }
        self.restore_depth()?;
        let started = Instant::now();
        for step in 0..steps {
            if poll().is_break() {
                return Ok(None);
            }
            match self.test.kind {
                Kind::Prompt => {
                    let prompts: Vec<&[u32]> = self.tokens.iter().map(Vec::as_slice).collect();
                    self.batch.prefill(&prompts)?;
                }
                Kind::Generation => {
                    let next: Vec<Option<u32>> =
                        self.tokens.iter().map(|row| row.get(step).copied()).collect();
                    self.batch.decode(&next)?;
                }
            }
        }
        Ok(Some(started.elapsed().as_secs_f64()))
    }

    /// Makes each row's cache hold what is to be there before the test.
    fn restore_depth(&mut self) -> Result<(), EngineError> {
        let filled = (0..self.batch.rows()).all(|row| self.batch.length(row) >= self.test.depth);
        if filled && self.batch.rewind(self.test.depth) {
            return Ok(());
        }
        self.batch.clear()?;
        let context: Vec<&[u32]> = self.context.iter().map(Vec::as_slice).collect();
        self.batch.prefill(&context)?;
        Ok(())
    }
}

/// Sequences of random tokens, always the same.
pub(super) fn random_tokens(config: &GemmaConfig, rows: usize, tokens: usize) -> Vec<Vec<u32>> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let vocab = config.live_vocab_size().max(1) as u64;
    // Below the vocabulary, which is counted in u32s.
    let mut token = || (random.next_u64() % vocab) as u32;
    (0..rows).map(|_| (0..tokens).map(|_| token()).collect()).collect()
}
