//! The engine: a model's weights on a device, its programs, and batches of sequences in their KV caches.

mod aligned;
mod batch;
pub mod cache;
pub(crate) mod compile;
mod dtype;
mod error;
mod executables;
mod generate;
mod host_shard;
mod inputs;
mod kernels;
mod loading;
mod numerics;
mod out_of_memory;
mod placement;
mod prefault;
pub(crate) mod programs;
pub(crate) mod random_arrays;
mod random_weights;
mod region;
mod report;
mod sampling;
mod score;
mod sequences;
mod sharded_buffer;
mod state;
mod stop;
mod weights;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapidary_graph::DType;
use lapidary_lower::Target;
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::{KvCache, Phase, ProgramShape};

pub use batch::{Batch, CacheGrowth, Choice};
pub(crate) use batch::{Chosen, SampledRow};
pub use dtype::preferred_dtype;
pub use error::EngineError;
pub use generate::{
    FinishReason, GenerateOptions, Generation, MAX_STEPS_PER_DISPATCH, Piece, PrefixCache, Timings,
};
pub use kernels::{Kernels, UnknownKernel};
pub use loading::UnloadedEngine;
pub use numerics::Numerics;
pub use out_of_memory::{DeviceMemory, OutOfMemory, Purpose};
pub use placement::{Placement, PlacementError};
pub use sampling::{Sampling, SamplingError};
pub use score::{OnLogits, Score, ScoreChunk};
pub use sequences::check_sequences;
pub use stop::{Passed, StopMatcher};
pub use weights::LoadStats;

use cache::{Compilation, EngineProgram, ExecutableCache, Origins};
use executables::{Executable, Executables, Maker};
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
/// Weights are loaded once; programs are compiled when a batch first needs them, or ahead of that. An engine that is
/// dropped waits for the compiler, if that is at work.
#[derive(Debug)]
pub struct Engine {
    placement: Placement,
    target: Target,
    config: GemmaConfig,
    source: Arc<dyn ProgramSource>,
    weights: Weights,
    load_time: Duration,
    cache: ExecutableCache,
    executables: Executables,
    /// Held while a step is launched. Devices run programs in the order of launch, and programs meet in
    /// collectives: launched in different orders, two steps would wait for each other for ever.
    launch: Mutex<()>,
}

impl Engine {
    /// Takes executables from a cache and stores there what is compiled.
    #[must_use]
    pub fn with_cache(mut self, cache: ExecutableCache) -> Self {
        let Self { placement, target, config, source, .. } = &self;
        let maker = Maker::new(placement, target, config, source, &cache);
        self.executables.set_maker(maker);
        self.cache = cache;
        self
    }

    /// The model's config.
    pub fn config(&self) -> &GemmaConfig {
        &self.config
    }

    /// Element type of activations, and of weights that are not encoded.
    pub fn dtype(&self) -> DType {
        self.source.dtype()
    }

    /// Form of the KV cache.
    pub fn kv_cache(&self) -> KvCache {
        self.source.kv_cache()
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

    /// Wall time that was spent so far on waiting for executables and nothing else, be they compiled or found in the cache.
    /// Those that are made while weights are loaded, or while other steps run, count as far as that was not enough time.
    pub fn compile_time(&self) -> Duration {
        self.executables.waiting_time()
    }

    /// The programs that became executables so far, in their order.
    pub fn compilations(&self) -> Vec<Arc<Compilation>> {
        self.executables.compilations()
    }

    /// Waits until no executable is being made ahead of its need, so that what follows is not disturbed by it.
    pub fn settle(&self) {
        self.executables.settle();
    }

    /// How many executables there are so far, by where they came from.
    pub fn origins(&self) -> Origins {
        Origins::of(self.compilations().iter().map(|compilation| &**compilation))
    }

    /// Sequences that can run at a time, where the programs there are set a limit.
    pub fn max_rows(&self) -> Option<usize> {
        self.source.max_rows()
    }

    /// Of some number of sequences, how many run at a time.
    fn rows_at_a_time(&self, sequences: usize) -> usize {
        sequences.min(self.max_rows().unwrap_or(usize::MAX)).max(1)
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

    /// Makes the executables of `now`, at the same time, and begins those of `later`, which steps wait for.
    fn prepare(&self, now: &[ProgramShape], later: &[ProgramShape]) -> Result<(), EngineError> {
        let programs =
            |shapes: &[ProgramShape]| shapes.iter().copied().map(EngineProgram::Step).collect::<Vec<_>>();
        self.executables.prepare(&programs(now), &programs(later))
    }

    fn program(&self, shape: ProgramShape) -> Result<Arc<CompiledProgram>, EngineError> {
        let program = EngineProgram::Step(shape);
        match self.executables.get(program)? {
            Executable::Step(step) => Ok(step),
            Executable::Growth(_) => Err(EngineError::CompilerThread(program)),
        }
    }

    /// The shape of a program for `rows` sequences, idle rows included.
    fn shape(&self, phase: Phase, rows: usize, tokens: usize, capacity: usize) -> ProgramShape {
        let (batch, dtype, kv_cache) = (self.source.rows(rows), self.dtype(), self.kv_cache());
        ProgramShape { phase, batch, tokens, capacity, dtype, kv_cache }
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
