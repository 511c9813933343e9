//! How programs hold keys and values from one step to the next.

use std::fmt;
use std::str::FromStr;

use lapidary_graph::{DType, LogicalAxes, TensorType};

use super::StateKind;
use crate::config::GemmaConfig;

/// Element type of the scales: a bf16 one would save half a percent of a cache's bytes, and compilers that keep more
/// precision than they are asked for would make codes by another scale than the one that is stored.
const SCALE: DType = DType::F32;

/// The form of a KV cache.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum KvCache {
    /// Keys and values in the element type of the activations.
    #[default]
    Dense,
    /// Codes of 8 bits, and an f32 scale for each head of each position: see
    /// [`CacheHalf`](lapidary_graph::nn::CacheHalf).
    Int8,
}

/// Not a form of a KV cache.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no KV cache is `{0}`: give bf16, which stands for the type that the model runs in, or int8")]
pub struct UnknownKvCache(String);

impl KvCache {
    /// What each layer has of it.
    pub const fn kinds(self) -> &'static [StateKind] {
        match self {
            Self::Dense => &[StateKind::Keys, StateKind::Values],
            Self::Int8 => &StateKind::ALL,
        }
    }

    /// Bytes of a layer's keys and values at one position, all heads of it, where activations are of `dtype`.
    pub fn position_bytes(self, config: &GemmaConfig, dtype: DType) -> usize {
        let of_head = match self {
            Self::Dense => config.head_dim.saturating_mul(dtype.byte_width()),
            Self::Int8 => config.head_dim.saturating_add(SCALE.byte_width()),
        };
        of_head.saturating_mul(config.num_kv_heads).saturating_mul(2)
    }

    /// Type of a layer's `kind` for `slots` positions of `batch` rows, where activations are of `dtype`.
    pub(super) fn state_type(
        self,
        kind: StateKind,
        config: &GemmaConfig,
        [batch, slots]: [usize; 2],
        dtype: DType,
    ) -> TensorType {
        let dims = [batch, config.num_kv_heads, slots, config.head_dim];
        match (kind, self) {
            (StateKind::Keys | StateKind::Values, Self::Dense) => TensorType::new(dtype, dims),
            (StateKind::Keys | StateKind::Values, Self::Int8) => TensorType::new(DType::S8, dims),
            (StateKind::KeyScales | StateKind::ValueScales, _) => {
                TensorType::new(SCALE, [batch, config.num_kv_heads, slots])
            }
        }
    }
}

impl StateKind {
    /// Whether these are scales of codes.
    pub fn is_scales(self) -> bool {
        match self {
            Self::Keys | Self::Values => false,
            Self::KeyScales | Self::ValueScales => true,
        }
    }

    /// Logical axes of its dimensions.
    pub fn axes(self) -> LogicalAxes {
        match self {
            Self::Keys | Self::Values => LogicalAxes::of(&["cache_batch", "kv_heads", "cache", "head_dim"]),
            Self::KeyScales | Self::ValueScales => LogicalAxes::of(&["cache_batch", "kv_heads", "cache"]),
        }
    }
}

impl fmt::Display for KvCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dense => "bf16",
            Self::Int8 => "int8",
        })
    }
}

impl FromStr for KvCache {
    type Err = UnknownKvCache;

    fn from_str(text: &str) -> Result<Self, UnknownKvCache> {
        match text {
            "bf16" => Ok(Self::Dense),
            "int8" => Ok(Self::Int8),
            _ => Err(UnknownKvCache(text.to_owned())),
        }
    }
}
