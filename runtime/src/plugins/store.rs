//! Where installed plugins lie, and what is recorded about each.
//!
//! ```text
//! <data directory>/plugins/
//!   .lock                    held while anything here is changed
//!   .staging-XXXX/           an installation in progress, or one whose process died
//!   cuda/0.10.2/             a version of a plugin, and what it needs beside itself
//!     manifest.json          see [`Manifest`]
//!     jax_plugins/...        the plugin's files, at the paths they have in the wheel
//!     companions/NAME.json   see [`CompanionRecord`](super::record::CompanionRecord)
//!     nvidia/...             the companions' files, at the paths they have in theirs
//! ```
//!
//! Files are renamed into place once they are on the disk, and the record of their package comes last, so whoever
//! finds a record may use what it lists without holding the lock. An installation that ends early leaves the
//! packages that it had completed; the next one goes on from there.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use tempfile::TempDir;

use super::library::{self, Defect};
use super::piece::Piece;
use super::process::POLL;
use super::record::{CompanionRecord, Manifest};
use super::{Environment, Error, Package, PluginKind};

const STAGING_PREFIX: &str = ".staging-";

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

    /// Whether a piece of a package is installed as it should be.
    pub(super) fn is_sound(&self, package: &Package, piece: &Piece<'_>) -> bool {
        match piece {
            Piece::Plugin(package, _) => self.installed(package).is_ok(),
            Piece::Companion(companion, wheel) => {
                let directory = self.directory(package);
                CompanionRecord::read(&directory, companion.name)
                    .is_some_and(|record| record.is_sound(wheel, &directory))
            }
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
                Ok(()) => return Ok(Locked { store: self, lock: file }),
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
    lock: File,
}

impl Drop for Locked<'_> {
    /// Closing the file would not do where another thread has just started a process: until that becomes its program, it has
    /// the file open as well.
    fn drop(&mut self) {
        // Where this fails, closing is what is left.
        let _ = self.lock.unlock();
    }
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

    /// Moves the files of a complete `piece` to their places in its package's directory, the record last. Files that
    /// are there already are replaced; processes that have one open keep it.
    pub(super) fn put(&self, complete: &Path, package: &Package, piece: &Piece<'_>) -> Result<(), Error> {
        let directory = self.store.directory(package);
        let before = match piece {
            Piece::Plugin(..) => None,
            Piece::Companion(companion, _) => CompanionRecord::read(&directory, companion.name),
        };
        let mut changed = BTreeSet::from([self.store.root.clone()]);
        let members = || piece.members().map(str::to_owned);
        for member in members().chain([piece.record()]) {
            let place = directory.join(&member);
            let parent = place.parent().unwrap_or(&directory);
            fs::create_dir_all(parent).map_err(|source| Error::data_dir(parent, source))?;
            let parents = parent.ancestors().take_while(|ancestor| ancestor.starts_with(&self.store.root));
            changed.extend(parents.map(Path::to_owned));
            fs::rename(complete.join(&member), &place)
                .map_err(|source| Error::io("move into place", &place, source))?;
        }
        // What another version of it had besides. That it stays does no harm.
        for file in before.iter().flat_map(|record| &record.files) {
            if members().all(|member| member != file.path) {
                let _ = fs::remove_file(directory.join(&file.path));
            }
        }
        changed.iter().try_for_each(|directory| sync_directory(directory))
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
