//! What can go wrong with bundles.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::FORMAT;
use super::shortage::Shortage;
use crate::export::{DirectoryError, ExportError};

/// Why there is no bundle, or why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Programs that cannot be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A directory that could not be written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The manifest cannot be written as JSON.
    #[error("the manifest could not be written as JSON")]
    Json(#[from] serde_json::Error),
    /// Nothing to compile.
    #[error("there is no program to compile")]
    NoPrograms,
    /// A GPU that the table of targets has, but the compiler's does not.
    #[error(
        "it is not known what XLA's compiler must be told of `{gpu}`; `lapidary targets` lists other GPUs"
    )]
    NoTargetConfig {
        /// Its name in a target.
        gpu: &'static str,
    },
    /// The compiler's process could not be started or watched.
    #[error("the process that compiles could not be run")]
    Process(#[source] io::Error),
    /// Files of the bundle under way could not be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The compiler refuses a program, or its plugin does not start.
    #[error("{program} does not compile for {target}")]
    Refused {
        /// Name of the program.
        program: String,
        /// The target.
        target: String,
        /// Why.
        #[source]
        reason: Reported,
    },
    /// A program that needs more memory than a device has.
    #[error("{program} does not compile for {target}: {shortage}")]
    OutOfMemory {
        /// Name of the program.
        program: String,
        /// The target.
        target: String,
        /// What it needs, and what there is.
        shortage: Shortage,
    },
    /// NVIDIA's tools, which finish what XLA makes for a GPU and are no part of its plugin, are not here.
    #[error(
        "{program} does not compile for {target}: XLA does not find NVIDIA's {tool} beside its plugin; \
         `lapidary plugin install cuda --compile-only` installs it with a plugin that does"
    )]
    NoCudaTool {
        /// Name of the program.
        program: String,
        /// The target.
        target: String,
        /// What is missing.
        tool: &'static str,
    },
    /// The compiler's process ended without an answer.
    #[error("{program} did not compile for {target}: the compiler's process {end}{memory}{last_words}")]
    Died {
        /// Name of the program.
        program: String,
        /// The target.
        target: String,
        /// How: `was ended by signal 9 (SIGKILL)`.
        end: String,
        /// The most memory that it had, in words; empty if that is not known.
        memory: String,
        /// What it wrote last to standard error, after a colon; empty if that is nothing.
        last_words: String,
    },
    /// The compiler took too long.
    #[error(
        "{program} did not compile for {target} within {} s, and the compiler was stopped{memory}: give it more \
         with --time-limit, or compile a smaller program", limit.as_secs_f64()
    )]
    TimeLimit {
        /// Name of the program.
        program: String,
        /// The target.
        target: String,
        /// The limit.
        limit: Duration,
        /// The most memory that it had, in words; empty if that is not known.
        memory: String,
    },
    /// A compiler that does not hand out what it makes of a program before it optimizes it.
    #[error(
        "the compiler for {target} did not dump the HLO of {program}: leave out --hlo, or choose another target"
    )]
    NoHlo {
        /// Name of the program.
        program: String,
        /// The target.
        target: String,
    },
    /// A full disk.
    #[error(
        "there is no room in {} for what the compiler makes of {program}: free some, or write elsewhere",
        directory.display()
    )]
    NoRoom {
        /// Name of the program.
        program: String,
        /// The directory.
        directory: PathBuf,
    },
    /// A stop was asked for.
    #[error("compiling was stopped")]
    Cancelled,
    /// A directory without a readable manifest.
    #[error("{} cannot be read: a bundle is what `lapidary compile` writes", path.display())]
    Open {
        /// The manifest.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A manifest that is none.
    #[error("{} is not the manifest of a bundle", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A manifest of something else.
    #[error("{} is of the format `{format}`, but this version of Lapidary reads `{FORMAT}`", path.display())]
    Format {
        /// The manifest.
        path: PathBuf,
        /// What it says that it is.
        format: String,
    },
}

/// An error of another process, with its causes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reported {
    message: String,
    cause: Option<Box<Reported>>,
}

impl Reported {
    /// What an error and its causes say.
    pub(super) fn of(error: &dyn Error) -> Self {
        Self { message: error.to_string(), cause: error.source().map(|cause| Box::new(Self::of(cause))) }
    }

    /// What the error and its causes say, the error first.
    pub(super) fn messages(&self) -> impl Iterator<Item = &str> {
        let errors = std::iter::successors(Some(self), |error| error.cause.as_deref());
        errors.map(|error| error.message.as_str())
    }

    /// Whether the error or one of its causes says this.
    pub(super) fn says(&self, text: &str) -> bool {
        self.messages().any(|message| message.contains(text))
    }
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Reported {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let cause = self.cause.as_deref()?;
        Some(cause)
    }
}
