//! Checking a wheel against its pin and taking the plugin out of it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use super::store::sync_directory;
use super::{Error, Wheel};

/// Bytes moved between two reports of progress.
const CHUNK: usize = 1 << 20;

/// Compares the file's SHA-256 with the pinned one. pip has done so too; this does not rely on it.
pub(super) fn verify(
    path: &Path,
    wheel: &'static Wheel,
    mut advance: impl FnMut(u64) -> Result<(), Error>,
) -> Result<(), Error> {
    let read = |source| Error::io("read", path, source);
    let mut file = File::open(path).map_err(read)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut done = 0;
    loop {
        let count = file.read(&mut chunk).map_err(read)?;
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        done += bytes.len() as u64;
        advance(done)?;
    }
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == wheel.sha256 {
        Ok(())
    } else {
        Err(Error::HashMismatch { wheel: wheel.file, expected: wheel.sha256, found })
    }
}

/// Unpacks the named `members` into `directory`, at the paths that they have in the wheel, and forces them to the
/// disk. `advance` is told bytes done and in all.
///
/// Only members named by the pin are read and they are written at the paths of the pin, so no name inside
/// the archive can lead outside `directory`.
pub(super) fn unpack(
    path: &Path,
    members: &[&str],
    wheel: &'static Wheel,
    directory: &Path,
    mut advance: impl FnMut(u64, u64) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = File::open(path).map_err(|source| Error::io("read", path, source))?;
    let mut archive = ZipArchive::new(file).map_err(|error| bad(wheel, &error))?;
    let mut total = 0;
    for member in members {
        total += open_member(&mut archive, member, wheel)?.size();
    }
    let mut done = 0;
    for member in members {
        done = unpack_member(&mut archive, member, wheel, directory, done, |done| advance(done, total))?;
    }
    Ok(())
}

/// A member that is a file.
fn open_member<'a>(
    archive: &'a mut ZipArchive<File>,
    name: &str,
    wheel: &'static Wheel,
) -> Result<ZipFile<'a, File>, Error> {
    let member = archive.by_name(name).map_err(|error| match error {
        ZipError::FileNotFound => {
            Error::BadWheel { wheel: wheel.file, reason: format!("it holds no {name}") }
        }
        other => bad(wheel, &other),
    })?;
    if member.is_file() {
        return Ok(member);
    }
    Err(Error::BadWheel { wheel: wheel.file, reason: format!("{name} in it is not a regular file") })
}

/// Unpacks a member; `done` bytes of others have been unpacked before. Returns the bytes that then have.
fn unpack_member(
    archive: &mut ZipArchive<File>,
    name: &str,
    wheel: &'static Wheel,
    directory: &Path,
    mut done: u64,
    mut advance: impl FnMut(u64) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut member = open_member(archive, name, wheel)?;
    let target = directory.join(name);
    let parent = target.parent().unwrap_or(directory);
    fs::create_dir_all(parent).map_err(|source| Error::io("create", parent, source))?;
    let mut output = File::create_new(&target).map_err(|source| Error::io("create", &target, source))?;

    let mut chunk = vec![0; CHUNK];
    loop {
        let count = match member.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(Error::BadWheel { wheel: wheel.file, reason: format!("{name} in it: {error}") });
            }
        };
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        output.write_all(bytes).map_err(|source| Error::io("write", &target, source))?;
        done += bytes.len() as u64;
        advance(done)?;
    }
    set_executable(&output, member.unix_mode())
        .map_err(|source| Error::io("make executable", &target, source))?;
    output.sync_all().map_err(|source| Error::io("write to disk", &target, source))?;
    for ancestor in parent.ancestors().take_while(|ancestor| ancestor.starts_with(directory)) {
        sync_directory(ancestor)?;
    }
    Ok(done)
}

/// Makes a file executable for everybody if the archive says that it is for its owner.
fn set_executable(file: &File, mode: Option<u32>) -> io::Result<()> {
    #[cfg(unix)]
    if mode.is_some_and(|mode| mode & 0o100 != 0) {
        use std::os::unix::fs::PermissionsExt;
        let mut permissions = file.metadata()?.permissions();
        permissions.set_mode(permissions.mode() | 0o111);
        file.set_permissions(permissions)?;
    }
    Ok(())
}

fn bad(wheel: &Wheel, error: &ZipError) -> Error {
    Error::BadWheel { wheel: wheel.file, reason: error.to_string() }
}
