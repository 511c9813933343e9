//! Where installed plugins lie, and what is recorded about each.
//!
//! ```text
//! <data directory>/plugins/
//!   .lock                    held while anything here is changed
//!   .staging-XXXX/           an installation in progress, or one whose process died
//!   cpu/0.0.1/               one installed version, always whole
//!     manifest.json          see [`Manifest`]
//!     xla_plugins/...        the files, at the paths they have in the wheel
//! ```
//!
//! A version's directory is renamed into place once everything in it is on the disk, so whoever finds one
//! may use it without holding the lock.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::library::{self, Defect};
use super::process::POLL;
use super::{Environment, Error, Package, PluginKind, Wheel};

const STAGING_PREFIX: &str = ".staging-";
pub(super) const MANIFEST: &str = "manifest.json";

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
    /// The record of an installation that happens now.
    pub(super) fn now(package: &Package, wheel: &Wheel, library_bytes: u64) -> Manifest {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Manifest {
            package: package.name.to_owned(),
            version: package.version.to_owned(),
            wheel: wheel.file.to_owned(),
            wheel_sha256: wheel.sha256.to_owned(),
            library: package.library.to_owned(),
            library_bytes,
            installed_at: since_epoch.as_secs(),
        }
    }

    /// Reads a version directory's manifest; `None` when it has none that can be understood.
    pub(super) fn read(directory: &Path) -> Option<Manifest> {
        serde_json::from_slice(&fs::read(directory.join(MANIFEST)).ok()?).ok()
    }
}

/// A plugin that Lapidary has installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledPlugin {
    /// The devices it drives.
    pub kind: PluginKind,
    /// The package it came from.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// Whether this is the version that this program uses. Others were left by other versions of Lapidary.
    pub pinned: bool,
    /// The library's path.
    pub library: PathBuf,
    /// The library's size in bytes.
    pub library_bytes: u64,
    /// The SHA-256 of the wheel it was unpacked from.
    pub wheel_sha256: String,
    /// When it was installed, in seconds since the Unix epoch.
    pub installed_at: u64,
}

/// The directory of installed plugins.
pub(super) struct Store {
    root: PathBuf,
}

impl Store {
    /// The store of this environment. Nothing is created.
    pub(super) fn of(environment: &Environment) -> Result<Store, Error> {
        Ok(Store { root: environment.data_dir()?.join("plugins") })
    }

    /// Where a package's version is or would be installed.
    pub(super) fn directory(&self, package: &Package) -> PathBuf {
        self.root.join(package.kind.name()).join(package.version)
    }

    /// The installed pinned version, or what is wrong with it.
    pub(super) fn installed(&self, package: &Package) -> Result<InstalledPlugin, Defect> {
        let directory = self.directory(package);
        let plugin = self.describe(package, &directory).ok_or(Defect::Missing)?;
        library::examine(&plugin.library)?;
        let found = plugin.library.metadata().map_err(|error| Defect::Unreadable(error.to_string()))?.len();
        if found == plugin.library_bytes {
            Ok(plugin)
        } else {
            Err(Defect::Damaged { expected: plugin.library_bytes, found })
        }
    }

    /// Every version of a package's kind that has a manifest, the pinned one first.
    pub(super) fn versions(&self, package: &Package) -> Vec<InstalledPlugin> {
        // A store that is not there holds nothing.
        let entries = fs::read_dir(self.root.join(package.kind.name())).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries.filter_map(|entry| self.describe(package, &entry.path())).collect();
        found.sort_by(|a, b| b.pinned.cmp(&a.pinned).then_with(|| a.version.cmp(&b.version)));
        found
    }

    fn describe(&self, package: &Package, directory: &Path) -> Option<InstalledPlugin> {
        let manifest = Manifest::read(directory)?;
        Some(InstalledPlugin {
            kind: package.kind,
            pinned: directory == self.directory(package),
            library: directory.join(manifest.library),
            package: manifest.package,
            version: manifest.version,
            library_bytes: manifest.library_bytes,
            wheel_sha256: manifest.wheel_sha256,
            installed_at: manifest.installed_at,
        })
    }

    /// Takes the store's lock, creating the store first. `waiting` is called again and again while another
    /// process holds it, and ends the wait by returning an error.
    pub(super) fn lock(&self, mut waiting: impl FnMut() -> Result<(), Error>) -> Result<Locked<'_>, Error> {
        fs::create_dir_all(&self.root).map_err(|source| Error::data_dir(&self.root, source))?;
        let path = self.root.join(".lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| Error::data_dir(&path, source))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Locked { store: self, _lock: file }),
                Err(TryLockError::WouldBlock) => waiting()?,
                Err(TryLockError::Error(source)) => return Err(Error::io("lock", &path, source)),
            }
            thread::sleep(POLL);
        }
    }

    /// Whether there is anything that could be removed.
    pub(super) fn holds(&self, kind: PluginKind) -> bool {
        self.root.join(kind.name()).exists()
    }
}

/// The store while this process alone may change it. The system drops the lock if the process dies.
pub(super) struct Locked<'a> {
    store: &'a Store,
    _lock: File,
}

impl Locked<'_> {
    /// A new directory for work in progress, removed when dropped.
    ///
    /// Work is only ever in progress under the lock, so staging directories that are already there belong
    /// to processes that died, and are cleared away.
    pub(super) fn staging(&self) -> Result<TempDir, Error> {
        let root = &self.store.root;
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(STAGING_PREFIX) {
                // A dead process's pip may outlive it and still write here; the next one clears the rest.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        tempfile::Builder::new()
            .prefix(STAGING_PREFIX)
            .tempdir_in(root)
            .map_err(|source| Error::data_dir(root, source))
    }

    /// Moves a complete directory to its package's place, by way of `staging` if something damaged is there.
    pub(super) fn put(&self, complete: &Path, package: &Package, staging: &TempDir) -> Result<(), Error> {
        let place = self.store.directory(package);
        let of_kind = self.store.root.join(package.kind.name());
        fs::create_dir_all(&of_kind).map_err(|source| Error::data_dir(&of_kind, source))?;
        rename_if_there(&place, &staging.path().join("replaced"))?;
        fs::rename(complete, &place).map_err(|source| Error::io("move into place", &place, source))?;
        for directory in [&of_kind, &self.store.root] {
            sync_directory(directory)?;
        }
        Ok(())
    }

    /// Removes every version of a kind. Processes that have one loaded keep it.
    pub(super) fn remove(&self, kind: PluginKind) -> Result<(), Error> {
        let of_kind = self.store.root.join(kind.name());
        let staging = self.staging()?;
        let doomed = staging.path().join("removed");
        rename_if_there(&of_kind, &doomed)?;
        fs::remove_dir_all(&doomed)
            .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
            .map_err(|source| Error::io("remove", &of_kind, source))
    }
}

fn rename_if_there(from: &Path, to: &Path) -> Result<(), Error> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("move away", from, error)),
        _ => Ok(()),
    }
}

/// Makes a directory's entries durable, so that a crash leaves either the old or the new ones.
pub(super) fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| Error::io("write to disk", path, source))
}
