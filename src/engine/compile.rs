//! From a program's shape to an executable.

use lapidary_graph::verify::verify_program;
use lapidary_lower::{LowerOptions, ShardingRules, Target, lower};
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::{ProgramShape, Signature, build};
use lapidary_runtime::{Client, CompileOptions, CompilerFlag, Device, LoadedExecutable, Program};

use super::EngineError;

/// A program that is loaded on the device, with its signature.
#[derive(Debug)]
pub(super) struct CompiledProgram {
    pub(super) shape: ProgramShape,
    pub(super) signature: Signature,
    pub(super) executable: LoadedExecutable,
}

impl CompiledProgram {
    /// Builds, verifies, lowers and compiles the program of `shape`.
    pub(super) fn compile(
        client: &Client,
        device: &Device,
        target: &Target,
        config: &GemmaConfig,
        shape: &ProgramShape,
    ) -> Result<Self, EngineError> {
        let program = build(config, shape)?;
        let module = verify_program(&program.module).map_err(|violations| EngineError::Invalid {
            program: *shape,
            violations: Box::new(violations),
        })?;
        let options = LowerOptions { target, mesh: None, rules: &ShardingRules::transformer() };
        let text = lower(module, &options)
            .map_err(|source| EngineError::Lower { program: *shape, source: Box::new(source) })?;
        let on_device = CompileOptions::on_device(device.id());
        let flags = target.compiler_flags.iter();
        let options =
            flags.fold(on_device, |options, (name, value)| options.flag(*name, CompilerFlag::Bool(*value)));
        let executable = client
            .compile(&Program::stablehlo(&text), &options)
            .map_err(|source| EngineError::Compile { program: *shape, source: Box::new(source) })?;
        Ok(Self { shape: *shape, signature: program.signature, executable })
    }
}
