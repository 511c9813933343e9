//! Weights on the devices of a placement.

use std::collections::HashMap;
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use lapidary_graph::DType;
use lapidary_lower::Sharding;
use lapidary_models::checkpoint::{Checkpoint, TensorView};
use lapidary_models::dtype::StoredDtype;
use lapidary_models::progress::{OnProgress, Progress};
use lapidary_runtime::{Buffer, SharedBytes};

use super::aligned::AlignedBytes;
use super::placement::{Holder, Part, Placement};
use super::region::{Run, runs};
use super::sharded_buffer::ShardedBuffer;
use super::{EngineError, dtype};

/// The buffers of a checkpoint's tensors, by name.
#[derive(Default)]
pub(super) struct Weights {
    buffers: HashMap<String, ShardedBuffer>,
    stats: Vec<LoadStats>,
}

/// What loading did on one device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LoadStats {
    /// Bytes of weights on the device, each shard in full.
    pub bytes: u64,
    /// Of these, bytes that the device reads in the mapped file itself.
    pub in_place_bytes: u64,
    /// Of these, bytes that were converted from another element type.
    pub converted_bytes: u64,
}

impl Weights {
    /// Loads every tensor of `checkpoint`, one shard at a time, so that no more than a shard is held twice on the
    /// way and no tensor that is split is ever held whole. `shardings` has the tensors by name.
    pub(super) fn load(
        placement: &Placement,
        checkpoint: &Checkpoint,
        dtype: DType,
        shardings: &HashMap<String, Sharding>,
        progress: OnProgress<'_>,
    ) -> Result<Self, EngineError> {
        let stored = dtype::stored(dtype).ok_or(EngineError::DType(dtype))?;
        let stats = placement.addressable_devices().map(|_| LoadStats::default()).collect();
        let mut loader = Loader { placement, dtype, stored, stats };
        let mut buffers = HashMap::new();
        let mut report = Progress { done: 0, total: checkpoint.byte_count() };
        for tensor in checkpoint.tensors() {
            if progress(report) == ControlFlow::Break(()) {
                return Err(EngineError::Cancelled);
            }
            let name = tensor.name().to_string();
            let sharding = shardings.get(&name).ok_or_else(|| EngineError::UnusedTensor(name.clone()))?;
            buffers.insert(name, loader.load(tensor, sharding)?);
            report.done += tensor.range().len() as u64;
        }
        // Done in any case: a cancellation that comes now is the caller's to act upon.
        let _ = progress(report);
        Ok(Self { buffers, stats: loader.stats })
    }

    pub(super) fn get(&self, name: &str) -> Result<&ShardedBuffer, EngineError> {
        self.buffers.get(name).ok_or_else(|| EngineError::MissingTensor(name.to_string()))
    }

    /// What loading did on each addressable device, in the order of the mesh.
    pub(super) fn stats(&self) -> &[LoadStats] {
        &self.stats
    }
}

/// Loads tensors one after the other.
struct Loader<'p> {
    placement: &'p Placement,
    dtype: DType,
    stored: StoredDtype,
    stats: Vec<LoadStats>,
}

impl Loader<'_> {
    fn load(&mut self, tensor: &TensorView, sharding: &Sharding) -> Result<ShardedBuffer, EngineError> {
        let held = sharding.shard_shape();
        let mut copied = false;
        let buffers = ShardedBuffer::place(self.placement, sharding, |part| {
            let shard = HostShard::of(tensor, &part.ranges, &held, self.stored)
                .ok_or_else(|| EngineError::TensorData(tensor.name().to_string()))?;
            let buffers = self.upload(part, &shard, &held).map_err(|source| EngineError::LoadTensor {
                tensor: tensor.name().to_string(),
                source: Box::new(source),
            })?;
            copied |= !(shard.in_file && buffers.iter().all(Buffer::is_zero_copy));
            Ok::<_, EngineError>(buffers)
        })?;
        if copied {
            // Once devices have their own copies, the file's pages need not stay resident beside them. Released
            // while a copy is under way, they would come back.
            tensor.release();
        }
        Ok(buffers)
    }

    /// Gives a shard to the devices that hold it. On return none of them still copies it.
    fn upload(
        &mut self,
        part: &Part<'_>,
        shard: &HostShard,
        held: &[usize],
    ) -> lapidary_runtime::Result<Vec<Buffer>> {
        let (client, element_type) = (self.placement.client(), dtype::element_type(self.dtype));
        let upload =
            |holder: &Holder<'_>| client.buffer_from_shared(&shard.memory, element_type, held, holder.device);
        let buffers = part.holders.iter().map(upload).collect::<Result<Vec<Buffer>, _>>()?;
        for (holder, buffer) in part.holders.iter().zip(&buffers) {
            if !buffer.is_zero_copy() {
                buffer.ready()?.wait()?;
            }
            let bytes = buffer.shape().host_bytes()? as u64;
            if let Some(stats) = self.stats.get_mut(holder.index) {
                stats.bytes += bytes;
                stats.in_place_bytes += if shard.in_file && buffer.is_zero_copy() { bytes } else { 0 };
                stats.converted_bytes += if shard.converted { bytes } else { 0 };
            }
        }
        Ok(buffers)
    }
}

/// A part of a tensor as devices take it: dense, and in the element type to run in.
struct HostShard {
    memory: SharedBytes,
    /// Whether this is the mapped file itself, and no copy.
    in_file: bool,
    /// Whether the file has another element type.
    converted: bool,
}

impl HostShard {
    /// The part `ranges` of `tensor` at the start of an array of shape `held` and of type `dtype`; `None` if the
    /// tensor's bytes are not what its shape says.
    fn of(tensor: &TensorView, ranges: &[Range<usize>], held: &[usize], dtype: StoredDtype) -> Option<Self> {
        let converted = tensor.dtype() != dtype;
        let (size, len) = (dtype.size(), held.iter().product::<usize>());
        let mut runs = runs(tensor.dims(), ranges, held).peekable();
        if let Some(run) = runs.peek().filter(|run| run.len == len && !converted) {
            let start = tensor.range().start + run.whole * size;
            let memory = SharedBytes::slice(tensor.source().clone(), start..start + len * size)?;
            return Some(Self { memory, in_file: true, converted });
        }
        let mut gathered = AlignedBytes::zeroed(len * size);
        for Run { whole, part, len } in runs {
            let out = gathered.as_mut().get_mut(part * size..(part + len) * size)?;
            tensor.convert_range_into(whole..whole + len, dtype, out).ok()?;
        }
        Some(Self { memory: SharedBytes::new(Arc::new(gathered)), in_file: false, converted })
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: u64 = self.stats.iter().map(|device| device.bytes).sum();
        write!(f, "Weights({} tensors, {bytes} bytes)", self.buffers.len())
    }
}
