//! Weights on a device.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use lapidary_graph::DType;
use lapidary_models::checkpoint::{Checkpoint, TensorView};
use lapidary_models::dtype::StoredDtype;
use lapidary_models::progress::{OnProgress, Progress};
use lapidary_runtime::{Buffer, Client, Device, SharedBytes};

use super::aligned::AlignedBytes;
use super::{EngineError, dtype};

/// The buffers of a checkpoint's tensors, by name.
pub(super) struct Weights {
    buffers: HashMap<String, Buffer>,
    stats: LoadStats,
}

/// What loading did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LoadStats {
    /// Bytes of weights on the device.
    pub bytes: u64,
    /// Of these, bytes that the device reads in the mapped file itself.
    pub in_place_bytes: u64,
    /// Of these, bytes that were converted from another element type.
    pub converted_bytes: u64,
}

impl Weights {
    /// Loads every tensor of `checkpoint`, one at a time, so that at most one is held twice on the way.
    pub(super) fn load(
        client: &Client,
        device: &Device,
        checkpoint: &Checkpoint,
        dtype: DType,
        progress: OnProgress<'_>,
    ) -> Result<Self, EngineError> {
        let stored = dtype::stored(dtype).ok_or(EngineError::DType(dtype))?;
        let mut weights = Self { buffers: HashMap::new(), stats: LoadStats::default() };
        let mut report = Progress { done: 0, total: checkpoint.byte_count() };
        for tensor in checkpoint.tensors() {
            if progress(report) == ControlFlow::Break(()) {
                return Err(EngineError::Cancelled);
            }
            let buffer = weights.load_tensor(client, device, tensor, dtype, stored)?;
            weights.buffers.insert(tensor.name().to_string(), buffer);
            report.done += tensor.range().len() as u64;
        }
        // Done in any case: a cancellation that comes now is the caller's to act upon.
        let _ = progress(report);
        Ok(weights)
    }

    fn load_tensor(
        &mut self,
        client: &Client,
        device: &Device,
        tensor: &TensorView,
        dtype: DType,
        stored: StoredDtype,
    ) -> Result<Buffer, EngineError> {
        let bytes = tensor.element_count() * stored.size();
        self.stats.bytes += bytes as u64;
        let in_place = tensor.dtype() == stored;
        let memory = if in_place {
            SharedBytes::slice(tensor.source().clone(), tensor.range())
        } else {
            let mut converted = AlignedBytes::zeroed(bytes);
            tensor
                .convert_into(stored, converted.as_mut())
                .map_err(|_| EngineError::TensorData(tensor.name().to_string()))?;
            self.stats.converted_bytes += bytes as u64;
            Some(SharedBytes::new(Arc::new(converted)))
        };
        let memory = memory.ok_or_else(|| EngineError::TensorData(tensor.name().to_string()))?;
        let failed =
            |source| EngineError::LoadTensor { tensor: tensor.name().to_string(), source: Box::new(source) };
        let buffer = client
            .buffer_from_shared(&memory, dtype::element_type(dtype), tensor.dims(), device)
            .map_err(failed)?;
        if in_place && buffer.is_zero_copy() {
            self.stats.in_place_bytes += bytes as u64;
        } else {
            // Once the device has its own copy, the file's pages need not stay resident beside it. Released
            // while the copy is under way, they would come back.
            buffer.ready().and_then(|copied| copied.wait()).map_err(failed)?;
            tensor.release();
        }
        Ok(buffer)
    }

    pub(super) fn get(&self, name: &str) -> Result<&Buffer, EngineError> {
        self.buffers.get(name).ok_or_else(|| EngineError::MissingTensor(name.to_string()))
    }

    pub(super) fn stats(&self) -> LoadStats {
        self.stats
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Weights({} tensors, {} bytes)", self.buffers.len(), self.stats.bytes)
    }
}
