//! Programs that are built as graphs, lowered, and compiled or found in the cache of executables.

use std::num::NonZeroUsize;

use lapidary_graph::DType;
use lapidary_graph::verify::verify_program;
use lapidary_lower::{Target, lower};
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::{KvCache, Program, ProgramShape, build};

use super::{CompiledProgram, Interface, ProgramSource};
use crate::engine::cache::{CacheOutcome, ExecutableCache};
use crate::engine::compile::{compile_options, lower_options};
use crate::engine::{EngineError, MAX_STEP_TOKENS, MIN_CAPACITY, PREFILL_BUCKETS, Placement};

/// Every program that a model has.
#[derive(Clone, Debug)]
pub(in crate::engine) struct GraphPrograms {
    pub(in crate::engine) placement: Placement,
    pub(in crate::engine) target: Target,
    /// With weights in the arrangement that the target takes them in.
    pub(in crate::engine) config: GemmaConfig,
    pub(in crate::engine) dtype: DType,
    pub(in crate::engine) kv_cache: KvCache,
}

impl GraphPrograms {
    fn interface_of(&self, program: Program) -> Interface {
        let shardings = self.placement.shardings(&program.module);
        Interface { signature: program.signature, shardings }
    }
}

impl ProgramSource for GraphPrograms {
    fn dtype(&self) -> DType {
        self.dtype
    }

    fn kv_cache(&self) -> KvCache {
        self.kv_cache
    }

    fn context(&self) -> usize {
        self.config.context
    }

    fn decode_steps(&self) -> NonZeroUsize {
        self.target.decode_steps
    }

    fn max_rows(&self) -> Option<usize> {
        None
    }

    fn rows(&self, rows: usize) -> usize {
        self.placement.padded_rows(rows)
    }

    fn capacity(&self, positions: usize) -> usize {
        let positions = positions.max(MIN_CAPACITY);
        positions.checked_next_power_of_two().unwrap_or(usize::MAX).min(self.config.context)
    }

    fn step_tokens(&self, wanted: &ProgramShape) -> usize {
        let fitting = PREFILL_BUCKETS.into_iter().find(|&bucket| bucket >= wanted.tokens);
        fitting.unwrap_or(MAX_STEP_TOKENS).min(wanted.capacity)
    }

    fn interface(&self, shape: &ProgramShape) -> Result<Interface, EngineError> {
        Ok(self.interface_of(build(&self.config, shape)?))
    }

    fn program(
        &self,
        shape: &ProgramShape,
        cache: &ExecutableCache,
    ) -> Result<(CompiledProgram, CacheOutcome), EngineError> {
        let Self { placement, target, config, .. } = self;
        let program = build(config, shape)?;
        let module = verify_program(&program.module).map_err(|violations| EngineError::Invalid {
            program: *shape,
            violations: Box::new(violations),
        })?;
        let text = lower(module, &lower_options(placement, target))
            .map_err(|source| EngineError::Lower { program: *shape, source: Box::new(source) })?;
        let options = compile_options(placement, target);
        let name = format!("{}, layers: {}, {placement}", program.module.name, config.num_layers);
        let (executable, outcome) = cache
            .load_or_compile(placement.client(), &text, &options, &name)
            .map_err(|source| EngineError::Compile { program: *shape, source: Box::new(source) })?;
        let interface = self.interface_of(program);
        Ok((CompiledProgram { shape: *shape, executable, interface }, outcome))
    }
}
