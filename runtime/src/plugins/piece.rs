//! One wheel of an installation: what is fetched, and what is kept of it.

use std::path::Path;

use super::record::{CompanionRecord, MANIFEST, Manifest};
use super::{Companion, Error, Package, Platform, Use, Wheel};

/// A wheel to install, of a plugin's package or of a companion's.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    /// The plugin.
    Plugin(&'a Package, &'static Wheel),
    /// What it needs beside itself.
    Companion(&'static Companion, &'static Wheel),
}

impl<'a> Piece<'a> {
    /// The wheels that this machine needs of a package, in the order in which they are to be installed.
    ///
    /// The plugin comes last: where it is found, its companions are there, and as long as it is not, one of a Python
    /// environment serves as before.
    pub(super) fn of(package: &'a Package, wanted: Use) -> Result<Vec<Piece<'a>>, Error> {
        let unsupported = || Error::UnsupportedPlatform {
            kind: package.kind,
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
        };
        let platform = Platform::current().ok_or_else(unsupported)?;
        let mut pieces = Vec::new();
        for companion in package.companions_for(wanted) {
            let wheel = companion.wheel(platform).ok_or_else(unsupported)?;
            pieces.push(Piece::Companion(companion, wheel));
        }
        pieces.push(Piece::Plugin(package, package.wheel(platform).ok_or_else(unsupported)?));
        Ok(pieces)
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Piece::Plugin(package, _) => package.name,
            Piece::Companion(companion, _) => companion.name,
        }
    }

    pub(super) fn version(&self) -> &'static str {
        match self {
            Piece::Plugin(package, _) => package.version,
            Piece::Companion(companion, _) => companion.version,
        }
    }

    pub(super) fn wheel(&self) -> &'static Wheel {
        match self {
            Piece::Plugin(_, wheel) | Piece::Companion(_, wheel) => wheel,
        }
    }

    /// What is kept of the wheel, licence texts first.
    pub(super) fn members(&self) -> impl Iterator<Item = &'static str> {
        let (notices, files, library) = match self {
            Piece::Plugin(package, _) => (package.notices, &[][..], Some(package.library)),
            Piece::Companion(companion, _) => (companion.notices, companion.files, None),
        };
        notices.iter().chain(files).copied().chain(library)
    }

    /// Where the record of its installation lies, below the directory of the plugin's version.
    pub(super) fn record(&self) -> String {
        match self {
            Piece::Plugin(..) => MANIFEST.to_owned(),
            Piece::Companion(companion, _) => CompanionRecord::path(companion.name),
        }
    }

    /// Writes the record of files that have been unpacked into `directory`.
    pub(super) fn write_record(&self, directory: &Path) -> Result<(), Error> {
        match self {
            Piece::Plugin(package, wheel) => Manifest::now(package, wheel, directory)?.write(directory),
            Piece::Companion(companion, wheel) => {
                CompanionRecord::now(companion, wheel, directory)?.write(directory)
            }
        }
    }
}
