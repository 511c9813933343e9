//! Writing an export so that its directory is whole or absent.

use std::fs;
use std::io;
use std::path::Path;

use super::json::to_readable_json;
use super::{Export, ExportError, MANIFEST};

/// How the names of programs' files end.
const PROGRAM_SUFFIX: &str = ".stablehlo.mlir";

impl Export {
    /// Writes the programs and the manifest into `directory`, which appears when it is complete.
    ///
    /// # Errors
    /// If the directory holds anything, unless `replace` is given and that is an export; if a file cannot be
    /// written. The directory is then what it was.
    pub fn write(&self, directory: &Path, replace: bool) -> Result<(), ExportError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ExportError::Write { path, source }
        };
        let manifest = to_readable_json(&self.manifest)?;
        // `.` has no name to make a sibling's from.
        let directory = std::path::absolute(directory).map_err(failed(directory))?;
        let (Some(parent), Some(name)) = (directory.parent(), directory.file_name()) else {
            return Err(failed(&directory)(io::Error::from(io::ErrorKind::InvalidInput)));
        };
        check_destination(&directory, replace)?;
        fs::create_dir_all(parent).map_err(failed(parent))?;
        // A hidden sibling, removed with whatever is in it in the end: a half-written export, or a replaced one.
        let prefix = format!(".{}.partial-", name.to_string_lossy());
        let workspace =
            tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).map_err(failed(&directory))?;
        let partial = workspace.path().join("new");
        fs::create_dir(&partial).map_err(failed(&partial))?;
        let programs = self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        for (name, text) in programs.chain([(MANIFEST, manifest.as_str())]) {
            fs::write(partial.join(name), text).map_err(failed(&directory.join(name)))?;
        }
        put_in_place(&partial, &directory, &workspace.path().join("old")).map_err(failed(&directory))
    }
}

/// Moves `partial` to `directory`, and what is there to `replaced`; what is there stays until then.
fn put_in_place(partial: &Path, directory: &Path, replaced: &Path) -> io::Result<()> {
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

fn check_destination(directory: &Path, replace: bool) -> Result<(), ExportError> {
    let failed = |source| ExportError::Write { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if !replace {
            return Err(ExportError::NotEmpty { directory: directory.to_owned() });
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_file = entry.file_type().map_err(failed)?.is_file();
        if !is_file || (name != MANIFEST && !name.ends_with(PROGRAM_SUFFIX)) {
            return Err(ExportError::NotAnExport { directory: directory.to_owned(), entry: name });
        }
    }
    Ok(())
}
