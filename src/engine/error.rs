//! What can go wrong while a model runs.

use lapidary_graph::DType;
use lapidary_graph::verify::Violations;
use lapidary_lower::{LowerError, Target};
use lapidary_models::program::{ProgramError, ProgramShape};
use lapidary_models::tokenizer::TokenizerError;

use super::cache::EngineProgram;
use super::{CacheGrowth, SamplingError};
use crate::bundle::RunError;

/// An engine error.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The plugin does not take the CPU kernels.
    #[error("the plugin refuses the CPU kernels; --kernels off does without them")]
    Kernels {
        /// The plugin's reason.
        source: Box<lapidary_runtime::Error>,
    },
    /// No target table for the device's platform.
    #[error("no target is described for the platform `{0}`; known: {known}", known = known_platforms())]
    Platform(String),
    /// Weights cannot be held in this type.
    #[error("a model runs in bf16 or f32, not {0}")]
    DType(DType),
    /// The checkpoint's bytes are not what its own header says; opening it should have found that.
    #[error("the bytes of tensor `{0}` do not fit its type and shape")]
    TensorData(String),
    /// The checkpoint lacks a weight that a program asks for.
    #[error("the checkpoint has no tensor `{0}`")]
    MissingTensor(String),
    /// The checkpoint has a weight that no program takes.
    #[error("no program of this model takes the tensor `{0}`")]
    UnusedTensor(String),
    /// A tensor did not reach the device.
    #[error("tensor `{tensor}` could not be loaded onto the device")]
    LoadTensor {
        /// Name in the checkpoint.
        tensor: String,
        /// Cause.
        #[source]
        source: Box<lapidary_runtime::Error>,
    },
    /// The device did not make up a weight.
    #[error("random numbers for the weight `{tensor}` could not be made on the device")]
    RandomWeight {
        /// Name in a checkpoint.
        tensor: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Loading or generating was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// No program of this shape.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A defect of a program builder.
    #[error("program {program} is not valid:\n{violations}")]
    Invalid {
        /// Which program.
        program: ProgramShape,
        /// All of its defects.
        violations: Box<Violations>,
    },
    /// The program has no StableHLO.
    #[error("program {program} could not be lowered")]
    Lower {
        /// Which program.
        program: ProgramShape,
        /// Cause.
        #[source]
        source: Box<LowerError>,
    },
    /// The plugin refused the program.
    #[error("program {program} could not be compiled")]
    Compile {
        /// Which program.
        program: ProgramShape,
        /// Cause.
        #[source]
        source: Box<lapidary_runtime::Error>,
    },
    /// A bundle's program is missing, or of no use.
    #[error(transparent)]
    Bundle(#[from] RunError),
    /// A thread that compiled a program died.
    #[error("the compilation of program {0} ended without a result")]
    CompilerThread(EngineProgram),
    /// This machine has not even the memory to clear a layer's KV cache with.
    #[error(
        "the KV cache ({bytes} bytes for {rows} rows of {positions} positions) exceeds this machine's memory; \
         ask for fewer new tokens or fewer sequences at a time"
    )]
    CacheSize {
        /// Bytes in all.
        bytes: usize,
        /// Rows.
        rows: usize,
        /// Positions a row.
        positions: usize,
    },
    /// The device has no room for a batch's KV cache.
    #[error(
        "the KV cache ({bytes} bytes for {rows} rows of {positions} positions) could not be allocated; \
         ask for fewer new tokens or fewer sequences at a time"
    )]
    Cache {
        /// Bytes in all.
        bytes: usize,
        /// Rows.
        rows: usize,
        /// Positions a row.
        positions: usize,
        /// Cause.
        #[source]
        source: Box<lapidary_runtime::Error>,
    },
    /// No program for growing the KV cache.
    #[error("program {program}, which makes the KV cache longer, could not be made")]
    GrowthProgram {
        /// Which program.
        program: CacheGrowth,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A step failed on the device.
    #[error("program {program} failed")]
    Execute {
        /// Which program.
        program: ProgramShape,
        /// Cause.
        #[source]
        source: Box<lapidary_runtime::Error>,
    },
    /// A step failed earlier and took the KV cache with it.
    #[error("an earlier step of this batch failed; start a new batch")]
    StateLost,
    /// The wrong number of sequences for a batch.
    #[error("the batch has {rows} rows, got {got} sequences")]
    RowCount {
        /// Rows.
        rows: usize,
        /// Sequences given.
        got: usize,
    },
    /// Nothing to run.
    #[error("there are no sequences; give at least one")]
    NoSequences,
    /// A sequence without tokens.
    #[error("sequence {row} (counted from 0) is empty; give it at least one token")]
    Empty {
        /// Index of the sequence.
        row: usize,
    },
    /// A token that the model does not have.
    #[error(
        "sequence {row}, position {position} (both counted from 0): token id {id} is not in the vocabulary, \
         whose {vocab} ids are 0 to {}", vocab.saturating_sub(1)
    )]
    TokenId {
        /// Index of the sequence.
        row: usize,
        /// Position in it.
        position: usize,
        /// The token.
        id: u32,
        /// Number of tokens that exist.
        vocab: usize,
    },
    /// More tokens than the model was made for.
    #[error(
        "sequence {row} (counted from 0) has {tokens} tokens, but the model's context is {limit}; shorten it"
    )]
    TooLong {
        /// Index of the sequence.
        row: usize,
        /// Its length.
        tokens: usize,
        /// The model's context.
        limit: usize,
    },
    /// Sampling parameters out of range.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// A logit is NaN or infinite.
    #[error(
        "sequence {row} (counted from 0), after {position} tokens: the logit of token {token} is {value}; \
         --check looks for NaN and infinity in the weights"
    )]
    NonFiniteLogit {
        /// Index of the sequence.
        row: usize,
        /// Tokens before.
        position: usize,
        /// The token.
        token: usize,
        /// NaN or infinity.
        value: f32,
    },
    /// A likelihood is NaN or infinite.
    #[error(
        "sequence {row}, position {position} (both counted from 0): the negative log-likelihood of token \
         {token} is {value}, because logits there are not finite; --check looks for NaN and infinity in the weights"
    )]
    NonFiniteNll {
        /// Index of the sequence.
        row: usize,
        /// Position of the token.
        position: usize,
        /// The token.
        token: u32,
        /// NaN or infinity.
        value: f32,
    },
    /// Stop strings without a tokenizer to make text with.
    #[error("stop strings need a tokenizer, since they are looked for in the text")]
    StopWithoutTokenizer,
    /// Generated ids that do not decode.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

fn known_platforms() -> String {
    Target::ALL.iter().map(|target| target.name).collect::<Vec<_>>().join(", ")
}
