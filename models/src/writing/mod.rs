//! Writing model directories: files laid out before their data exists, and a directory that appears when it is whole.

mod directory;
mod layout;

use std::io;
use std::path::PathBuf;

pub(crate) use directory::OutputDirectory;
pub(crate) use layout::{Entry, Layout};

/// Why a model directory cannot be written. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The destination is in use.
    #[error("{} is not empty; choose another directory, or have it replaced (--force)", directory.display())]
    NotEmpty {
        /// The destination.
        directory: PathBuf,
    },
    /// The destination may be replaced, but holds more than a model.
    #[error(
        "{} also holds `{entry}`, which is no part of a model; it is not replaced",
        directory.display()
    )]
    NotAModel {
        /// The destination.
        directory: PathBuf,
        /// What it holds.
        entry: String,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl WriteError {
    /// An error of the system about `path`.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
