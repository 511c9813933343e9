//! Engines of random weights that the device makes itself, for measuring large models without a checkpoint.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Instant;

use lapidary_graph::DType;
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::ParamRole;
use lapidary_models::progress::{OnProgress, Progress};
use lapidary_models::synth;
use sha2::{Digest, Sha256};

use super::cache::ExecutableCache;
use super::random_arrays::RandomArrays;
use super::sharded_buffer::ShardedBuffer;
use super::weights::{LoadStats, Weights};
use super::{Engine, EngineError, Placement, loading};

impl Engine {
    /// An engine for a model of `config` whose weights are made up on the device of `placement`, in `dtype`, each from its
    /// name: of the distributions of [`synth`](lapidary_models::synth), but other numbers than its files have. Nothing
    /// of them is ever in this machine's own memory, except where that is the device's.
    ///
    /// # Errors
    /// If the placement is not one device, or has no room for the weights; [`EngineError::Cancelled`] if `progress`
    /// breaks.
    pub fn random(
        placement: &Placement,
        config: &GemmaConfig,
        dtype: DType,
        cache: ExecutableCache,
        progress: OnProgress<'_>,
    ) -> Result<Self, EngineError> {
        let devices = placement.devices().len();
        if devices != 1 {
            return Err(EngineError::RandomMesh { devices });
        }
        let unloaded = Self::unloaded_of(placement, config, dtype)?.with_cache(cache);
        let started = Instant::now();
        let weights = weights(unloaded.engine(), progress)?;
        Ok(unloaded.with_weights(weights, started.elapsed()))
    }
}

fn weights(engine: &Engine, progress: OnProgress<'_>) -> Result<Weights, EngineError> {
    let mut arrays = RandomArrays::new(&engine.placement, &engine.cache)?;
    let interface = engine.source.interface(&loading::smallest_program(engine.source.as_ref()))?;
    let mut report = Progress { done: 0, total: 0 };
    let weights: Vec<_> = interface
        .params()
        .filter_map(|(param, _)| match &param.role {
            ParamRole::Weight(spec) => Some((spec, &param.ty)),
            ParamRole::Input(_) | ParamRole::State { .. } => None,
        })
        .collect();
    report.total = weights.iter().map(|(_, ty)| ty.byte_size() as u64).sum();
    let mut buffers = HashMap::new();
    for (spec, ty) in weights {
        if progress(report) == ControlFlow::Break(()) {
            return Err(EngineError::Cancelled);
        }
        let normal = synth::distribution(&engine.config, &spec.weight);
        let buffer = arrays
            .make(ty, normal, key(&spec.name))
            .map_err(|source| EngineError::RandomWeight { tensor: spec.name.clone(), source })?;
        buffers.insert(spec.name.clone(), ShardedBuffer::new(vec![buffer]));
        report.done += ty.byte_size() as u64;
    }
    // Done in any case: a cancellation that comes now is the caller's to act upon.
    let _ = progress(report);
    let stats = LoadStats { bytes: report.total, ..LoadStats::default() };
    Ok(Weights::of_buffers(buffers, vec![stats]))
}

/// A key that no other weight has.
fn key(name: &str) -> u64 {
    Sha256::digest(name.as_bytes()).iter().take(8).fold(0, |key, &byte| (key << 8) | u64::from(byte))
}
