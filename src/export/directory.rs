//! Writing an export.

use std::path::Path;

use super::json::to_readable_json;
use super::new_directory::{Contents, NewDirectory};
use super::{Export, ExportError, MANIFEST};

/// How the names of programs' files end, after the name of the program.
pub(crate) const PROGRAM_SUFFIX: &str = ".stablehlo.mlir";

const EXPORT: Contents = Contents {
    kind: "export",
    has_file: |path| path == MANIFEST || path.to_string_lossy().ends_with(PROGRAM_SUFFIX),
    has_folder: |_| false,
};

impl Export {
    /// Writes the programs and the manifest into `directory`, which appears when it is complete.
    ///
    /// # Errors
    /// If the directory holds anything, unless `replace` is given and that is an export; if a file cannot be
    /// written. The directory is then what it was.
    pub fn write(&self, directory: &Path, replace: bool) -> Result<(), ExportError> {
        let manifest = to_readable_json(&self.manifest)?;
        let new = NewDirectory::create(directory, replace, &EXPORT)?;
        for (name, text) in &self.files {
            new.write(name, text.as_bytes())?;
        }
        new.write(MANIFEST, manifest.as_bytes())?;
        Ok(new.put_in_place()?)
    }
}
