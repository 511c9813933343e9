//! The KV cache of a batch: what one step hands to the next.

use std::collections::HashMap;

use lapidary_models::program::{ParamRole, ProgramShape, StateKind};
use lapidary_runtime::Buffer;

use super::placement::Holder;
use super::sharded_buffer::ShardedBuffer;
use super::{Engine, EngineError, dtype};

/// What each layer has of it, by layer and kind.
pub(super) type State = HashMap<(usize, StateKind), ShardedBuffer>;

/// The empty cache of the programs of `shape`, each device holding its shards.
///
/// # Errors
/// If there is no room for it.
pub(super) fn empty(engine: &Engine, shape: &ProgramShape) -> Result<State, EngineError> {
    let placement = &engine.placement;
    let bytes = shape.cache_bytes(&engine.config);
    let (rows, positions) = (shape.batch, shape.capacity);
    let interface = engine.source.interface(shape)?;
    let mut state = State::new();
    let mut zeros: Vec<u8> = Vec::new();
    for (param, sharding) in interface.params() {
        let ParamRole::State { layer, kind } = param.role else { continue };
        let dims = sharding.shard_shape();
        // A context may be so long that the cache is larger than memory, which must not abort.
        let len = dims.iter().try_fold(param.ty.dtype.byte_width(), |len, dim| len.checked_mul(*dim));
        let missing = len.map(|len| (len, zeros.try_reserve_exact(len.saturating_sub(zeros.len()))));
        let Some((len, Ok(()))) = missing else {
            return Err(EngineError::CacheSize { bytes, rows, positions });
        };
        zeros.resize(len, 0);
        let (client, element_type) = (placement.client(), dtype::element_type(param.ty.dtype));
        let upload =
            |holder: &Holder<'_>| client.buffer_from_host(&zeros, element_type, &dims, holder.device);
        let buffers = ShardedBuffer::place(placement, sharding, |part| {
            part.holders.iter().map(upload).collect::<Result<Vec<Buffer>, _>>()
        });
        let buffers = buffers.map_err(|source| EngineError::Cache {
            bytes,
            rows,
            positions,
            source: Box::new(source),
        })?;
        state.insert((layer, kind), buffers);
    }
    Ok(state)
}
