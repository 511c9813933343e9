//! A directory that appears whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::WriteError;
use crate::files;

/// What is being written, in a hidden sibling of its destination until [`OutputDirectory::commit`]; dropped
/// before that, it is removed. (A killed process leaves the sibling behind, named `.NAME.partial-PID-N`.)
pub(crate) struct OutputDirectory {
    destination: PathBuf,
    partial: PathBuf,
    committed: bool,
}

impl OutputDirectory {
    /// Refuses a destination that holds anything, unless `replace` is given and it holds nothing but what a
    /// model consists of.
    pub(crate) fn create(destination: &Path, replace: bool) -> Result<Self, WriteError> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);

        let failed = |source| WriteError::File { path: destination.to_owned(), source };
        // `.` has no name to make a sibling's from.
        let destination = std::path::absolute(destination).map_err(failed)?;
        let (Some(parent), Some(name)) = (destination.parent(), destination.file_name()) else {
            return Err(failed(io::Error::from(io::ErrorKind::InvalidInput)));
        };
        check_destination(&destination, replace)?;
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = name.to_string_lossy();
        let partial = parent.join(format!(".{name}.partial-{}-{serial}", std::process::id()));
        fs::create_dir_all(parent)
            .and_then(|()| fs::create_dir(&partial))
            .map_err(|source| WriteError::File { path: partial.clone(), source })?;
        Ok(Self { destination, partial, committed: false })
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        &self.partial
    }

    /// Writes a small file.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<(), WriteError> {
        let path = self.partial.join(name);
        fs::write(&path, content).map_err(WriteError::file(path))
    }

    /// Puts what was written in its place.
    pub(crate) fn commit(mut self) -> Result<(), WriteError> {
        self.replace_destination()
            .map_err(|source| WriteError::File { path: self.destination.clone(), source })?;
        self.committed = true;
        Ok(())
    }

    fn replace_destination(&self) -> io::Result<()> {
        match fs::remove_dir(&self.destination) {
            // It was empty, or not there.
            Ok(()) => fs::rename(&self.partial, &self.destination),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::rename(&self.partial, &self.destination)
            }
            // The old model stays until the new one is in its place.
            Err(_) => {
                let replaced = self.partial.with_extension("replaced");
                fs::rename(&self.destination, &replaced)?;
                if let Err(error) = fs::rename(&self.partial, &self.destination) {
                    fs::rename(&replaced, &self.destination)?;
                    return Err(error);
                }
                fs::remove_dir_all(&replaced)
            }
        }
    }
}

impl Drop for OutputDirectory {
    fn drop(&mut self) {
        if !self.committed {
            // The error that brought us here is the one to report.
            fs::remove_dir_all(&self.partial).ok();
        }
    }
}

fn check_destination(destination: &Path, replace: bool) -> Result<(), WriteError> {
    let failed = |source| WriteError::File { path: destination.to_owned(), source };
    let entries = match fs::read_dir(destination) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(source)),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if !replace {
            return Err(WriteError::NotEmpty { directory: destination.to_owned() });
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if !is_model_file(&name) || entry.path().is_dir() {
            return Err(WriteError::NotAModel { directory: destination.to_owned(), entry: name });
        }
    }
    Ok(())
}

/// Whether replacing a model may delete a file of this name.
fn is_model_file(name: &str) -> bool {
    [files::CONFIG, files::WEIGHTS_INDEX].contains(&name)
        || files::COMPANIONS.contains(&name)
        || name.ends_with(".safetensors")
}
