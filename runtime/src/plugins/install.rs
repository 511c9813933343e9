//! Installing, listing and removing plugins.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::library::{self, Defect};
use super::store::{MANIFEST, Manifest, Store, sync_directory};
use super::{Environment, Error, InstalledPlugin, Package, Platform, PluginKind, download, unpack};

/// How far an installation has come. Reported often; sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another process is changing the installed plugins; we wait for it to finish.
    Waiting,
    /// pip is fetching the wheel.
    Downloading {
        /// Bytes so far.
        bytes: u64,
        /// The wheel's size.
        total: u64,
    },
    /// The wheel's SHA-256 is being computed.
    Verifying {
        /// Bytes so far.
        bytes: u64,
        /// The wheel's size.
        total: u64,
    },
    /// The library is being unpacked.
    Unpacking {
        /// Bytes so far.
        bytes: u64,
        /// The library's size.
        total: u64,
    },
}

/// How to install.
#[derive(Clone, Debug, Default)]
pub struct InstallOptions {
    /// Fetch and unpack again even when a sound installation is there.
    pub force: bool,
    /// Set this to true to stop, from a signal handler, another thread or the progress callback: pip is
    /// killed, everything written is removed, and [`install`] returns [`Error::Cancelled`] within a moment.
    pub cancel: Arc<AtomicBool>,
}

/// Installs the pinned version of a plugin into the user's data directory, or finds it already there.
///
/// The wheel is fetched by the user's own pip, checked against the pinned SHA-256 and unpacked under a lock
/// between processes: of two that install at once, one does the work and the other finds it done. Nothing
/// is left half-installed whatever happens. `progress` is called on the calling thread.
///
/// # Errors
/// See [`Error`]; each says what to do.
pub fn install(
    environment: &Environment,
    kind: PluginKind,
    options: &InstallOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<InstalledPlugin, Error> {
    install_package(environment, Package::pinned(kind), options, progress)
}

/// [`install`], for any package.
pub(super) fn install_package(
    environment: &Environment,
    package: &Package,
    options: &InstallOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<InstalledPlugin, Error> {
    let wheel = Platform::current().and_then(|platform| package.wheel(platform)).ok_or(
        Error::UnsupportedPlatform {
            kind: package.kind,
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
        },
    )?;
    let mut report = |event| {
        progress(event);
        // Afterwards, so that the callback itself may ask to stop.
        if options.cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    };
    let store = Store::of(environment)?;
    let sound = |store: &Store| store.installed(package).ok().filter(|_| !options.force);
    if let Some(plugin) = sound(&store) {
        return Ok(plugin);
    }
    let locked = store.lock(|| report(Progress::Waiting))?;
    // Whoever held the lock before us may have installed it.
    if let Some(plugin) = sound(&store) {
        return Ok(plugin);
    }

    let staging = locked.staging()?;
    let total = wheel.bytes;
    report(Progress::Downloading { bytes: 0, total })?;
    let file = download::download(environment, package, wheel, staging.path(), |bytes| {
        report(Progress::Downloading { bytes, total })
    })?;
    unpack::verify(&file, wheel, |bytes| report(Progress::Verifying { bytes, total }))?;

    let complete = staging.path().join("complete");
    fs::create_dir(&complete).map_err(|source| Error::io("create", &complete, source))?;
    let library_bytes = unpack::unpack(&file, package, wheel, &complete, |bytes, total| {
        report(Progress::Unpacking { bytes, total })
    })?;
    let unfit = |defect: Defect| Error::BadWheel {
        wheel: wheel.file,
        reason: format!("{} in it: {defect}", package.library),
    };
    library::examine(&complete.join(package.library)).map_err(unfit)?;
    write_manifest(complete.join(MANIFEST), &Manifest::now(package, wheel, library_bytes))?;
    sync_directory(&complete)?;
    locked.put(&complete, package, &staging)?;
    store.installed(package).map_err(unfit)
}

fn write_manifest(path: PathBuf, manifest: &Manifest) -> Result<(), Error> {
    let write = |source| Error::io("write", &path, source);
    let text = serde_json::to_string_pretty(manifest).map_err(|error| write(error.into()))?;
    let mut file = File::create_new(&path).map_err(write)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(write)
}

/// Every plugin that Lapidary has installed, of this and of other versions.
pub fn installed(environment: &Environment) -> Result<Vec<InstalledPlugin>, Error> {
    let store = Store::of(environment)?;
    Ok(PluginKind::ALL.iter().flat_map(|kind| store.versions(Package::pinned(*kind))).collect())
}

/// Removes every installed version of a plugin and says which there were. Plugins that came from
/// elsewhere are left alone, and so are processes that have one loaded.
///
/// # Errors
/// [`Error::Busy`] while another process installs a plugin; otherwise what the file system says.
pub fn remove(environment: &Environment, kind: PluginKind) -> Result<Vec<InstalledPlugin>, Error> {
    let store = Store::of(environment)?;
    if !store.holds(kind) {
        return Ok(Vec::new());
    }
    let locked = store.lock(|| Err(Error::Busy { kind }))?;
    let versions = store.versions(Package::pinned(kind));
    locked.remove(kind)?;
    Ok(versions)
}
