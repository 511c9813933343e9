//! What is recorded of installed packages, in the directory that holds their files.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Companion, Error, Package, Wheel};

/// The record of the plugin itself.
pub(super) const MANIFEST: &str = "manifest.json";
/// The directory of those of its companions.
const COMPANIONS: &str = "companions";

/// What is recorded beside an installed plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) wheel: String,
    pub(super) wheel_sha256: String,
    /// The library's path below the manifest's directory.
    pub(super) library: String,
    pub(super) library_bytes: u64,
    /// Seconds since the Unix epoch.
    pub(super) installed_at: u64,
}

impl Manifest {
    /// The record of a plugin that is being installed and whose files lie in `directory`.
    pub(super) fn now(package: &Package, wheel: &Wheel, directory: &Path) -> Result<Manifest, Error> {
        Ok(Manifest {
            package: package.name.to_owned(),
            version: package.version.to_owned(),
            wheel: wheel.file.to_owned(),
            wheel_sha256: wheel.sha256.to_owned(),
            library: package.library.to_owned(),
            library_bytes: size(&directory.join(package.library))?,
            installed_at: seconds_since_epoch(),
        })
    }

    /// Writes it where [`Manifest::read`] finds it.
    pub(super) fn write(&self, directory: &Path) -> Result<(), Error> {
        write(self, &directory.join(MANIFEST))
    }

    /// Reads a version directory's manifest; `None` when it has none that can be understood.
    pub(super) fn read(directory: &Path) -> Option<Manifest> {
        read(&directory.join(MANIFEST))
    }
}

/// What is recorded of a package that was installed for a plugin, beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CompanionRecord {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) wheel: String,
    pub(super) wheel_sha256: String,
    /// Its files, and notices.
    pub(super) files: Vec<RecordedFile>,
    /// Seconds since the Unix epoch.
    pub(super) installed_at: u64,
}

/// A file of a [`CompanionRecord`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordedFile {
    /// Its path below the directory of the plugin's version.
    pub(super) path: String,
    pub(super) bytes: u64,
}

impl CompanionRecord {
    /// The record's path below the directory of the plugin's version.
    pub(super) fn path(name: &str) -> String {
        format!("{COMPANIONS}/{name}.json")
    }

    /// The record of a package that is being installed and whose files lie in `directory`.
    pub(super) fn now(
        companion: &Companion,
        wheel: &Wheel,
        directory: &Path,
    ) -> Result<CompanionRecord, Error> {
        let members = companion.files.iter().chain(companion.notices);
        let files = members.map(|member| {
            Ok(RecordedFile { path: (*member).to_owned(), bytes: size(&directory.join(member))? })
        });
        Ok(CompanionRecord {
            package: companion.name.to_owned(),
            version: companion.version.to_owned(),
            wheel: wheel.file.to_owned(),
            wheel_sha256: wheel.sha256.to_owned(),
            files: files.collect::<Result<_, Error>>()?,
            installed_at: seconds_since_epoch(),
        })
    }

    /// Writes it where [`CompanionRecord::read`] finds it.
    pub(super) fn write(&self, directory: &Path) -> Result<(), Error> {
        let path = directory.join(CompanionRecord::path(&self.package));
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(|source| Error::io("create", parent, source))?;
        write(self, &path)
    }

    /// Reads the record of a companion; `None` when there is none that can be understood.
    pub(super) fn read(directory: &Path, name: &str) -> Option<CompanionRecord> {
        read(&directory.join(CompanionRecord::path(name)))
    }

    /// Whether it is of this very wheel, and all its files lie below `directory` in the sizes they had.
    pub(super) fn is_sound(&self, wheel: &Wheel, directory: &Path) -> bool {
        let mut files = self.files.iter();
        self.wheel_sha256 == wheel.sha256
            && files.all(|file| size(&directory.join(&file.path)).is_ok_and(|found| found == file.bytes))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes a new file and forces it to the disk.
fn write(record: &impl Serialize, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::io("write", path, source);
    let text = serde_json::to_string_pretty(record).map_err(|error| failed(error.into()))?;
    let mut file = File::create_new(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

fn size(path: &Path) -> Result<u64, Error> {
    let metadata = path.metadata().map_err(|source| Error::io("read the size of", path, source))?;
    Ok(metadata.len())
}

fn seconds_since_epoch() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
