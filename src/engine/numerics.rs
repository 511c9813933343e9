//! What a model computes in, and what it keeps between steps.

use lapidary_graph::DType;
use lapidary_models::checkpoint::Checkpoint;
use lapidary_models::program::KvCache;

use super::preferred_dtype;

/// The types that a model runs in. Made from an element type alone, the KV cache is in that type too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Numerics {
    /// Element type of activations and of weights that are not encoded, bf16 or f32; `None` for the one that suits the
    /// checkpoint.
    pub dtype: Option<DType>,
    /// Form of the KV cache.
    pub kv_cache: KvCache,
}

impl Numerics {
    /// The element type for a checkpoint.
    pub(super) fn dtype_for(self, checkpoint: &Checkpoint) -> DType {
        let is_encoded = !checkpoint.config().encodings.is_dense();
        self.dtype.unwrap_or_else(|| preferred_dtype(checkpoint.dtype(), is_encoded))
    }
}

impl From<DType> for Numerics {
    fn from(dtype: DType) -> Self {
        Some(dtype).into()
    }
}

impl From<Option<DType>> for Numerics {
    fn from(dtype: Option<DType>) -> Self {
        Self { dtype, kv_cache: KvCache::Dense }
    }
}
