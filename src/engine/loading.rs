//! From a checkpoint to an engine: programs become executables while weights are on their way.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lapidary_graph::DType;
use lapidary_models::checkpoint::Checkpoint;
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::{KvCache, Phase, ProgramShape};
use lapidary_models::progress::OnProgress;

use super::cache::ExecutableCache;
use super::executables::{Executables, Maker};
use super::programs::{GraphPrograms, ProgramSource};
use super::weights::Weights;
use super::{Engine, EngineError, Numerics, Placement};
use crate::bundle::BundlePrograms;
use crate::target::arranged;

/// An engine whose weights are still to be [loaded](Self::load).
#[derive(Debug)]
pub struct UnloadedEngine(Engine);

impl Engine {
    /// Loads `checkpoint` onto the devices of `placement` in the dtype of `numerics`, or in the dtype that suits how it is
    /// stored (bf16 stays bf16; f32 and f16 become f32, which holds both exactly). Weights that are encoded stay so,
    /// whatever the dtype; f16 beside them becomes bf16. Each device gets only its shards.
    ///
    /// Shards that are already stored in the element type they are held in, in one piece and aligned, are used in place
    /// where the device can.
    ///
    /// # Errors
    /// If the platform has no target table, the dtype is not bf16 or f32, or a tensor does not load.
    pub fn load(
        placement: &Placement,
        checkpoint: &Checkpoint,
        numerics: impl Into<Numerics>,
        progress: OnProgress<'_>,
    ) -> Result<Self, EngineError> {
        Self::unloaded(placement, checkpoint, numerics)?.load(checkpoint, |_| Ok(()), progress)
    }

    /// Loads `checkpoint` to run with the programs of a bundle: no graph is built, and no step of the model is compiled
    /// unless the bundle was [opened](crate::bundle::Bundle::programs) to be recompiled. The context is the bundle's.
    ///
    /// # Errors
    /// If the bundle has no program, or a tensor does not load.
    pub fn load_bundle(
        checkpoint: &Checkpoint,
        programs: BundlePrograms,
        progress: OnProgress<'_>,
    ) -> Result<Self, EngineError> {
        Self::unloaded_bundle(checkpoint, programs)?.load(checkpoint, |_| Ok(()), progress)
    }

    /// An engine for `checkpoint` that has none of its weights yet. Placement and numerics are as in [`load`](Self::load).
    ///
    /// # Errors
    /// If the platform has no target table.
    pub fn unloaded(
        placement: &Placement,
        checkpoint: &Checkpoint,
        numerics: impl Into<Numerics>,
    ) -> Result<UnloadedEngine, EngineError> {
        let numerics = numerics.into();
        Self::unloaded_of(placement, checkpoint.config(), numerics.dtype_for(checkpoint), numerics.kv_cache)
    }

    /// An engine for models of `config` that has no weights yet.
    pub(super) fn unloaded_of(
        placement: &Placement,
        config: &GemmaConfig,
        dtype: DType,
        kv_cache: KvCache,
    ) -> Result<UnloadedEngine, EngineError> {
        let target = placement.target()?;
        let source = GraphPrograms {
            placement: placement.clone(),
            config: arranged(config, &target),
            target,
            dtype,
            kv_cache,
        };
        UnloadedEngine::new(placement, config, Arc::new(source))
    }

    /// As [`load_bundle`](Self::load_bundle), but with none of the weights yet.
    ///
    /// # Errors
    /// If the platform has no target table.
    pub fn unloaded_bundle(
        checkpoint: &Checkpoint,
        programs: BundlePrograms,
    ) -> Result<UnloadedEngine, EngineError> {
        let placement = programs.placement().clone();
        UnloadedEngine::new(&placement, checkpoint.config(), Arc::new(programs))
    }
}

impl UnloadedEngine {
    fn new(
        placement: &Placement,
        config: &GemmaConfig,
        source: Arc<dyn ProgramSource>,
    ) -> Result<Self, EngineError> {
        let mut config = config.clone();
        config.context = source.context().min(config.context);
        let target = placement.target()?;
        let cache = ExecutableCache::off("the engine was given none");
        Ok(Self(Engine {
            placement: placement.clone(),
            executables: Executables::new(Maker::new(placement, &target, &config, &source, &cache)),
            target,
            config,
            source,
            weights: Weights::default(),
            load_time: Duration::ZERO,
            cache,
            launch: Mutex::default(),
        }))
    }

    /// As [`Engine::with_cache`].
    #[must_use]
    pub fn with_cache(self, cache: ExecutableCache) -> Self {
        Self(self.0.with_cache(cache))
    }

    /// The engine, which has no weights to run with.
    pub(super) fn engine(&self) -> &Engine {
        &self.0
    }

    /// The engine with weights that came otherwise than from a checkpoint, in `load_time`.
    pub(super) fn with_weights(self, weights: Weights, load_time: Duration) -> Engine {
        Engine { weights, load_time, ..self.0 }
    }

    /// Loads the weights. At the same time, in another thread, `prepare` has the engine make executables of programs
    /// that will be needed ([`Engine::prepare_generation`]); there are no weights yet to run them with.
    ///
    /// # Errors
    /// If a tensor does not load; or else that of `prepare`.
    pub fn load(
        self,
        checkpoint: &Checkpoint,
        prepare: impl FnOnce(&Engine) -> Result<(), EngineError> + Send,
        progress: OnProgress<'_>,
    ) -> Result<Engine, EngineError> {
        let Self(mut engine) = self;
        let started = Instant::now();
        let (weights, time, prepared) = std::thread::scope(|scope| {
            let preparing = scope.spawn(|| prepare(&engine));
            let weights = load_weights(&engine, checkpoint, progress);
            let time = started.elapsed();
            if let Ok(weights) = &weights {
                // Until the executables are there, this thread has nothing else to do.
                weights.prefault_while(|| !preparing.is_finished());
            }
            // A panic of the caller's own goes on as one.
            let prepared = preparing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (weights, time, prepared)
        });
        engine.executables.set_waiting_time(started.elapsed().saturating_sub(time));
        (engine.weights, engine.load_time) = (weights?, time);
        prepared?;
        Ok(engine)
    }
}

fn load_weights(
    engine: &Engine,
    checkpoint: &Checkpoint,
    progress: OnProgress<'_>,
) -> Result<Weights, EngineError> {
    let Engine { placement, source, .. } = engine;
    let smallest = smallest_program(source.as_ref());
    let tensors = source.interface(&smallest)?.weights();
    Weights::load(placement, checkpoint, &tensors, progress)
}

/// A small program, which tells how all of them take the weights.
pub(super) fn smallest_program(source: &dyn ProgramSource) -> ProgramShape {
    ProgramShape {
        phase: Phase::Decode,
        batch: source.rows(1),
        tokens: 1,
        capacity: source.capacity(1),
        dtype: source.dtype(),
        kv_cache: source.kv_cache(),
    }
}
