//! Where an engine's programs come from: [graphs](GraphPrograms) that are built and compiled when they are needed, or
//! what somebody compiled before, of which there is no more than there is.

mod graphs;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;

use lapidary_graph::DType;
use lapidary_lower::{EntryShardings, Sharding};
use lapidary_models::encoding::WeightTensor;
use lapidary_models::program::{KvCache, ParamRole, ParamSpec, ProgramShape, ResultSpec, Signature};
use lapidary_runtime::LoadedExecutable;

pub(super) use graphs::GraphPrograms;

use super::EngineError;
use super::cache::{CacheOutcome, ExecutableCache};

/// Makes the programs of one model on the devices of one placement.
///
/// The engine asks with the sizes that it would like best, and is told which ones there are. All programs of so many
/// rows and positions take the same KV cache, and all programs take the same weights.
pub(crate) trait ProgramSource: fmt::Debug + Send + Sync {
    /// Element type of activations, and of weights that are not encoded.
    fn dtype(&self) -> DType;

    /// Form of the KV cache.
    fn kv_cache(&self) -> KvCache;

    /// Positions that a sequence can have at most.
    fn context(&self) -> usize;

    /// Most tokens that a row goes forward in one dispatch, unless others are asked for.
    fn decode_steps(&self) -> NonZeroUsize;

    /// Sequences that can run at a time; `None` if there are programs for any number.
    fn max_rows(&self) -> Option<usize>;

    /// Rows of the programs that run `rows` sequences, idle ones included; `rows` itself if there are none so large.
    fn rows(&self, rows: usize) -> usize;

    /// Positions of a KV cache that holds at least `positions` if it can.
    fn capacity(&self, positions: usize) -> usize;

    /// Tokens a row in the step that is best for rows with up to `wanted.tokens` tokens to go; not more than the
    /// largest step takes.
    fn step_tokens(&self, wanted: &ProgramShape) -> usize;

    /// What programs of the rows and positions of `shape` take and return. All that is sure to be the same for all of
    /// them are weights and state.
    ///
    /// # Errors
    /// If there are none.
    fn interface(&self, shape: &ProgramShape) -> Result<Interface, EngineError>;

    /// The program of `shape`, loaded on the devices.
    ///
    /// # Errors
    /// If there is none, or it does not become an executable.
    fn program(
        &self,
        shape: &ProgramShape,
        cache: &ExecutableCache,
    ) -> Result<(CompiledProgram, CacheOutcome), EngineError>;
}

/// What a program takes and returns, and how that is split over the devices.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) signature: Signature,
    /// In the order of the signature.
    pub(crate) shardings: EntryShardings,
}

impl Interface {
    /// Each parameter and how it is split.
    pub(super) fn params(&self) -> impl Iterator<Item = (&ParamSpec, &Sharding)> {
        self.signature.params.iter().zip(&self.shardings.params)
    }

    /// Each result and how it is split.
    pub(super) fn results(&self) -> impl Iterator<Item = (&ResultSpec, &Sharding)> {
        self.signature.results.iter().zip(&self.shardings.results)
    }

    /// The weights' tensors, by their names in the checkpoint.
    pub(super) fn weights(&self) -> HashMap<String, HeldTensor> {
        let weights = self.params().filter_map(|(param, sharding)| match &param.role {
            ParamRole::Weight(tensor) => {
                let (dtype, sharding) = (param.ty.dtype, sharding.clone());
                Some((tensor.name.clone(), HeldTensor { tensor: tensor.clone(), dtype, sharding }))
            }
            ParamRole::Input(_) | ParamRole::State { .. } => None,
        });
        weights.collect()
    }
}

/// How a tensor of a weight is held on the devices.
#[derive(Clone, Debug)]
pub(crate) struct HeldTensor {
    /// What it is.
    pub(crate) tensor: WeightTensor,
    /// Its element type there.
    pub(crate) dtype: DType,
    /// How it is split.
    pub(crate) sharding: Sharding,
}

/// A program that is loaded on the devices of a placement.
#[derive(Debug)]
pub(crate) struct CompiledProgram {
    pub(crate) shape: ProgramShape,
    pub(crate) executable: LoadedExecutable,
    pub(crate) interface: Interface,
}

impl CompiledProgram {
    /// Each parameter and how it is split.
    pub(super) fn params(&self) -> impl Iterator<Item = (&ParamSpec, &Sharding)> {
        self.interface.params()
    }

    /// Each result and how it is split.
    pub(super) fn results(&self) -> impl Iterator<Item = (&ResultSpec, &Sharding)> {
        self.interface.results()
    }
}
