//! What is asked for.

use super::levels::Bits;
use super::pattern::Pattern;
use crate::dtype::StoredDtype;

/// How to quantize.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantizeOptions {
    /// Size of a projection's codes.
    pub bits: Bits,
    /// Which of them share a scale; `None` is what suits their size.
    pub group: Option<Group>,
    /// What becomes of the embedding.
    pub embedding: EmbeddingFormat,
    /// Weights to leave as they are, whatever else is said.
    pub keep: Vec<Pattern>,
    /// Weights to store in 8 bits with a scale a channel, where others have 4.
    pub int8: Vec<Pattern>,
    /// Element type of scales.
    pub scale_dtype: StoredDtype,
    /// Most bytes of tensors in one file; more make several files and an index.
    pub max_shard_bytes: u64,
    /// Replace a model that is there already.
    pub replace: bool,
}

/// How many neighbouring inputs of an output share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// All of them: a scale for each output channel.
    Channel,
    /// This many.
    Of(usize),
}

/// What becomes of the embedding, which is the projection to the logits, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EmbeddingFormat {
    /// It stays as it is.
    Keep,
    /// 8 bits with a scale a row.
    Int8,
    /// 4 bits in groups.
    Int4,
}

impl QuantizeOptions {
    /// The defaults: the embedding in 8 bits, bf16 scales, and Hugging Face's shard size of 5 GB.
    pub const fn new(bits: Bits) -> Self {
        Self {
            bits,
            group: None,
            embedding: EmbeddingFormat::Int8,
            keep: Vec::new(),
            int8: Vec::new(),
            scale_dtype: StoredDtype::Bf16,
            max_shard_bytes: 5_000_000_000,
            replace: false,
        }
    }

    /// Which codes of this size share a scale. (docs/quantization.md has what other groups cost and gain.)
    pub(super) fn group_of(&self, bits: Bits) -> Group {
        self.group.unwrap_or(match bits {
            Bits::Eight => Group::Channel,
            Bits::Four => Group::Of(64),
        })
    }
}
