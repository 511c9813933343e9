//! Writing an export.

use std::path::Path;

use super::json::to_readable_json;
use super::new_directory::{Contents, NewDirectory};
use super::{Export, ExportError, MANIFEST};

/// How the names of programs' files end, after the name of the program.
pub(crate) const PROGRAM_SUFFIX: &str = ".stablehlo.mlir";
/// How the names of programs' HLO end as an `HloModuleProto`.
pub(crate) const HLO_PROTO_SUFFIX: &str = ".hlo.pb";
/// How the names of programs' HLO end as text.
pub(crate) const HLO_TEXT_SUFFIX: &str = ".hlo.txt";

const SUFFIXES: [&str; 3] = [PROGRAM_SUFFIX, HLO_PROTO_SUFFIX, HLO_TEXT_SUFFIX];

const EXPORT: Contents = Contents {
    kind: "export",
    has_file: |path| {
        let name = path.to_string_lossy();
        name == MANIFEST || SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
    },
    has_folder: |_| false,
};

/// An export under way. Nothing is left of it unless it is finished.
#[derive(Debug)]
pub struct NewExport {
    pub(crate) directory: NewDirectory,
}

impl NewExport {
    /// Begins an export that is to be `directory`.
    ///
    /// # Errors
    /// If the directory holds anything, unless `replace` is given and that is an export; if its parent cannot be
    /// written.
    pub fn create(directory: &Path, replace: bool) -> Result<Self, ExportError> {
        Ok(Self { directory: NewDirectory::create(directory, replace, &EXPORT)? })
    }

    /// Writes the programs and the manifest, and puts the directory in place.
    ///
    /// # Errors
    /// If a file cannot be written. The directory is then what it was.
    pub fn finish(self, export: &Export) -> Result<(), ExportError> {
        for (name, text) in &export.files {
            self.directory.write(name, text.as_bytes())?;
        }
        self.directory.write(MANIFEST, to_readable_json(&export.manifest)?.as_bytes())?;
        Ok(self.directory.put_in_place()?)
    }
}

impl Export {
    /// Writes the programs and the manifest into `directory`, which appears when it is complete.
    ///
    /// # Errors
    /// If the directory holds anything, unless `replace` is given and that is an export; if a file cannot be
    /// written. The directory is then what it was.
    pub fn write(&self, directory: &Path, replace: bool) -> Result<(), ExportError> {
        NewExport::create(directory, replace)?.finish(self)
    }
}
