//! What can go wrong while programs are exported.

use lapidary_graph::verify::Violations;
use lapidary_lower::LowerError;
use lapidary_lower::sharding::RulesMismatch;
use lapidary_models::program::{ProgramError, ProgramShape};

use super::DirectoryError;
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
    /// A directory that could not be written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}
