//! Which composites of a program are calls of kernels.

use lapidary_lower::{Decomposed, LowerOptions, LoweredComposite};
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::{ProgramShape, build};
use serde::Serialize;

use super::InspectError;
use crate::export::{self, ExportError};

/// A program as it is handed to a compiler.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LoweredProgram {
    /// Its name.
    pub name: String,
    /// The platform that it was lowered for.
    pub platform: &'static str,
    /// The mesh; `None` for one device.
    pub mesh: Option<String>,
    /// What became of its composites, those alike together, in the order in which the program first has them.
    pub composites: Vec<CompositeCount>,
}

/// Composites of one name of which the same became.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CompositeCount {
    /// Their name, such as `lapidary.linear`.
    pub composite: String,
    /// How many there are.
    pub count: usize,
    /// The kernel that they are calls of; `None` if they were decomposed.
    pub kernel: Option<&'static str>,
    /// Why they were decomposed, in a word: `no_kernel`, `switched_off`, `operands` or `mesh`.
    pub decomposed: Option<&'static str>,
    /// The same in words; of operands, those of the first.
    pub because: Option<String>,
    /// Where in the model they are.
    pub paths: Vec<String>,
}

impl LoweredProgram {
    /// How many composites are calls of kernels.
    pub fn calls(&self) -> usize {
        self.composites.iter().filter(|each| each.kernel.is_some()).map(|each| each.count).sum()
    }

    /// How many composites there are.
    pub fn total(&self) -> usize {
        self.composites.iter().map(|each| each.count).sum()
    }
}

/// Lowers a program of a model, and says what became of its composites. Needs no plugin and no weights.
///
/// # Errors
/// If the shape makes no program of the model, or mesh and rules do not go together.
pub fn inspect_lowering(
    config: &GemmaConfig,
    shape: &ProgramShape,
    options: &LowerOptions<'_>,
) -> Result<LoweredProgram, InspectError> {
    let mesh = options.mesh.filter(|mesh| mesh.num_devices() > 1);
    let options = LowerOptions { mesh, ..*options };
    if let Some(mesh) = mesh {
        options.rules.check(mesh).map_err(failed)?;
    }
    let program = build(config, shape).map_err(failed)?;
    let lowered = export::lowered(&program.module, shape, &options).map_err(failed)?;
    Ok(LoweredProgram {
        name: program.module.name,
        platform: options.target.name,
        mesh: mesh.map(ToString::to_string),
        composites: counts(lowered.composites),
    })
}

fn failed<E: Into<ExportError>>(error: E) -> InspectError {
    InspectError::Lowering(Box::new(error.into()))
}

fn counts(composites: Vec<LoweredComposite>) -> Vec<CompositeCount> {
    let mut counts: Vec<CompositeCount> = Vec::new();
    for LoweredComposite { composite, path, kernel } in composites {
        let decomposed = kernel.as_ref().err().map(Decomposed::name);
        let kernel_name = kernel.as_ref().ok().copied();
        let alike = counts.iter_mut().find(|each| {
            each.composite == composite && each.kernel == kernel_name && each.decomposed == decomposed
        });
        match alike {
            Some(alike) => {
                alike.count += 1;
                alike.paths.push(path);
            }
            None => counts.push(CompositeCount {
                composite,
                count: 1,
                kernel: kernel_name,
                decomposed,
                because: kernel.err().map(|because| because.to_string()),
                paths: vec![path],
            }),
        }
    }
    counts
}
