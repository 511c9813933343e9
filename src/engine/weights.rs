//! Weights on the devices of a placement.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;

use lapidary_graph::TensorType;
use lapidary_models::checkpoint::{Checkpoint, TensorView};
use lapidary_models::encoding::TensorPart;
use lapidary_models::progress::{OnProgress, Progress};
use lapidary_runtime::Buffer;

use super::host_shard::{HostShard, HostTensor};
use super::placement::{Holder, Part, Placement};
use super::prefault::prefault;
use super::programs::HeldTensor;
use super::sharded_buffer::ShardedBuffer;
use super::{EngineError, dtype};

/// The buffers of a checkpoint's tensors, by name.
#[derive(Default)]
pub(super) struct Weights {
    buffers: HashMap<String, ShardedBuffer>,
    stats: Vec<LoadStats>,
    /// Tensors that devices read in the mapped file itself.
    in_place: Vec<TensorView>,
}

/// What loading did on one device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LoadStats {
    /// Bytes of weights on the device, each shard in full.
    pub bytes: u64,
    /// Of these, bytes that the device reads in the mapped file itself.
    pub in_place_bytes: u64,
    /// Of these, bytes that were converted from another element type, or from how a file packs or arranges them.
    pub converted_bytes: u64,
}

impl Weights {
    /// Loads every tensor of `checkpoint`, one shard at a time, so that no more than a shard is held twice on the
    /// way and no tensor that is split is ever held whole, but for one that the file packs in another way. What programs
    /// take in another arrangement than the file's is brought into it shard by shard. `held` says how devices hold the
    /// tensors, by name.
    pub(super) fn load(
        placement: &Placement,
        checkpoint: &Checkpoint,
        held: &HashMap<String, HeldTensor>,
        progress: OnProgress<'_>,
    ) -> Result<Self, EngineError> {
        let stats = placement.addressable_devices().map(|_| LoadStats::default()).collect();
        let mut loader = Loader { placement, stats, in_place: Vec::new() };
        let mut buffers = HashMap::new();
        let mut report = Progress { done: 0, total: checkpoint.byte_count() };
        for tensor in checkpoint.tensors() {
            if progress(report) == ControlFlow::Break(()) {
                return Err(EngineError::Cancelled);
            }
            let name = tensor.name().to_string();
            let held = held.get(&name).ok_or_else(|| EngineError::UnusedTensor(name.clone()))?;
            buffers.insert(name, loader.load(tensor, held)?);
            report.done += tensor.byte_count() as u64;
        }
        // Done in any case: a cancellation that comes now is the caller's to act upon.
        let _ = progress(report);
        Ok(Self { buffers, stats: loader.stats, in_place: loader.in_place })
    }

    /// Buffers that came otherwise than from a checkpoint.
    pub(super) fn of_buffers(buffers: HashMap<String, ShardedBuffer>, stats: Vec<LoadStats>) -> Self {
        Self { buffers, stats, in_place: Vec::new() }
    }

    pub(super) fn get(&self, name: &str) -> Result<&ShardedBuffer, EngineError> {
        self.buffers.get(name).ok_or_else(|| EngineError::MissingTensor(name.to_string()))
    }

    /// Brings weights that are used in place into memory, as long as `wanted` says so.
    pub(super) fn prefault_while(&self, wanted: impl Fn() -> bool) {
        prefault(&self.in_place, wanted);
    }

    /// What loading did on each addressable device, in the order of the mesh.
    pub(super) fn stats(&self) -> &[LoadStats] {
        &self.stats
    }
}

/// Loads tensors one after the other.
struct Loader<'p> {
    placement: &'p Placement,
    stats: Vec<LoadStats>,
    in_place: Vec<TensorView>,
}

impl Loader<'_> {
    fn load(&mut self, tensor: &TensorView, held: &HeldTensor) -> Result<ShardedBuffer, EngineError> {
        let unfit = || EngineError::TensorData(tensor.name().to_string());
        let stored = dtype::stored(held.dtype).ok_or(EngineError::DType(held.dtype))?;
        let host = HostTensor::of(tensor).ok_or_else(unfit)?;
        let dims = held.sharding.shard_shape();
        let mut copied = !host.in_file();
        let buffers = ShardedBuffer::place(self.placement, &held.sharding, |part| {
            let shard = host
                .shard(&held.tensor, TensorPart { ranges: &part.ranges, held: &dims }, stored)
                .ok_or_else(unfit)?;
            let buffers = self.upload(part, &shard, &TensorType::new(held.dtype, dims.as_slice())).map_err(
                |source| EngineError::LoadTensor {
                    tensor: tensor.name().to_string(),
                    source: Box::new(source),
                },
            )?;
            copied |= !(shard.in_file && buffers.iter().all(Buffer::is_zero_copy));
            Ok::<_, EngineError>(buffers)
        })?;
        if copied {
            // Once devices have their own copies, the file's pages need not stay resident beside them. Released
            // while a copy is under way, they would come back.
            tensor.release();
        } else {
            self.in_place.push(tensor.clone());
        }
        Ok(buffers)
    }

    /// Gives a shard to the devices that hold it. On return none of them still copies it.
    fn upload(
        &mut self,
        part: &Part<'_>,
        shard: &HostShard,
        ty: &TensorType,
    ) -> lapidary_runtime::Result<Vec<Buffer>> {
        let (client, element_type) = (self.placement.client(), dtype::element_type(ty.dtype));
        let upload = |holder: &Holder<'_>| {
            client.buffer_from_shared(&shard.memory, element_type, &ty.dims, holder.device)
        };
        let buffers = part.holders.iter().map(upload).collect::<Result<Vec<Buffer>, _>>()?;
        for (holder, buffer) in part.holders.iter().zip(&buffers) {
            if !buffer.is_zero_copy() {
                buffer.ready()?.wait()?;
            }
            let bytes = ty.device_size() as u64;
            if let Some(stats) = self.stats.get_mut(holder.index) {
                stats.bytes += bytes;
                stats.in_place_bytes += if shard.in_file && buffer.is_zero_copy() { bytes } else { 0 };
                stats.converted_bytes += if shard.converted { bytes } else { 0 };
            }
        }
        Ok(buffers)
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: u64 = self.stats.iter().map(|device| device.bytes).sum();
        write!(f, "Weights({} tensors, {bytes} bytes)", self.buffers.len())
    }
}
