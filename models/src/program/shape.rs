//! The sizes that distinguish one program of a model from another.

use std::fmt;

use lapidary_graph::DType;

use crate::config::{AttentionKind, GemmaConfig};

/// What a program is for. All phases read and write the same KV cache.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Many tokens a row; logits after the last real one.
    Prefill,
    /// One token a row; logits after it.
    Decode,
    /// Many tokens a row; the negative log-likelihood of each one's target.
    Score {
        /// Whether to return the logits at every position as well.
        logits: bool,
    },
}

impl Phase {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Score { logits: false } => "score",
            Self::Score { logits: true } => "score_logits",
        }
    }
}

/// Phase and sizes of a program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ProgramShape {
    /// What it is for.
    pub phase: Phase,
    /// Rows, each a sequence of its own.
    pub batch: usize,
    /// Tokens of a row in one step: 1 for decode, else the bucket that prompts are padded to.
    pub tokens: usize,
    /// Positions that a row can hold in the KV cache; at most the model's context.
    pub capacity: usize,
    /// Element type of weights and activations: bf16 or f32.
    pub dtype: DType,
}

/// Sizes that make no program.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShapeError {
    /// A size of zero.
    #[error("a program needs at least one {0}")]
    Zero(&'static str),
    /// More positions than the model was made for.
    #[error("a cache of {capacity} positions exceeds the model's context of {context}")]
    Context {
        /// Positions asked for.
        capacity: usize,
        /// Positions the model has.
        context: usize,
    },
    /// A step that does not fit its own cache.
    #[error("a step of {tokens} tokens exceeds the cache of {capacity} positions")]
    Step {
        /// Tokens a step.
        tokens: usize,
        /// Positions in the cache.
        capacity: usize,
    },
    /// Decode takes one token a row.
    #[error("a decode step takes 1 token a row, not {0}")]
    Decode(usize),
    /// An element type that no Gemma runs in.
    #[error("a program computes in bf16 or f32, not {0}")]
    DType(DType),
}

impl ProgramShape {
    /// Slots of one layer's cache: a local layer keeps its window, a global one every position.
    pub fn cache_len(&self, kind: AttentionKind) -> usize {
        match kind {
            AttentionKind::Global => self.capacity,
            AttentionKind::Local { window } => window.min(self.capacity),
        }
    }

    /// Shape of the keys (or values) of a layer: `[batch, kv_heads, slots, head_dim]`.
    pub fn cache_dims(&self, config: &GemmaConfig, kind: AttentionKind) -> [usize; 4] {
        [self.batch, config.num_kv_heads, self.cache_len(kind), config.head_dim]
    }

    /// Bytes of the whole KV cache for this many rows; `usize::MAX` if they are more.
    pub fn cache_bytes(&self, config: &GemmaConfig) -> usize {
        let slots: usize = config.layer_kinds.iter().map(|&kind| self.cache_len(kind)).sum();
        let factors = [2, self.batch, config.kv_size(), self.dtype.byte_width()];
        factors.into_iter().fold(slots, usize::saturating_mul)
    }

    pub(super) fn check(&self, config: &GemmaConfig) -> Result<(), ShapeError> {
        let (tokens, capacity) = (self.tokens, self.capacity);
        for (size, what) in [(self.batch, "row"), (tokens, "token"), (capacity, "position in the cache")] {
            if size == 0 {
                return Err(ShapeError::Zero(what));
            }
        }
        if capacity > config.context {
            return Err(ShapeError::Context { capacity, context: config.context });
        }
        if tokens > capacity {
            return Err(ShapeError::Step { tokens, capacity });
        }
        if self.phase == Phase::Decode && tokens != 1 {
            return Err(ShapeError::Decode(tokens));
        }
        if !matches!(self.dtype, DType::BF16 | DType::F32) {
            return Err(ShapeError::DType(self.dtype));
        }
        Ok(())
    }
}

impl fmt::Display for ProgramShape {
    /// An identifier: `decode_b1_t1_c512_bf16`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, batch, tokens, capacity, dtype } = self;
        write!(f, "{}_b{batch}_t{tokens}_c{capacity}_{dtype}", phase.name())
    }
}
