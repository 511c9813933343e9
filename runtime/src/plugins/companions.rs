//! What lies beside a plugin that needs more than itself.

use std::path::{Path, PathBuf};

use super::discover::version_below;
use super::{Companion, Package, PluginKind};

/// A companion of a plugin, and how much of it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanionState {
    /// What the plugin needs.
    pub companion: &'static Companion,
    /// The version, where a record of it lies there.
    pub version: Option<String>,
    /// The size of its files that are there, in bytes.
    pub bytes: u64,
    /// Its files that are there.
    pub present: Vec<PathBuf>,
    /// Its files that are not there.
    pub missing: Vec<PathBuf>,
}

impl CompanionState {
    /// Whether all its files are there.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

/// What of a plugin's companions lies where the plugin's library looks for it: in the same directory tree, whether
/// Lapidary made that or pip did. Nothing is loaded.
pub fn companions_beside(kind: PluginKind, library: &Path) -> Vec<CompanionState> {
    let package = Package::pinned(kind);
    // As many levels up as the library of the package lies deep, as its `RPATH` has it.
    let Some(root) = library.ancestors().nth(Path::new(package.library).components().count()) else {
        return Vec::new();
    };
    package.companions.iter().map(|companion| CompanionState::below(root, companion)).collect()
}

impl CompanionState {
    fn below(root: &Path, companion: &'static Companion) -> CompanionState {
        let mut state = CompanionState {
            companion,
            version: version_below(root, companion.name),
            bytes: 0,
            present: Vec::new(),
            missing: Vec::new(),
        };
        for file in companion.files {
            let path = root.join(file);
            match path.metadata() {
                Ok(metadata) if metadata.is_file() => {
                    state.bytes += metadata.len();
                    state.present.push(path);
                }
                Ok(_) | Err(_) => state.missing.push(path),
            }
        }
        state
    }
}
