//! From a program's sizes to its executable.

use std::sync::Arc;

use lapidary_graph::verify::verify_program;
use lapidary_lower::{Target, lower};
use lapidary_models::config::GemmaConfig;
use lapidary_runtime::LoadedExecutable;

use super::Executable;
use crate::engine::cache::{CacheOutcome, EngineProgram, ExecutableCache};
use crate::engine::compile::{compile_options, lower_options};
use crate::engine::programs::ProgramSource;
use crate::engine::{CacheGrowth, EngineError, Placement};

/// Makes the executables of one model on the devices of one placement, in whatever thread.
#[derive(Debug)]
pub(in crate::engine) struct Maker {
    placement: Placement,
    target: Target,
    source: Arc<dyn ProgramSource>,
    cache: ExecutableCache,
    kv_heads: usize,
    head_dim: usize,
}

impl Maker {
    pub(in crate::engine) fn new(
        placement: &Placement,
        target: &Target,
        config: &GemmaConfig,
        source: &Arc<dyn ProgramSource>,
        cache: &ExecutableCache,
    ) -> Self {
        Self {
            placement: placement.clone(),
            target: target.clone(),
            source: Arc::clone(source),
            cache: cache.clone(),
            kv_heads: config.num_kv_heads,
            head_dim: config.head_dim,
        }
    }

    pub(super) fn make(&self, program: EngineProgram) -> Result<(Executable, CacheOutcome), EngineError> {
        match program {
            EngineProgram::Step(shape) => {
                let (step, outcome) = self.source.program(&shape, &self.cache)?;
                Ok((Executable::Step(Arc::new(step)), outcome))
            }
            EngineProgram::Growth(growth) => {
                let (copy, outcome) = self
                    .growth(&growth)
                    .map_err(|source| EngineError::GrowthProgram { program: growth, source })?;
                Ok((Executable::Growth(Arc::new(copy)), outcome))
            }
        }
    }

    fn growth(
        &self,
        growth: &CacheGrowth,
    ) -> Result<(LoadedExecutable, CacheOutcome), Box<dyn std::error::Error + Send + Sync>> {
        let Self { placement, target, cache, .. } = self;
        let module = growth.build(self.kv_heads, self.head_dim)?;
        let text = lower(verify_program(&module)?, &lower_options(placement, target))?;
        let name = format!("{}, {placement}", module.name);
        let options = compile_options(placement, target);
        Ok(cache.load_or_compile(placement.client(), &text, &options, &name)?)
    }
}
