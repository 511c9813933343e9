//! What can go wrong while plugins are looked for, installed and removed.

use std::io;
use std::path::{Path, PathBuf};

use super::environment::HOME_VARIABLE;
use super::{Candidate, PluginKind};

/// An error of plugin discovery, installation or removal.
///
/// The message says what happened, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that is not a [`PluginKind`].
    #[error("unknown plugin `{name}`; the plugins are cpu, tpu and cuda")]
    UnknownKind {
        /// The name as given.
        name: String,
    },

    /// A library that was asked for by path or by variable cannot be used. Nothing else was tried, since
    /// falling back to another plugin than the one asked for would be a surprise.
    #[error("the {} plugin cannot be used: {candidate}\n  {}", candidate.kind, candidate.advice().unwrap_or_default())]
    Unusable {
        /// The library and what is wrong with it.
        candidate: Box<Candidate>,
    },

    /// No place holds a usable plugin.
    #[error(
        "no {kind} plugin was found. Looked at:\n{}  install it with `lapidary plugin install {kind}`",
        lines(candidates)
    )]
    NotFound {
        /// The plugin looked for.
        kind: PluginKind,
        /// Every place looked at, in order.
        candidates: Vec<Candidate>,
    },

    /// No wheel is published for this machine.
    #[error(
        "there is no {kind} plugin for {os} on {arch}; plugins exist for Linux on x86_64 (cpu, tpu, cuda) and \
         on aarch64 (cpu, cuda). If you have built one, name it with {}=/path/to/plugin.so",
        kind.variables().first().unwrap_or(&"")
    )]
    UnsupportedPlatform {
        /// The plugin asked for.
        kind: PluginKind,
        /// This machine's operating system.
        os: &'static str,
        /// This machine's processor.
        arch: &'static str,
    },

    /// The user has no data directory.
    #[error(
        "cannot tell where to keep plugins: neither HOME nor XDG_DATA_HOME is set. \
         Set {HOME_VARIABLE} to a directory that you may write to"
    )]
    NoDataDir,

    /// The data directory cannot be created or written to.
    #[error(
        "cannot write to Lapidary's data directory: {}: {source}. Make it writable, or set {HOME_VARIABLE} \
         to a directory that you may write to", path.display()
    )]
    DataDirUnwritable {
        /// The directory or the file in it that failed.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// The disk has no room for the plugin. What was written so far has been removed.
    #[error(
        "the disk is full: {}. Nothing was installed; free some space, or set {HOME_VARIABLE} to a \
         directory on another disk", path.display()
    )]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },

    /// The user's Python or its pip is missing.
    #[error(
        "plugins are fetched with Python's pip, and no pip was found:\n{}  install Python 3 with pip (on \
         Debian and Ubuntu: apt install python3-pip; in a virtual environment: python3 -m ensurepip)",
        tried.iter().map(|line| format!("  {line}\n")).collect::<String>()
    )]
    NoPip {
        /// One line for each command tried: what it was, and why it did not do.
        tried: Vec<String>,
    },

    /// pip could not reach the package index.
    #[error(
        "cannot download {wheel}: the package index cannot be reached. Check the network and pip's proxy \
         settings; or fetch that file on another machine and set PIP_FIND_LINKS to the directory that holds \
         it.\npip said:\n{output}"
    )]
    Network {
        /// The wheel's file name.
        wheel: &'static str,
        /// The last lines of pip's output.
        output: String,
    },

    /// The package index answered, and does not offer the pinned version.
    #[error(
        "the package index that pip uses does not offer {wheel}. If pip is set to use a mirror, ask for the \
         package there, or put that file in a directory and set PIP_FIND_LINKS to it.\npip said:\n{output}"
    )]
    NotOffered {
        /// The wheel's file name.
        wheel: &'static str,
        /// The last lines of pip's output.
        output: String,
    },

    /// pip failed for another reason.
    #[error("`{command}` failed ({status}) while downloading {wheel}. pip said:\n{output}")]
    Pip {
        /// The wheel's file name.
        wheel: &'static str,
        /// The pip that was run.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last lines of its output.
        output: String,
    },

    /// The downloaded file is not the pinned one.
    #[error(
        "{wheel} is not the file that this version of Lapidary expects, and was discarded: its SHA-256 is \
         {found}, expected {expected}. If pip is set to use a mirror, the mirror's copy differs"
    )]
    HashMismatch {
        /// The wheel's file name.
        wheel: &'static str,
        /// The pinned SHA-256.
        expected: &'static str,
        /// The SHA-256 of what was downloaded, or what pip said of it.
        found: String,
    },

    /// The wheel cannot be unpacked.
    #[error("cannot unpack {wheel}: {reason}")]
    BadWheel {
        /// The wheel's file name.
        wheel: &'static str,
        /// What is wrong with it.
        reason: String,
    },

    /// The caller asked to stop.
    #[error("the installation was cancelled; nothing was installed")]
    Cancelled,

    /// Another process is changing the installed plugins.
    #[error("cannot remove the {kind} plugin while another process installs one; try again when it is done")]
    Busy {
        /// The plugin that was to be removed.
        kind: PluginKind,
    },

    /// Some other file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done, as it follows "cannot".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// An error from a file operation, with a full disk told apart from the rest.
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Error {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull { path },
            _ => Error::Io { action, path, source },
        }
    }

    /// An error from creating something in the data directory.
    pub(super) fn data_dir(path: &Path, source: io::Error) -> Error {
        match Error::io("write", path, source) {
            Error::Io { path, source, .. } => Error::DataDirUnwritable { path, source },
            full => full,
        }
    }
}

fn lines(candidates: &[Candidate]) -> String {
    candidates.iter().map(|candidate| format!("  {candidate}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = |kind| Error::data_dir(Path::new("/data"), io::Error::from(kind));
        assert!(matches!(full(io::ErrorKind::StorageFull), Error::DiskFull { .. }));
        assert!(matches!(full(io::ErrorKind::QuotaExceeded), Error::DiskFull { .. }));
        assert!(matches!(full(io::ErrorKind::PermissionDenied), Error::DataDirUnwritable { .. }));
    }
}
