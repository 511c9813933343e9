//! Whether a bundle is what it was.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use lapidary_runtime::plugins::LocatedPlugin;

use super::digest::{shown, size_and_sha256};
use super::error::BundleError;
use super::manifest::{BundleManifest, FileManifest};
use crate::export::{MANIFEST, sha256};

/// What was looked at, and what differs from the manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verification {
    /// Files that the manifest lists.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// What is not as the manifest says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// A file is not there, or cannot be read.
    Unreadable {
        /// Its path in the bundle.
        file: String,
        /// The system's reason.
        reason: String,
    },
    /// A file has another size.
    Size {
        /// Its path in the bundle.
        file: String,
        /// Its size according to the manifest, in bytes.
        expected: u64,
        /// Its size.
        found: u64,
    },
    /// A file of the right size has other content.
    Content {
        /// Its path in the bundle.
        file: String,
    },
    /// A file that the manifest does not list.
    Unlisted {
        /// Its path in the bundle.
        file: String,
    },
    /// A path that leads out of the bundle.
    Outside {
        /// The path.
        file: String,
    },
    /// The plugin here is another one, so that it need not load the executables.
    Plugin {
        /// `tpu`.
        kind: String,
        /// The version that the bundle is for.
        expected: String,
        /// The version here.
        found: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, reason } => write!(f, "{file} cannot be read: {reason}"),
            Self::Size { file, expected, found } => {
                write!(f, "{file} has {found} bytes, not {expected}")
            }
            Self::Content { file } => write!(f, "{file} has been changed: its SHA-256 is another"),
            Self::Unlisted { file } => write!(f, "{file} is not in the manifest"),
            Self::Outside { file } => write!(f, "the manifest lists {file}, which leads out of the bundle"),
            Self::Plugin { kind, expected, found } => {
                write!(f, "the {kind} plugin here is {found}, but the bundle was compiled by {expected}")
            }
        }
    }
}

impl BundleManifest {
    /// Compares the files of the bundle in `directory` with this manifest of it, and the plugin that it was
    /// compiled by with the one that is here.
    ///
    /// # Errors
    /// If the directory or the plugin cannot be read.
    pub fn verify(
        &self,
        directory: &Path,
        plugin: Option<&LocatedPlugin>,
    ) -> Result<Verification, BundleError> {
        let listed: Vec<&FileManifest> = self.programs.iter().flat_map(|program| &program.files).collect();
        let mut differences: Vec<_> = listed.iter().filter_map(|file| difference(directory, file)).collect();

        let expected: BTreeSet<&Path> =
            listed.iter().map(|file| Path::new(&file.file)).chain([Path::new(MANIFEST)]).collect();
        let failed = |source| BundleError::File { path: directory.to_owned(), source };
        let unlisted = files_in(directory)
            .map_err(failed)?
            .into_iter()
            .filter(|file| !expected.contains(file.as_path()));
        differences
            .extend(unlisted.map(|file| Difference::Unlisted { file: file.to_string_lossy().into_owned() }));

        if let Some(plugin) = plugin {
            differences.extend(self.plugin_difference(plugin)?);
        }
        let bytes = listed.iter().fold(0u64, |bytes, file| bytes.saturating_add(file.bytes));
        Ok(Verification { files: listed.len(), bytes, differences })
    }

    fn plugin_difference(&self, plugin: &LocatedPlugin) -> Result<Option<Difference>, BundleError> {
        let failed = |source| BundleError::File { path: plugin.path.clone(), source };
        let (_, sha256) = size_and_sha256(&plugin.path).map_err(failed)?;
        if sha256 == self.plugin.sha256 {
            return Ok(None);
        }
        Ok(Some(Difference::Plugin {
            kind: self.plugin.kind.clone(),
            expected: version_in_words(self.plugin.version.as_deref(), &self.plugin.sha256),
            found: version_in_words(plugin.version.as_deref(), &sha256),
        }))
    }
}

/// A plugin by the version of its package and the SHA-256 of its library.
pub(super) fn version_in_words(version: Option<&str>, sha256: &str) -> String {
    let version = version.map_or_else(|| "of unknown version".to_string(), |name| format!("version {name}"));
    format!("{version} (SHA-256 {})", shown(sha256))
}

/// Reads a file, if it is what the manifest says.
pub(super) fn read(directory: &Path, listed: &FileManifest) -> Result<Vec<u8>, Difference> {
    let path = path(directory, listed)?;
    let unreadable = |error: io::Error| unreadable(listed, &error);
    // What is much larger than it should be is not read into memory.
    check_size(listed, path.metadata().map_err(unreadable)?.len())?;
    let bytes = fs::read(&path).map_err(unreadable)?;
    check_size(listed, bytes.len() as u64)?;
    check_content(listed, &sha256(&bytes))?;
    Ok(bytes)
}

fn difference(directory: &Path, listed: &FileManifest) -> Option<Difference> {
    let check = || {
        let path = path(directory, listed)?;
        let (size, sha256) = size_and_sha256(&path).map_err(|error| unreadable(listed, &error))?;
        check_size(listed, size)?;
        check_content(listed, &sha256)
    };
    check().err()
}

fn path(directory: &Path, listed: &FileManifest) -> Result<PathBuf, Difference> {
    let path = Path::new(&listed.file);
    match path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(directory.join(path)),
        false => Err(Difference::Outside { file: listed.file.clone() }),
    }
}

fn unreadable(listed: &FileManifest, error: &io::Error) -> Difference {
    Difference::Unreadable { file: listed.file.clone(), reason: error.to_string() }
}

fn check_size(listed: &FileManifest, found: u64) -> Result<(), Difference> {
    let FileManifest { file, bytes: expected, .. } = listed;
    match found == *expected {
        true => Ok(()),
        false => Err(Difference::Size { file: file.clone(), expected: *expected, found }),
    }
}

fn check_content(listed: &FileManifest, sha256: &str) -> Result<(), Difference> {
    match sha256 == listed.sha256 {
        true => Ok(()),
        false => Err(Difference::Content { file: listed.file.clone() }),
    }
}

/// Every file in a directory and its folders, relative to it, in order.
fn files_in(directory: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(directory.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                files.insert(path);
            }
        }
    }
    Ok(files)
}
