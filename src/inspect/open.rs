//! Finding and reading compiled programs.

use std::fs;
use std::path::{Path, PathBuf};

use lapidary_hlo::Module;
use lapidary_lower::Mesh;

use super::InspectError;
use crate::bundle::{self, BundleError, BundleManifest, OPTIMIZED_FILE, OPTIMIZED_TEXT_FILE, PROGRAMS};
use crate::export::{self, MANIFEST};
use crate::target::TargetSpec;

/// A compiled program, and what is known about it beside its file.
#[derive(Clone, PartialEq, Debug)]
pub struct CompiledProgram {
    /// Its name in its bundle; a file alone has none.
    pub name: Option<String>,
    /// The file of its optimized HLO.
    pub file: PathBuf,
    /// What it was compiled for.
    pub target: Option<TargetSpec>,
    /// What it was partitioned for.
    pub mesh: Option<Mesh>,
    /// What the compiler says of its memory.
    pub memory: Option<CompilerMemory>,
}

/// Memory on one device as a compiler reports it, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CompilerMemory {
    /// Intermediate values.
    pub temp_bytes: u64,
    /// Code.
    pub generated_code_bytes: u64,
}

/// The programs that a path leads to: those of a bundle, in its order, that of a program's folder, or that in a file.
///
/// # Errors
/// If there is none, or something cannot be read.
pub fn find(path: &Path) -> Result<Vec<CompiledProgram>, InspectError> {
    let metadata = fs::metadata(path).map_err(failed(path))?;
    if !metadata.is_dir() {
        return Ok(vec![CompiledProgram::unknown(None, path.to_owned())]);
    }
    if let Some(file) = optimized(path) {
        // `.` and `..` have no names of their own.
        let folder = path.canonicalize().map_err(failed(path))?;
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        // The folder of a program lies in that of all, and that in the bundle.
        let bundle = folder.parent().filter(|parent| parent.ends_with(PROGRAMS)).and_then(Path::parent);
        let program = match (bundle.filter(|bundle| bundle.join(MANIFEST).exists()), name) {
            (Some(bundle), Some(name)) => {
                CompiledProgram::of_bundle(bundle, &bundle::open(bundle)?, name, file)?
            }
            (_, name) => CompiledProgram::unknown(name, file),
        };
        return Ok(vec![program]);
    }
    if !path.join(MANIFEST).exists() {
        return Err(InspectError::NoProgram { directory: path.to_owned() });
    }
    let manifest = match bundle::open(path) {
        Err(BundleError::Format { format, .. }) if format == export::FORMAT => {
            return Err(InspectError::NotCompiled { directory: path.to_owned() });
        }
        manifest => manifest?,
    };
    let programs = manifest.programs.iter().filter_map(|program| {
        let file = optimized(&path.join(PROGRAMS).join(&program.name))?;
        Some(CompiledProgram::of_bundle(path, &manifest, program.name.clone(), file))
    });
    let programs = programs.collect::<Result<Vec<_>, _>>()?;
    match programs.is_empty() {
        true => Err(InspectError::NoOptimized { directory: path.to_owned() }),
        false => Ok(programs),
    }
}

impl CompiledProgram {
    /// A program of which nothing is known.
    fn unknown(name: Option<String>, file: PathBuf) -> Self {
        Self { name, file, target: None, mesh: None, memory: None }
    }

    /// A program of a bundle.
    fn of_bundle(
        bundle: &Path,
        manifest: &BundleManifest,
        name: String,
        file: PathBuf,
    ) -> Result<Self, InspectError> {
        let unknown = |source| InspectError::Setting { path: bundle.join(MANIFEST), source };
        let target = manifest.target.spec.as_deref().map(str::parse).transpose();
        let mesh = Mesh::new(manifest.mesh.iter().map(|axis| (axis.name.clone(), axis.size)));
        let memory = manifest.programs.iter().find(|program| program.name == name);
        Ok(Self {
            memory: memory.and_then(|program| program.memory).map(|memory| CompilerMemory {
                temp_bytes: u64::try_from(memory.temp_bytes).unwrap_or(0),
                generated_code_bytes: u64::try_from(memory.generated_code_bytes).unwrap_or(0),
            }),
            name: Some(name),
            file,
            target: target.map_err(|error| unknown(Box::new(error)))?,
            mesh: Some(mesh.map_err(|error| unknown(Box::new(error)))?),
        })
    }
}

/// Reads the program in a file.
pub(super) fn read(path: &Path) -> Result<Module, InspectError> {
    let bytes = fs::read(path).map_err(failed(path))?;
    if bytes.is_empty() {
        return Err(InspectError::Empty { path: path.to_owned() });
    }
    Module::from_bytes(&bytes).map_err(|source| match is_mlir(&bytes) {
        true => InspectError::Mlir { path: path.to_owned() },
        false => InspectError::Program { path: path.to_owned(), source: Box::new(source) },
    })
}

/// Whether a file that is no HLO begins as MLIR does, in text or in bytes.
fn is_mlir(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    [b"module".as_slice(), b"#", b"\"builtin.module", b"ML\xefR"].iter().any(|start| text.starts_with(start))
}

/// The file of a program's folder that holds its optimized HLO. Both hold the same, and text takes longer to read.
fn optimized(directory: &Path) -> Option<PathBuf> {
    [OPTIMIZED_FILE, OPTIMIZED_TEXT_FILE].iter().map(|name| directory.join(name)).find(|path| path.is_file())
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> InspectError {
    let path = path.to_owned();
    move |source| InspectError::Read { path, source }
}
