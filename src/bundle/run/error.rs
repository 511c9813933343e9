//! Why a bundle cannot be run.

use std::path::PathBuf;

use lapidary_runtime as runtime;

use super::Mismatch;
use crate::bundle::{BundleError, Difference};
use crate::engine::PlacementError;
use crate::engine::cache::ProcessorError;

/// Why a bundle, or a program of one, cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Its devices cannot be used.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// It is for something else.
    #[error("the bundle {} {mismatch}: {}", directory.display(), mismatch.remedy())]
    Mismatch {
        /// The bundle.
        directory: PathBuf,
        /// What differs.
        mismatch: Mismatch,
    },
    /// The manifest says what cannot be.
    #[error("the manifest of the bundle {} is damaged: {problem}; compile the bundle again", directory.display())]
    Manifest {
        /// The bundle.
        directory: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file is not what it was.
    #[error(
        "the bundle {} is damaged: {difference}; compile it again{}", directory.display(),
        if *can_recompile { ", or add --recompile" } else { "" }
    )]
    Damaged {
        /// The bundle.
        directory: PathBuf,
        /// What is wrong.
        difference: Difference,
        /// Whether what the program was compiled from is not affected.
        can_recompile: bool,
    },
    /// The plugin does not take an executable, although all is as it should be.
    #[error(
        "the plugin does not load {program} of the bundle {}; compile it again, or add --recompile",
        directory.display()
    )]
    NotLoaded {
        /// The bundle.
        directory: PathBuf,
        /// Name of the program.
        program: String,
        /// The plugin's reason.
        #[source]
        source: Box<runtime::Error>,
    },
    /// The plugin does not compile what the bundle was compiled from.
    #[error("{program} of the bundle {} could not be compiled again", directory.display())]
    NotRecompiled {
        /// The bundle.
        directory: PathBuf,
        /// Name of the program.
        program: String,
        /// The compiler's reason.
        #[source]
        source: Box<runtime::Error>,
    },
    /// A program that the bundle lacks.
    #[error("the bundle {} has no program {wanted}; it has {programs}: compile one that has it too", directory.display())]
    NoProgram {
        /// The bundle.
        directory: PathBuf,
        /// What is missing.
        wanted: String,
        /// What there is.
        programs: String,
    },
    /// More sequences than programs have rows.
    #[error(
        "the programs of the bundle {} run {most} sequences at a time, not {rows}: give at most {most} at a time, or \
         compile one with --batch {rows}", directory.display()
    )]
    TooManyRows {
        /// The bundle.
        directory: PathBuf,
        /// Rows asked for.
        rows: usize,
        /// Rows there are.
        most: usize,
    },
    /// A sequence that the programs' KV cache has no room for.
    #[error(
        "sequence {row} (counted from 0) has {tokens} tokens, but the programs of the bundle {} have room for \
         {context}: shorten it, or compile one with a --context of {tokens} or more", directory.display()
    )]
    TooLong {
        /// The bundle.
        directory: PathBuf,
        /// Index of the sequence.
        row: usize,
        /// Its length.
        tokens: usize,
        /// Positions there are.
        context: usize,
    },
    /// The plugin's library, with which the bundle's is to be compared, cannot be read.
    #[error("cannot read {}", path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// This machine's processor, with which the bundle's is to be compared, is not known.
    #[error("whether the code of the bundle {} is for this processor is not known", directory.display())]
    Processor {
        /// The bundle.
        directory: PathBuf,
        /// Why.
        #[source]
        source: ProcessorError,
    },
}
