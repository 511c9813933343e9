//! The directory of stored executables.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::entry::Entry;
use super::key::Key;

/// What the names of stored executables end in.
const EXTENSION: &str = "executable";
/// What the names of files in the making begin with.
const IN_THE_MAKING: &str = ".new-";
/// Nobody writes an executable for so long; who began is dead.
const ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);

/// Executables in a directory, which several processes may use at a time.
///
/// Each is a file that appears whole, by being renamed. The time of modification is that of the last use; those not
/// used for longest go first where all of them have more bytes than they may.
#[derive(Clone, Debug)]
pub struct ExecutableStore {
    root: PathBuf,
    max_bytes: u64,
}

/// A file of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredExecutable {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was stored or loaded last.
    pub last_used: SystemTime,
}

/// Why an executable was not stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The plugin does not give it away.
    #[error("the plugin does not serialise it: {0}")]
    Serialize(#[source] Box<lapidary_runtime::Error>),
    /// It alone would exceed the bound.
    #[error("it has {bytes} bytes, and the cache may have {max_bytes}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The bound.
        max_bytes: u64,
    },
    /// The disk is full or read-only, or there is something else in the way.
    #[error("{} cannot be written: {source}", .path.display())]
    Write {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ExecutableStore {
    /// The bound unless another is asked for: 2 GiB. The programs of one model have some megabytes each.
    pub const DEFAULT_MAX_BYTES: u64 = 2 << 30;

    /// A store below the directory `root` that holds at most `max_bytes` of executables. Nothing is created before
    /// there is something to store.
    pub fn new(root: impl Into<PathBuf>, max_bytes: u64) -> Self {
        Self { root: root.into(), max_bytes }
    }

    /// The directory of the executables. It need not exist.
    pub fn directory(&self) -> PathBuf {
        self.root.join("executables")
    }

    /// Most bytes that all executables together may have.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// All stored executables, those not used for longest first.
    ///
    /// # Errors
    /// If there is a directory that cannot be read.
    pub fn list(&self) -> io::Result<Vec<StoredExecutable>> {
        let mut stored: Vec<_> = self.files()?.into_iter().filter(is_executable).collect();
        sort_by_use(&mut stored);
        Ok(stored)
    }

    /// What a file of the store says of itself: the program's name and what compiling took. `None` where it does
    /// not, being damaged or gone.
    pub fn describe(stored: &StoredExecutable) -> Option<(String, Duration)> {
        let mut head = Vec::new();
        File::open(&stored.path).ok()?.take(Entry::SUMMARY_BYTES).read_to_end(&mut head).ok()?;
        Entry::summary(&head)
    }

    /// Removes all executables, and what else the cache remembers. Returns the executables.
    ///
    /// # Errors
    /// If one cannot be removed.
    pub fn clear(&self) -> io::Result<Vec<StoredExecutable>> {
        let (removed, others): (Vec<_>, Vec<_>) = self.files()?.into_iter().partition(is_executable);
        for file in removed.iter().chain(&others) {
            if_there(fs::remove_file(&file.path))?;
        }
        if_there(fs::remove_dir_all(self.library_memo()))?;
        Ok(removed)
    }

    /// Where digests of plugins are remembered.
    pub(super) fn library_memo(&self) -> PathBuf {
        self.root.join("plugin-digests")
    }

    /// The content stored under a key, which counts as a use.
    pub(super) fn read(&self, key: &Key) -> io::Result<Option<Vec<u8>>> {
        let path = self.path(key);
        let content = if_there(fs::read(&path))?;
        if content.is_some() {
            // Where it may only be read, it cannot be evicted from here either.
            let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        }
        Ok(content)
    }

    /// Stores content, given in parts, under a key, replacing what is there. Then evicts what is too much.
    pub(super) fn write(&self, key: &Key, parts: &[&[u8]]) -> Result<(), StoreError> {
        let (bytes, max_bytes) = (parts.iter().map(|part| part.len() as u64).sum(), self.max_bytes);
        if bytes > max_bytes {
            return Err(StoreError::TooLarge { bytes, max_bytes });
        }
        let path = self.path(key);
        write_whole(&path, parts).map_err(|source| StoreError::Write { path: path.clone(), source })?;
        self.evict(&path);
        Ok(())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.directory().join(format!("{key}.{EXTENSION}"))
    }

    /// Removes those not used for longest, but not the newest, until the others fit; and what dead processes left.
    /// A process that reads one meanwhile keeps it, and one that misses it compiles.
    fn evict(&self, newest: &Path) {
        let now = SystemTime::now();
        let is_abandoned = |file: &&StoredExecutable| {
            now.duration_since(file.last_used).is_ok_and(|age| age > ABANDONED_AFTER)
        };
        // Another process may be quicker to remove a file, which comes to the same.
        let remove = |file: &StoredExecutable| fs::remove_file(&file.path).unwrap_or_default();

        let (mut stored, making): (Vec<_>, Vec<_>) =
            self.files().unwrap_or_default().into_iter().partition(is_executable);
        making.iter().filter(is_abandoned).for_each(remove);
        sort_by_use(&mut stored);
        let mut bytes: u64 = stored.iter().map(|file| file.bytes).sum();
        for file in stored.iter().filter(|file| file.path != newest) {
            if bytes <= self.max_bytes {
                break;
            }
            remove(file);
            bytes = bytes.saturating_sub(file.bytes);
        }
    }

    /// The cache's files: executables, finished and in the making.
    fn files(&self) -> io::Result<Vec<StoredExecutable>> {
        let Some(entries) = if_there(fs::read_dir(self.directory()))? else { return Ok(Vec::new()) };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            // Another process may have removed it since.
            let Some(metadata) = if_there(fs::symlink_metadata(&path))? else { continue };
            let named = file_name(&path).starts_with(IN_THE_MAKING)
                || path.extension() == Some(OsStr::new(EXTENSION));
            if metadata.is_file() && named {
                files.push(StoredExecutable { path, bytes: metadata.len(), last_used: metadata.modified()? });
            }
        }
        Ok(files)
    }
}

/// Those not used for longest come first.
fn sort_by_use(stored: &mut [StoredExecutable]) {
    stored.sort_by(|a, b| (a.last_used, &a.path).cmp(&(b.last_used, &b.path)));
}

fn is_executable(file: &StoredExecutable) -> bool {
    !file_name(&file.path).starts_with(IN_THE_MAKING)
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Writes a file that appears whole or not at all, and its directory if need be.
///
/// It is not forced to the disk: what a crash leaves half-written is noticed when it is read.
pub(super) fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new(""));
    create_private(directory)?;
    let mut file = tempfile::Builder::new().prefix(IN_THE_MAKING).tempfile_in(directory)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.persist(path)?;
    Ok(())
}

/// Creates a directory that only the user may write to: what lies there is run as code.
fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}

/// `None` where there is nothing of that name.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
