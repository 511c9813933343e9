//! Compiled programs as a directory: an [`Export`](crate::export::Export), and what the compiler of a target made of
//! each of its programs. The target's devices need not be here.
//!
//! Compilers come as plugins, and plugins may end the process over some inputs, never finish, or take more memory
//! than there is. So every program is compiled in a process of its own ([`work`]), which the one that wants the
//! bundle ([`NewBundle::compile`]) starts, watches and, if need be, kills.

mod compile;
mod compiler;
mod devices;
mod digest;
mod dump;
mod error;
mod gpu_config;
mod import;
mod job;
mod manifest;
mod memory;
mod optimized;
mod room;
mod run;
mod shortage;
mod verify;
mod watch;
mod work;

use std::path::Path;

pub use compile::{CompileRequest, NewBundle, Progress};
pub use error::{BundleError, Reported};
pub use import::import_hlo;
pub use job::Job;
pub use manifest::{
    BundleManifest, CompileManifest, CompileOptionsManifest, FORMAT, FileManifest, MemoryManifest,
    PluginManifest, ProgramManifest, TopologyManifest,
};
pub use run::{Bundle, BundlePrograms, Mismatch, RulesDifference, RunError};
pub use shortage::Shortage;
pub use verify::{Difference, Verification};
pub use work::work;

use crate::export::MANIFEST;

/// Folder of the programs; each has one of its name in it.
pub const PROGRAMS: &str = "programs";
/// A program as StableHLO text.
pub const PROGRAM_FILE: &str = "program.mlir";
/// The executable, as the plugin serializes it.
pub const EXECUTABLE_FILE: &str = "executable.bin";
/// The program as the compiler has optimized it, an `HloModuleProto`.
pub const OPTIMIZED_FILE: &str = "optimized.hlo.pb";
/// The same as the compiler prints it.
pub const OPTIMIZED_TEXT_FILE: &str = "optimized.hlo.txt";

/// All files that a program may have.
const PROGRAM_FILES: [&str; 4] = [PROGRAM_FILE, EXECUTABLE_FILE, OPTIMIZED_FILE, OPTIMIZED_TEXT_FILE];

/// Reads the manifest of a bundle.
///
/// # Errors
/// If `directory` is no bundle, or of a format that this version does not read.
pub fn open(directory: &Path) -> Result<BundleManifest, BundleError> {
    let path = directory.join(MANIFEST);
    let text = std::fs::read(&path).map_err(|source| BundleError::Open { path: path.clone(), source })?;
    // The format comes first: a manifest of another one may lack anything.
    let format: manifest::Format = serde_json::from_slice(&text)
        .map_err(|source| BundleError::Manifest { path: path.clone(), source })?;
    if format.format != FORMAT {
        return Err(BundleError::Format { path, format: format.format });
    }
    serde_json::from_slice(&text).map_err(|source| BundleError::Manifest { path, source })
}
