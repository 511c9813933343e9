//! Fetching a wheel with the user's own pip, so that their proxies, mirrors and certificates apply.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use super::process::{POLL, Running};
use super::python::Pip;
use super::{Environment, Error, Wheel};

/// How many of pip's last lines an error shows.
const SHOWN_LINES: usize = 12;

/// Downloads the wheel of a `name==version` into `directory` (which is empty) and returns its path. `advance` is
/// called with the bytes so far while pip works, and stops it by returning an error.
pub(super) fn download(
    environment: &Environment,
    pip: &Pip,
    requirement: &str,
    wheel: &'static Wheel,
    directory: &Path,
    mut advance: impl FnMut(u64) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let [requirements, temporary, destination] =
        ["requirements.txt", "temporary", "wheel"].map(|name| directory.join(name));
    for made in [&temporary, &destination] {
        fs::create_dir(made).map_err(|source| Error::io("create", made, source))?;
    }
    fs::write(&requirements, format!("{requirement} --hash=sha256:{}\n", wheel.sha256))
        .map_err(|source| Error::io("write", &requirements, source))?;

    let mut command = pip.command(environment);
    command
        .args(["download", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"])
        // The wheel is kept unpacked in our own store; a second copy in pip's cache would only take room.
        .args(["--no-cache-dir", "--no-deps", "--only-binary", ":all:"])
        // The wheel's tags, not the user's interpreter, decide which file is fetched.
        .args(["--platform", wheel.tag, "--python-version", "3.11", "--implementation", "cp"])
        .args(["--abi", "cp311", "--require-hashes", "--requirement"])
        .arg(&requirements)
        .arg("--dest")
        .arg(&destination)
        // Where pip puts the bytes as they arrive. Watching it grow needs no particular version of pip, and
        // what a killed pip leaves is cleared with the rest.
        .env("TMPDIR", &temporary);
    let mut child =
        Running::start(command).map_err(|error| Error::io("run", Path::new(&pip.shown()), error))?;
    let status = loop {
        let ended = child.ended().map_err(|error| Error::io("wait for", Path::new(&pip.shown()), error))?;
        // Also after the end: Ctrl-C at a terminal reaches pip as well, and that is no failure of pip's.
        advance(largest_file(directory).min(wheel.bytes))?;
        match ended {
            Some(status) => break status,
            None => thread::sleep(POLL),
        }
    };
    if let Some(file) = only_file(&destination).filter(|_| status.success()) {
        return Ok(file);
    }
    let [stdout, stderr] = child.output();
    let said = format!("{stdout}{stderr}");
    Err(match Failure::of(&said) {
        Failure::DiskFull => Error::DiskFull { path: directory.to_owned() },
        Failure::Hash { found } => Error::HashMismatch { wheel: wheel.file, expected: wheel.sha256, found },
        Failure::Network => Error::Network { wheel: wheel.file, output: last_lines(&said) },
        Failure::NotOffered => Error::NotOffered { wheel: wheel.file, output: last_lines(&said) },
        Failure::Other => {
            Error::Pip { wheel: wheel.file, command: pip.shown(), status, output: last_lines(&said) }
        }
    })
}

/// What pip's messages say went wrong.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    DiskFull,
    Hash { found: String },
    Network,
    NotOffered,
    Other,
}

impl Failure {
    /// Phrases of pip, of its HTTP library and of the system, which do not depend on the language set.
    /// Checked in this order, since an unreachable index also ends in "No matching distribution".
    fn of(said: &str) -> Failure {
        const NETWORK: [&str; 8] = [
            "NewConnectionError",
            "ConnectTimeoutError",
            "ReadTimeoutError",
            "ProxyError",
            "SSLError",
            "connection broken by",
            "Max retries exceeded",
            "Temporary failure in name resolution",
        ];
        if said.contains("No space left on device") || said.contains("Disk quota exceeded") {
            Failure::DiskFull
        } else if said.contains("DO NOT MATCH THE HASHES") {
            let found = said.lines().find_map(|line| line.trim().strip_prefix("Got "));
            Failure::Hash { found: found.unwrap_or("another one").trim().to_owned() }
        } else if NETWORK.iter().any(|phrase| said.contains(phrase)) {
            Failure::Network
        } else if said.contains("No matching distribution found") {
            Failure::NotOffered
        } else {
            Failure::Other
        }
    }
}

fn last_lines(said: &str) -> String {
    const RETRYING: &str = "WARNING: Retrying";
    let mut lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.dedup_by(|next, line| next.starts_with(RETRYING) && line.starts_with(RETRYING));
    let tail = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
    tail.iter().map(|line| format!("  {line}\n")).collect::<String>().trim_end().to_owned()
}

/// What pip left in its destination. A mirror may name the file differently; its hash decides what it is.
fn only_file(directory: &Path) -> Option<PathBuf> {
    Some(fs::read_dir(directory).ok()?.next()?.ok()?.path())
}

/// The size of the largest file below a directory that another process is writing to: pip's download is
/// far larger than anything else it keeps there.
fn largest_file(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            Some(if meta.is_dir() { largest_file(&entry.path()) } else { meta.len() })
        })
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pips_messages_are_told_apart() {
        let retry = "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by \
                     'NewConnectionError(...: Failed to establish a new connection: [Errno 111])'\n\
                     ERROR: No matching distribution found for xla-cpu-pjrt==0.0.1";
        assert_eq!(Failure::of(retry), Failure::Network);
        assert_eq!(
            Failure::of("ERROR: No matching distribution found for xla-cpu-pjrt==0.0.1"),
            Failure::NotOffered
        );
        let hash = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n\
                    \x20       Expected sha256 55\n             Got        99\n";
        assert_eq!(Failure::of(hash), Failure::Hash { found: "99".to_owned() });
        assert_eq!(
            Failure::of(
                "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
            ),
            Failure::DiskFull
        );
        assert_eq!(Failure::of("Segmentation fault"), Failure::Other);
    }

    #[test]
    fn only_the_last_lines_are_shown() {
        let said: String = (0..100).map(|n| format!("line {n}\n\n")).collect();
        let shown = last_lines(&said);
        assert_eq!(shown.lines().count(), SHOWN_LINES);
        assert!(shown.ends_with("line 99") && !shown.contains("line 87"), "{shown}");
    }
}
