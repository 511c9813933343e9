//! The sizes that distinguish one program of a model from another.

use std::fmt;

use lapidary_graph::{DType, TensorType};

use super::{KvCache, StateKind};
use crate::config::{AttentionKind, GemmaConfig};

/// What a program is for. All phases read and write the same KV cache.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Many tokens a row; logits after the last real one.
    Prefill,
    /// One token a row; logits after it.
    Decode,
    /// As [`Prefill`](Self::Prefill), but the answer is each row's next token, chosen on the device.
    SampledPrefill(SamplerShape),
    /// One token a row, and up to `steps` more, each chosen on the device and taken in the next step. A row ends before
    /// at a token that says so, or at the number of its own; the program ends with its last row.
    SampledDecode {
        /// Steps a dispatch. With one there is no loop over steps.
        steps: usize,
        /// What is computed of each token.
        sampler: SamplerShape,
    },
    /// Many tokens a row; the negative log-likelihood of each one's target.
    Score {
        /// Whether to return the logits at every position as well.
        logits: bool,
    },
}

/// What programs that choose tokens compute beyond the tokens and their log-probabilities.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SamplerShape {
    /// Likeliest tokens of each position that are answered with their log-probabilities.
    pub top_logprobs: usize,
    /// Whether rows have a repetition penalty, which takes the tokens that they have seen.
    pub repetition_penalty: bool,
}

impl SamplerShape {
    /// Most likely tokens a position that can be asked for.
    pub const MAX_TOP_LOGPROBS: usize = 20;
}

impl Phase {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::SampledPrefill(_) => "sampled_prefill",
            Self::SampledDecode { .. } => "sampled_decode",
            Self::Score { logits: false } => "score",
            Self::Score { logits: true } => "score_logits",
        }
    }

    /// Whether rows take one token at a time.
    pub const fn is_decode(self) -> bool {
        matches!(self, Self::Decode | Self::SampledDecode { .. })
    }

    /// What is computed of the tokens that are chosen; `None` where none are.
    pub const fn sampler(self) -> Option<SamplerShape> {
        match self {
            Self::SampledPrefill(sampler) | Self::SampledDecode { sampler, .. } => Some(sampler),
            Self::Prefill | Self::Decode | Self::Score { .. } => None,
        }
    }

    /// Steps a dispatch: how many tokens a row can go forward at most beyond those it is given.
    pub const fn steps(self) -> usize {
        match self {
            Self::SampledDecode { steps, .. } => steps,
            Self::Prefill | Self::Decode | Self::SampledPrefill(_) | Self::Score { .. } => 1,
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
    /// Element type of activations and of weights that are not encoded: bf16 or f32.
    pub dtype: DType,
    /// Form of the KV cache.
    pub kv_cache: KvCache,
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
    /// More likely tokens a position than are worth a pass over the vocabulary each.
    #[error("log-probabilities of the {0} likeliest tokens; at most {max} can be had", max = SamplerShape::MAX_TOP_LOGPROBS)]
    TopLogprobs(usize),
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

    /// Type of what a layer of this kind has of the cache.
    pub fn cache_type(&self, config: &GemmaConfig, layer: AttentionKind, kind: StateKind) -> TensorType {
        self.kv_cache.state_type(kind, config, [self.batch, self.cache_len(layer)], self.dtype)
    }

    /// Bytes of the whole KV cache for this many rows; `usize::MAX` if they are more.
    pub fn cache_bytes(&self, config: &GemmaConfig) -> usize {
        let slots: usize = config.layer_kinds.iter().map(|&kind| self.cache_len(kind)).sum();
        let factors = [self.batch, self.kv_cache.position_bytes(config, self.dtype)];
        factors.into_iter().fold(slots, usize::saturating_mul)
    }

    pub(super) fn check(&self, config: &GemmaConfig) -> Result<(), ShapeError> {
        let (tokens, capacity) = (self.tokens, self.capacity);
        let sizes = [
            (self.batch, "row"),
            (tokens, "token"),
            (capacity, "position in the cache"),
            (self.phase.steps(), "step"),
        ];
        for (size, what) in sizes {
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
        if self.phase.is_decode() && tokens != 1 {
            return Err(ShapeError::Decode(tokens));
        }
        let top = self.phase.sampler().map_or(0, |sampler| sampler.top_logprobs);
        if top > SamplerShape::MAX_TOP_LOGPROBS.min(config.live_vocab_size()) {
            return Err(ShapeError::TopLogprobs(top));
        }
        if !matches!(self.dtype, DType::BF16 | DType::F32) {
            return Err(ShapeError::DType(self.dtype));
        }
        Ok(())
    }
}

impl fmt::Display for ProgramShape {
    /// An identifier: `decode_b1_t1_c512_bf16`, `decode_b1_t1_c512_bf16_kv_int8`,
    /// `sampled_decode_b1_t1_c512_bf16_s8_top5_penalty`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, batch, tokens, capacity, dtype, kv_cache } = self;
        write!(f, "{}_b{batch}_t{tokens}_c{capacity}_{dtype}", phase.name())?;
        match kv_cache {
            KvCache::Dense => {}
            KvCache::Int8 => write!(f, "_kv_{kv_cache}")?,
        }
        if let Phase::SampledDecode { steps, .. } = phase {
            write!(f, "_s{steps}")?;
        }
        let SamplerShape { top_logprobs, repetition_penalty } = phase.sampler().unwrap_or_default();
        if top_logprobs > 0 {
            write!(f, "_top{top_logprobs}")?;
        }
        if repetition_penalty { f.write_str("_penalty") } else { Ok(()) }
    }
}
