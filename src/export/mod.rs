//! Programs as portable StableHLO text, with a manifest that says what is in it. Needs no plugin and no weights.

mod directory;
mod error;
mod json;
mod manifest;
mod new_directory;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use lapidary_graph::verify::verify_program;
use lapidary_graph::{DType, Module};
use lapidary_lower::{
    EntryShardings, LowerOptions, Lowered, Mesh, ShardingRules, Target, entry_shardings, lower_and_tell,
};
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::{ProgramShape, build};
use sha2::{Digest, Sha256};

pub use directory::NewExport;
pub(crate) use directory::{HLO_PROTO_SUFFIX, HLO_TEXT_SUFFIX, PROGRAM_SUFFIX};
pub use error::ExportError;
pub(crate) use json::to_readable_json;
pub use manifest::{
    AxisManifest, FORMAT, FileManifest, GeneratorManifest, HloManifest, MANIFEST, Manifest, ModelManifest,
    ParamManifest, PluginManifest, ProgramManifest, RoleManifest, RuleManifest, SplitManifest,
    TargetManifest, ValueManifest,
};
pub(crate) use manifest::{input_name, one_step, output_name};
pub use new_directory::DirectoryError;
pub(crate) use new_directory::{Contents, NewDirectory};

use crate::target::{TargetSpec, arranged};

/// What to export.
#[derive(Clone, Copy, Debug)]
pub struct ExportRequest<'a> {
    /// What the model is called.
    pub model: &'a str,
    /// The model, and how its weights are stored.
    pub config: &'a GemmaConfig,
    /// Element type of activations and of weights that are not encoded.
    pub dtype: DType,
    /// Devices that the programs are for; `None` for any, in the plain forms of every operation.
    pub target: Option<&'a TargetSpec>,
    /// The mesh.
    pub mesh: &'a Mesh,
    /// How logical axes are split over it.
    pub rules: &'a ShardingRules,
    /// Flags of the compiler on top of the target's, by name.
    pub compiler_flags: &'a BTreeMap<String, String>,
}

impl ExportRequest<'_> {
    /// The table that the programs are lowered with. The TPU's has no form that another platform would not want.
    fn lowering(&self) -> &'static Target {
        self.target.map_or(&lapidary_lower::target::TPU, TargetSpec::lowering)
    }
}

/// Programs and their manifest, in memory.
#[derive(Clone, PartialEq, Debug)]
pub struct Export {
    /// Names and contents of the programs' files.
    pub files: Vec<(String, String)>,
    /// What is in them.
    pub manifest: Manifest,
}

impl Export {
    /// Lowers the programs of these shapes.
    ///
    /// # Errors
    /// If mesh, rules and target do not go together, or a shape makes no program of the model.
    pub fn new(request: &ExportRequest<'_>, shapes: &[ProgramShape]) -> Result<Self, ExportError> {
        request.rules.check(request.mesh)?;
        if let Some(target) = request.target {
            target.check_mesh(request.mesh)?;
        }
        // Programs for any device take weights as files have them.
        let config = match request.target {
            Some(target) => arranged(request.config, target.lowering()),
            None => request.config.clone(),
        };
        let mut files = Vec::new();
        let mut programs = Vec::new();
        for shape in shapes {
            let program = build(&config, shape)?;
            let text = text(request, &program.module, shape)?;
            let file = format!("{}{PROGRAM_SUFFIX}", program.module.name);
            let shardings = shardings(&program.module, request);
            programs.push(ProgramManifest::new(&program, &shardings, file.clone(), &text));
            files.push((file, text));
        }
        let manifest = Manifest::new(request, programs);
        Ok(Self { files, manifest })
    }
}

fn text(request: &ExportRequest<'_>, module: &Module, shape: &ProgramShape) -> Result<String, ExportError> {
    let mesh = Some(request.mesh).filter(|mesh| mesh.num_devices() > 1);
    let options = LowerOptions { target: request.lowering(), mesh, rules: request.rules };
    lowered(module, shape, &options).map(|lowered| lowered.text)
}

/// A program's module, verified and lowered.
pub(crate) fn lowered(
    module: &Module,
    shape: &ProgramShape,
    options: &LowerOptions<'_>,
) -> Result<Lowered, ExportError> {
    let verified = verify_program(module)
        .map_err(|violations| ExportError::Invalid { program: *shape, violations: Box::new(violations) })?;
    lower_and_tell(verified, options)
        .map_err(|source| ExportError::Lower { program: *shape, source: Box::new(source) })
}

/// How parameters and results are split; a module without an entry has none.
fn shardings(module: &Module, request: &ExportRequest<'_>) -> EntryShardings {
    match module.entry().and_then(|entry| module.function(entry)) {
        Some(entry) => entry_shardings(entry, request.mesh, request.rules),
        None => EntryShardings { params: Vec::new(), results: Vec::new() },
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
