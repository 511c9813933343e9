//! How a model lies on the devices of its placement.

use lapidary_graph::Param;
use lapidary_lower::LowerError;
use lapidary_lower::sharding::ShardingReport;
use lapidary_models::program::{ParamRole, Phase, ProgramShape, build};

use super::{Engine, EngineError};
use crate::target::arranged;

impl Engine {
    /// How each weight lies on the devices, and the KV cache of one sequence as long as the model's context.
    ///
    /// # Errors
    /// If the model's sizes make no program.
    pub fn sharding_report(&self) -> Result<ShardingReport, EngineError> {
        let shape = ProgramShape {
            phase: Phase::Decode,
            batch: self.placement.padded_rows(1),
            tokens: 1,
            capacity: self.config.context,
            dtype: self.dtype(),
            kv_cache: self.kv_cache(),
        };
        let program = build(&arranged(&self.config, &self.target), &shape)?;
        let role = |param: &Param| {
            let spec = program.signature.params.iter().find(|spec| spec.name == param.name)?;
            Some(match spec.role {
                ParamRole::Weight(_) => "weight",
                ParamRole::Input(_) => "input",
                ParamRole::State { .. } => "cache",
            })
        };
        let entry = program.module.entry().and_then(|entry| program.module.function(entry));
        let entry = entry.ok_or_else(|| {
            let source = LowerError::NoEntry { module: program.module.name.clone() };
            EngineError::Lower { program: program.shape, source: Box::new(source) }
        })?;
        let (mesh, rules) = (self.placement.mesh(), self.placement.rules());
        Ok(ShardingReport::new(entry, mesh, rules, |param| role(param).map(String::from)))
    }
}
