//! Installing, listing and removing plugins.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::library::{self, Defect};
use super::piece::Piece;
use super::python::Pip;
use super::store::{Locked, Store, sync_directory};
use super::{Environment, Error, InstalledPlugin, Package, PluginKind, Use, download, unpack};

/// How far the installation of a package has come. Reported often; sizes are in bytes.
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
    /// The files that are kept are being unpacked.
    Unpacking {
        /// Bytes so far.
        bytes: u64,
        /// Their size.
        total: u64,
    },
}

/// How far an installation has come that may be of several packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The package that is being installed.
    pub package: &'static str,
    /// Which of those that are missing it is, from 1.
    pub number: usize,
    /// How many are missing.
    pub of: usize,
    /// How far it has come.
    pub progress: Progress,
}

/// A package that is to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Its name.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The size of its wheel in bytes.
    pub bytes: u64,
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

/// Installs the pinned version of a plugin, with all that it needs to run programs, into the user's data directory;
/// or finds it already there. See [`install_for`].
///
/// # Errors
/// See [`Error`]; each says what to do.
pub fn install(
    environment: &Environment,
    kind: PluginKind,
    options: &InstallOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<InstalledPlugin, Error> {
    install_for(environment, kind, Use::Run, options, &mut |step| progress(step.progress))
}

/// Installs the pinned version of a plugin, and of the packages without which it is of no use for what it is wanted
/// for, into the user's data directory. What is there already is not fetched again.
///
/// The wheels are fetched by the user's own pip, checked against the pinned SHA-256 and unpacked under a lock
/// between processes: of two that install at once, one does the work and the other finds it done. A package is there
/// as a whole or not at all, whatever happens, and the plugin after its companions; a second call goes on where
/// the first was ended. `progress` is called on the calling thread.
///
/// # Errors
/// See [`Error`]; each says what to do.
pub fn install_for(
    environment: &Environment,
    kind: PluginKind,
    wanted: Use,
    options: &InstallOptions,
    progress: &mut dyn FnMut(Step),
) -> Result<InstalledPlugin, Error> {
    install_package(environment, Package::pinned(kind), wanted, options, progress)
}

/// What [`install_for`] would fetch, in its order.
///
/// # Errors
/// [`Error::UnsupportedPlatform`] and [`Error::NoDataDir`].
pub fn to_fetch(
    environment: &Environment,
    kind: PluginKind,
    wanted: Use,
    force: bool,
) -> Result<Vec<Fetch>, Error> {
    let package = Package::pinned(kind);
    let store = Store::of(environment)?;
    let pieces = Piece::of(package, wanted)?.into_iter();
    let missing = pieces.filter(|piece| force || !store.is_sound(package, piece));
    Ok(missing
        .map(|piece| Fetch { package: piece.name(), version: piece.version(), bytes: piece.wheel().bytes })
        .collect())
}

/// [`install_for`], for any package.
pub(super) fn install_package(
    environment: &Environment,
    package: &Package,
    wanted: Use,
    options: &InstallOptions,
    progress: &mut dyn FnMut(Step),
) -> Result<InstalledPlugin, Error> {
    let pieces = Piece::of(package, wanted)?;
    let mut report = |step: Step| {
        progress(step);
        // Afterwards, so that the callback itself may ask to stop.
        if options.cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    };
    let store = Store::of(environment)?;
    let unfit = |defect: Defect| Error::BadWheel {
        wheel: package.name,
        reason: format!("{}: {defect}", package.library),
    };
    let missing = || -> Vec<&Piece<'_>> {
        pieces.iter().filter(|piece| options.force || !store.is_sound(package, piece)).collect()
    };
    let before = missing();
    if before.is_empty() {
        return store.installed(package).map_err(unfit);
    }
    let waiting = Step { package: package.name, number: 1, of: before.len(), progress: Progress::Waiting };
    let locked = store.lock(|| report(waiting))?;
    // Whoever held the lock before us may have installed them.
    let missing = missing();
    if !missing.is_empty() {
        let pip = Pip::find(environment)?;
        for (index, piece) in missing.iter().enumerate() {
            let mut report = |progress| {
                report(Step { package: piece.name(), number: index + 1, of: missing.len(), progress })
            };
            install_piece(environment, &pip, &locked, package, piece, &mut report)?;
        }
    }
    store.installed(package).map_err(unfit)
}

fn install_piece(
    environment: &Environment,
    pip: &Pip,
    locked: &Locked<'_>,
    package: &Package,
    piece: &Piece<'_>,
    report: &mut dyn FnMut(Progress) -> Result<(), Error>,
) -> Result<(), Error> {
    let wheel = piece.wheel();
    let total = wheel.bytes;
    let staging = locked.staging()?;
    report(Progress::Downloading { bytes: 0, total })?;
    let requirement = format!("{}=={}", piece.name(), piece.version());
    let file = download::download(environment, pip, &requirement, wheel, staging.path(), |bytes| {
        report(Progress::Downloading { bytes, total })
    })?;
    unpack::verify(&file, wheel, |bytes| report(Progress::Verifying { bytes, total }))?;

    let complete = staging.path().join("complete");
    fs::create_dir(&complete).map_err(|source| Error::io("create", &complete, source))?;
    let members: Vec<_> = piece.members().collect();
    unpack::unpack(&file, &members, wheel, &complete, |bytes, total| {
        report(Progress::Unpacking { bytes, total })
    })?;
    if let Piece::Plugin(package, _) = piece {
        library::examine(&complete.join(package.library)).map_err(|defect| Error::BadWheel {
            wheel: wheel.file,
            reason: format!("{} in it: {defect}", package.library),
        })?;
    }
    piece.write_record(&complete)?;
    sync_directory(&complete)?;
    locked.put(&complete, package, piece)
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
