//! A directory that appears when it is complete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::MANIFEST;

/// Why a directory was not written. It is then what it was.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// There is something where the directory is to be.
    #[error("{} is not empty; choose another directory, or replace the {kind} in it with --force", directory.display())]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
        /// `export` or `bundle`.
        kind: &'static str,
    },
    /// Something else would be replaced.
    #[error(
        "{} holds `{}`, which no {kind} has beside its {MANIFEST}: it is not replaced; choose another directory",
        directory.display(), entry.display()
    )]
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// What is in it.
        entry: PathBuf,
        /// `export` or `bundle`.
        kind: &'static str,
    },
    /// A file or directory could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// What a kind of directory consists of, so that nothing else is replaced. Paths are relative to it.
#[derive(Debug)]
pub(crate) struct Contents {
    /// What such a directory is called.
    pub(crate) kind: &'static str,
    /// Whether it can have this file.
    pub(crate) has_file: fn(&Path) -> bool,
    /// Whether it can have this folder.
    pub(crate) has_folder: fn(&Path) -> bool,
}

/// A directory under way: a hidden sibling of the one that it is to be, which is removed unless it is put in place.
#[derive(Debug)]
pub(crate) struct NewDirectory {
    directory: PathBuf,
    workspace: TempDir,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.to_owned();
    move |source| DirectoryError::Write { path, source }
}

impl NewDirectory {
    /// Begins `directory`.
    ///
    /// # Errors
    /// If it holds anything, unless `replace` is given and that is all `contents`; if its parent cannot be written.
    pub(crate) fn create(
        directory: &Path,
        replace: bool,
        contents: &Contents,
    ) -> Result<Self, DirectoryError> {
        // `.` has no name to make a sibling's from.
        let directory = std::path::absolute(directory).map_err(failed(directory))?;
        let (Some(parent), Some(name)) = (directory.parent(), directory.file_name()) else {
            return Err(failed(&directory)(io::Error::from(io::ErrorKind::InvalidInput)));
        };
        check(&directory, Path::new(""), replace, contents)?;
        fs::create_dir_all(parent).map_err(failed(parent))?;
        let prefix = format!(".{}.partial-", name.to_string_lossy());
        let workspace =
            tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).map_err(failed(&directory))?;
        let new = Self { directory, workspace };
        fs::create_dir(new.path()).map_err(failed(&new.path()))?;
        Ok(new)
    }

    /// Where it is until it is put in place.
    pub(crate) fn path(&self) -> PathBuf {
        self.workspace.path().join("new")
    }

    /// A folder for what is not to be part of it.
    pub(crate) fn scratch(&self) -> Result<PathBuf, DirectoryError> {
        let scratch = self.workspace.path().join("scratch");
        fs::create_dir_all(&scratch).map_err(failed(&scratch))?;
        Ok(scratch)
    }

    /// Writes a file of it, with the folders that lead there.
    pub(crate) fn write(&self, name: impl AsRef<Path>, content: &[u8]) -> Result<(), DirectoryError> {
        let path = self.path().join(&name);
        let written =
            path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, content));
        // The user knows it by the name that it was to have.
        written.map_err(failed(&self.directory.join(name)))
    }

    /// Puts it in place of what is there, which stays until then.
    pub(crate) fn put_in_place(self) -> Result<(), DirectoryError> {
        let replaced = self.workspace.path().join("old");
        exchange(&self.path(), &self.directory, &replaced).map_err(failed(&self.directory))
    }
}

/// Moves `partial` to `directory`, and what is there to `replaced`.
fn exchange(partial: &Path, directory: &Path, replaced: &Path) -> io::Result<()> {
    match fs::remove_dir(directory) {
        // It was empty, or not there.
        Ok(()) => return fs::rename(partial, directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return fs::rename(partial, directory),
        Err(_) => {}
    }
    fs::rename(directory, replaced)?;
    fs::rename(partial, directory).or_else(|error| {
        fs::rename(replaced, directory)?;
        Err(error)
    })
}

/// Checks that all of the folder `inner` of `directory` can be replaced.
fn check(directory: &Path, inner: &Path, replace: bool, contents: &Contents) -> Result<(), DirectoryError> {
    let kind = contents.kind;
    let folder = directory.join(inner);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(&folder)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed(&folder))?;
        if !replace {
            return Err(DirectoryError::NotEmpty { directory: directory.to_owned(), kind });
        }
        let path = inner.join(entry.file_name());
        let file_type = entry.file_type().map_err(failed(&folder))?;
        if file_type.is_dir() && (contents.has_folder)(&path) {
            check(directory, &path, replace, contents)?;
        } else if !file_type.is_file() || !(contents.has_file)(&path) {
            return Err(DirectoryError::Foreign { directory: directory.to_owned(), entry: path, kind });
        }
    }
    Ok(())
}
