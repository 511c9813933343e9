//! From a program's shape to an executable.

use lapidary_graph::verify::verify_program;
use lapidary_lower::{EntryShardings, LowerOptions, Sharding, Target, lower};
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::{ParamSpec, ProgramShape, ResultSpec, Signature, build};
use lapidary_runtime::{CompileOptions, CompilerFlag, LoadedExecutable};

use super::EngineError;
use super::cache::{CacheOutcome, ExecutableCache};
use super::placement::Placement;

/// A program that is loaded on the devices of a placement, with its signature and how that is split over them.
#[derive(Debug)]
pub(super) struct CompiledProgram {
    pub(super) shape: ProgramShape,
    pub(super) executable: LoadedExecutable,
    signature: Signature,
    shardings: EntryShardings,
}

impl CompiledProgram {
    /// Builds, verifies and lowers the program of `shape`, and takes its executable from the cache or compiles it.
    pub(super) fn compile(
        placement: &Placement,
        target: &Target,
        config: &GemmaConfig,
        shape: &ProgramShape,
        cache: &ExecutableCache,
    ) -> Result<(Self, CacheOutcome), EngineError> {
        let program = build(config, shape)?;
        let module = verify_program(&program.module).map_err(|violations| EngineError::Invalid {
            program: *shape,
            violations: Box::new(violations),
        })?;
        let mesh = Some(placement.mesh()).filter(|mesh| mesh.num_devices() > 1);
        let text = lower(module, &LowerOptions { target, mesh, rules: placement.rules() })
            .map_err(|source| EngineError::Lower { program: *shape, source: Box::new(source) })?;
        let ids = placement.devices().iter().map(|device| device.id()).collect();
        let on_devices = CompileOptions::new().device_assignment(vec![ids]);
        let flags = target.compiler_flags.iter();
        let options =
            flags.fold(on_devices, |options, (name, value)| options.flag(*name, CompilerFlag::Bool(*value)));
        let name = format!("{}, layers: {}, {placement}", program.module.name, config.num_layers);
        let (executable, outcome) = cache
            .load_or_compile(placement.client(), &text, &options, &name)
            .map_err(|source| EngineError::Compile { program: *shape, source: Box::new(source) })?;
        let shardings = placement.shardings(&program.module);
        let compiled = Self { shape: *shape, executable, signature: program.signature, shardings };
        Ok((compiled, outcome))
    }

    /// Each parameter and how it is split.
    pub(super) fn params(&self) -> impl Iterator<Item = (&ParamSpec, &Sharding)> {
        self.signature.params.iter().zip(&self.shardings.params)
    }

    /// Each result and how it is split.
    pub(super) fn results(&self) -> impl Iterator<Item = (&ResultSpec, &Sharding)> {
        self.signature.results.iter().zip(&self.shardings.results)
    }
}
