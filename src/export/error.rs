//! What can go wrong while programs are exported.

use std::path::PathBuf;

use lapidary_graph::verify::Violations;
use lapidary_lower::LowerError;
use lapidary_lower::sharding::RulesMismatch;
use lapidary_models::program::{ProgramError, ProgramShape};

use super::MANIFEST;
use crate::target::TargetError;

/// Why programs could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Sizes that make no program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A mesh and rules that do not go together.
    #[error(transparent)]
    Rules(#[from] RulesMismatch),
    /// A mesh that is not the target's.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A defect of a program builder.
    #[error("program {program} is not valid:\n{violations}")]
    Invalid {
        /// Which program.
        program: ProgramShape,
        /// All of its defects.
        violations: Box<Violations>,
    },
    /// A program without StableHLO.
    #[error("program {program} could not be lowered")]
    Lower {
        /// Which program.
        program: ProgramShape,
        /// Cause.
        #[source]
        source: Box<LowerError>,
    },
    /// The manifest cannot be written as JSON.
    #[error("the manifest could not be written as JSON")]
    Json(#[from] serde_json::Error),
    /// There is something where the directory is to be.
    #[error("{} is not empty; choose another directory, or replace the export in it with --force", directory.display())]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
    },
    /// Something that is not part of an export would be replaced.
    #[error(
        "{} holds `{entry}`, which no export has beside its {MANIFEST}: it is not replaced; choose another directory",
        directory.display()
    )]
    NotAnExport {
        /// The directory.
        directory: PathBuf,
        /// What is in it.
        entry: String,
    },
    /// A file or directory could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}
