//! Gemma as programs: graphs with signatures, one for each phase and size.

mod answers;
mod axes;
mod build;
mod decoder_layer;
mod generation;
mod kv_cache;
mod params;
mod results;
mod sampler;
mod shape;
mod signature;
mod step;

#[cfg(test)]
mod tests;

pub use build::{Program, build};
pub use kv_cache::{KvCache, UnknownKvCache};
pub use shape::{Phase, ProgramShape, SamplerShape, ShapeError};
pub use signature::{Input, Output, ParamRole, ParamSpec, ResultRole, ResultSpec, Signature, StateKind};

/// Why a program could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The sizes asked for make no program of this model.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// An operation did not apply; a defect of the program builder, told in model terms.
    #[error("the program of {model} does not build")]
    Build {
        /// Which program, such as `gemma2_decode_b1_t1_c512`.
        model: String,
        /// The operation.
        #[source]
        source: Box<lapidary_graph::BuildError>,
    },
}
