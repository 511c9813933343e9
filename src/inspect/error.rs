//! What can go wrong while programs are inspected.

use std::path::PathBuf;

use lapidary_hlo::ReadError;

use crate::bundle::BundleError;
use crate::export::ExportError;
use crate::target::TargetError;

/// Why a program could not be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// A file or directory could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A bundle without a manifest that this version reads.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A manifest of a target or mesh that this version does not know.
    #[error("{} is for something that this version does not know; give --target and --mesh", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// What that is.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A directory that no compiler wrote.
    #[error(
        "{} holds no compiled program: give a bundle that `lapidary compile` wrote, the folder of one of its programs, \
         or a file of optimized HLO",
        directory.display()
    )]
    NoProgram {
        /// The directory.
        directory: PathBuf,
    },
    /// An export, which has seen no compiler.
    #[error(
        "{} is an export, whose programs no compiler has seen yet: compile them, and inspect what comes of it",
        directory.display()
    )]
    NotCompiled {
        /// The directory.
        directory: PathBuf,
    },
    /// A bundle of a compiler that keeps its work to itself.
    #[error(
        "{} holds executables but no optimized HLO, which not every plugin hands out: there is nothing to inspect",
        directory.display()
    )]
    NoOptimized {
        /// The directory.
        directory: PathBuf,
    },
    /// A file without anything in it.
    #[error("{} is empty: it should hold optimized HLO", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A program in MLIR.
    #[error(
        "{} is MLIR, which says what to compute and not what a compiler made of it: give optimized HLO, as text or as \
         an HloModuleProto",
        path.display()
    )]
    Mlir {
        /// The file.
        path: PathBuf,
    },
    /// A file that is no HLO, or was cut off.
    #[error("{} cannot be read as HLO: it is damaged, incomplete or something else", path.display())]
    Program {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: Box<ReadError>,
    },
    /// A mesh that is not the target's.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A program that could not be built or lowered.
    #[error(transparent)]
    Lowering(#[from] Box<ExportError>),
}
