//! The engine: a model's weights on a device, its programs, and batches of sequences in their KV caches.

mod aligned;
mod batch;
pub mod cache;
pub(crate) mod compile;
mod dtype;
mod error;
mod generate;
mod inputs;
mod kernels;
mod loading;
mod placement;
pub(crate) mod programs;
mod region;
mod report;
mod sampling;
mod score;
mod sequences;
mod sharded_buffer;
mod state;
mod stop;
mod weights;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lapidary_graph::DType;
use lapidary_lower::Target;
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::{Phase, ProgramShape};
use lapidary_runtime::LoadedExecutable;

pub use batch::{Batch, CacheGrowth, Choice};
pub use error::EngineError;
pub use generate::{
    FinishReason, GenerateOptions, Generation, MAX_STEPS_PER_DISPATCH, Piece, PrefixCache,
    STEPS_PER_DISPATCH, Timings,
};
pub use kernels::{Kernels, UnknownKernel};
pub use loading::UnloadedEngine;
pub use placement::{Placement, PlacementError};
pub use sampling::{Sampling, SamplingError};
pub use score::{OnLogits, Score, ScoreChunk};
pub use sequences::check_sequences;
pub use stop::{Passed, StopMatcher};
pub use weights::LoadStats;

use cache::{Compilation, EngineProgram, ExecutableCache, Origins};
use programs::{CompiledProgram, ProgramSource};
use weights::Weights;

/// Prompt chunks are padded to one of these numbers of tokens, so that a few programs serve all lengths.
const PREFILL_BUCKETS: [usize; 6] = [16, 32, 64, 128, 256, 512];

/// Most tokens that a row takes in one step.
pub const MAX_STEP_TOKENS: usize = {
    let [.., largest] = PREFILL_BUCKETS;
    largest
};

/// Smallest KV cache, in positions. Capacities are powers of two from here, capped at the context, so that
/// conversations of similar length share programs.
const MIN_CAPACITY: usize = 128;

/// A model ready to run on the devices of a placement.
///
/// Weights are loaded once; programs are compiled when a batch first needs them.
#[derive(Debug)]
pub struct Engine {
    placement: Placement,
    target: Target,
    config: GemmaConfig,
    source: Box<dyn ProgramSource>,
    weights: Weights,
    load_time: Duration,
    cache: ExecutableCache,
    programs: Mutex<HashMap<ProgramShape, Arc<CompiledProgram>>>,
    growths: Mutex<HashMap<CacheGrowth, Arc<LoadedExecutable>>>,
    compilations: Mutex<Vec<Arc<Compilation>>>,
    compile_time: Mutex<Duration>,
    /// Held while a step is launched. Devices run programs in the order of launch, and programs meet in
    /// collectives: launched in different orders, two steps would wait for each other for ever.
    launch: Mutex<()>,
}

impl Engine {
    /// Takes executables from a cache and stores there what is compiled.
    #[must_use]
    pub fn with_cache(mut self, cache: ExecutableCache) -> Self {
        self.cache = cache;
        self
    }

    /// The model's config.
    pub fn config(&self) -> &GemmaConfig {
        &self.config
    }

    /// Element type of weights, activations and KV cache.
    pub fn dtype(&self) -> DType {
        self.source.dtype()
    }

    /// The devices that the model runs on.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// What loading did on each addressable device, in the order of the mesh.
    pub fn load_stats(&self) -> &[LoadStats] {
        self.weights.stats()
    }

    /// Wall time that loading the weights took.
    pub fn load_time(&self) -> Duration {
        self.load_time
    }

    /// Wall time spent so far on making executables of programs, or on finding them in the cache.
    pub fn compile_time(&self) -> Duration {
        *lock(&self.compile_time)
    }

    /// The programs that became executables so far, in their order.
    pub fn compilations(&self) -> Vec<Arc<Compilation>> {
        lock(&self.compilations).clone()
    }

    /// How many executables there are so far, by where they came from.
    pub fn origins(&self) -> Origins {
        Origins::of(lock(&self.compilations).iter().map(|compilation| &**compilation))
    }

    /// Sequences that can run at a time, where the programs there are set a limit.
    pub fn max_rows(&self) -> Option<usize> {
        self.source.max_rows()
    }

    /// Whether there are executables so far, and none of them had to be compiled.
    pub fn is_compile_cached(&self) -> bool {
        let origins = self.origins();
        origins.total() > 0 && origins.compiled == 0
    }

    /// An empty batch of `rows` sequences with room for `positions` tokens each (rounded up to a capacity
    /// that other batches share, at most the model's context). It grows with its sequences.
    ///
    /// # Errors
    /// If the device has no room for the KV cache.
    pub fn batch(&self, rows: usize, positions: usize) -> Result<Batch<'_>, EngineError> {
        Batch::new(self, rows, self.capacity(positions))
    }

    fn capacity(&self, positions: usize) -> usize {
        self.source.capacity(positions)
    }

    /// Compiles what is not compiled yet of `shapes`, at the same time.
    fn prepare(&self, shapes: &[ProgramShape]) -> Result<(), EngineError> {
        let mut missing: Vec<ProgramShape> = Vec::new();
        {
            let programs = lock(&self.programs);
            for shape in shapes {
                if !programs.contains_key(shape) && !missing.contains(shape) {
                    missing.push(*shape);
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let compiled = std::thread::scope(|scope| {
            let compile = |shape| scope.spawn(move || self.compile(shape));
            let running: Vec<_> = missing.iter().map(compile).collect();
            running.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        });
        *lock(&self.compile_time) += started.elapsed();
        for (shape, program) in missing.into_iter().zip(compiled) {
            let (program, compilation) = program.map_err(|_| EngineError::CompilerThread(shape))??;
            lock(&self.compilations).push(Arc::new(compilation));
            lock(&self.programs).insert(shape, Arc::new(program));
        }
        Ok(())
    }

    fn compile(&self, shape: &ProgramShape) -> Result<(CompiledProgram, Compilation), EngineError> {
        let started = Instant::now();
        let (program, cache) = self.source.program(shape, &self.cache)?;
        Ok((program, Compilation { program: EngineProgram::Step(*shape), time: started.elapsed(), cache }))
    }

    fn program(&self, shape: ProgramShape) -> Result<Arc<CompiledProgram>, EngineError> {
        self.prepare(&[shape])?;
        lock(&self.programs).get(&shape).cloned().ok_or(EngineError::CompilerThread(shape))
    }

    /// The shape of a program for `rows` sequences, idle rows included.
    fn shape(&self, phase: Phase, rows: usize, tokens: usize, capacity: usize) -> ProgramShape {
        ProgramShape { phase, batch: self.source.rows(rows), tokens, capacity, dtype: self.dtype() }
    }

    /// The next step of `phase` for rows with up to `tokens` tokens to go, which may take more steps.
    fn step(&self, phase: Phase, rows: usize, tokens: usize, capacity: usize) -> ProgramShape {
        let wanted = self.shape(phase, rows, tokens, capacity);
        ProgramShape { tokens: self.source.step_tokens(&wanted), ..wanted }
    }
}

/// A poisoned lock still guards whole values here: nothing that holds one leaves a value half-changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
