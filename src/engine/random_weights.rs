//! Engines of random weights that the devices make themselves, for measuring large models without a checkpoint.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Instant;

use lapidary_graph::{DType, TensorType};
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::ParamRole;
use lapidary_models::progress::{OnProgress, Progress};
use lapidary_models::synth;
use sha2::{Digest, Sha256};

use super::cache::ExecutableCache;
use super::random_arrays::RandomArrays;
use super::sharded_buffer::ShardedBuffer;
use super::weights::{LoadStats, Weights};
use super::{Engine, EngineError, Numerics, Placement, loading};

impl Engine {
    /// An engine for a model of `config` whose weights are made up on the devices of `placement`, each from its name: in
    /// the dtype of `numerics` (bf16 if it has none), or in the encodings of `config`. They follow the distributions of
    /// [`synth`](lapidary_models::synth), but are other numbers than its files have, the same ones on any mesh. Nothing of
    /// them is ever in this machine's own memory, except where that is the device's.
    ///
    /// # Errors
    /// If a device has no room for the weights; [`EngineError::Cancelled`] if `progress` breaks.
    pub fn random(
        placement: &Placement,
        config: &GemmaConfig,
        numerics: impl Into<Numerics>,
        cache: ExecutableCache,
        progress: OnProgress<'_>,
    ) -> Result<Self, EngineError> {
        let Numerics { dtype, kv_cache } = numerics.into();
        let dtype = dtype.unwrap_or(DType::BF16);
        let unloaded = Self::unloaded_of(placement, config, dtype, kv_cache)?.with_cache(cache);
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
        .filter_map(|(param, sharding)| match &param.role {
            ParamRole::Weight(tensor) => Some((tensor, &param.ty, sharding)),
            ParamRole::Input(_) | ParamRole::State { .. } => None,
        })
        .collect();
    report.total = weights.iter().map(|(_, ty, _)| ty.device_size() as u64).sum();
    let mut shard_bytes = 0;
    let mut buffers = HashMap::new();
    for (tensor, ty, sharding) in weights {
        if progress(report) == ControlFlow::Break(()) {
            return Err(EngineError::Cancelled);
        }
        let normal = synth::tensor_distribution(&engine.config, tensor);
        let shards = arrays
            .make(ty, sharding, normal, key(&tensor.name))
            .map_err(|source| EngineError::RandomWeight { tensor: tensor.name.clone(), source })?;
        buffers.insert(tensor.name.clone(), ShardedBuffer::new(shards));
        shard_bytes += TensorType::new(ty.dtype, sharding.shard_shape()).device_size() as u64;
        report.done += ty.device_size() as u64;
    }
    // Done in any case: a cancellation that comes now is the caller's to act upon.
    let _ = progress(report);
    let stats = LoadStats { bytes: shard_bytes, ..LoadStats::default() };
    Ok(Weights::of_buffers(buffers, vec![stats; engine.placement.addressable_devices().count()]))
}

/// A key that no other weight has.
fn key(name: &str) -> u64 {
    Sha256::digest(name.as_bytes()).iter().take(8).fold(0, |key, &byte| (key << 8) | u64::from(byte))
}
