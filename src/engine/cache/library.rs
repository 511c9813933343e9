//! A plugin's library, by its content.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::key::{Key, KeyHasher};
use super::store::write_whole;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// The SHA-256 of a library in hexadecimal digits.
///
/// Libraries have hundreds of megabytes. So the digest is remembered in the directory `memo`, under the file's
/// path, size, place on the disk and times, which change with its content.
pub(super) fn library_digest(path: &Path, memo: &Path) -> io::Result<String> {
    let path = path.canonicalize()?;
    let note = memo.join(identity(&path, &path.metadata()?).to_string());
    if let Ok(digest) = fs::read_to_string(&note)
        && is_digest(&digest)
    {
        return Ok(digest);
    }
    let digest = content_digest(&path)?;
    // Where it cannot be remembered, it takes a moment at every start; that executables cannot be stored there
    // either will be told.
    let _ = write_whole(&note, &[digest.as_bytes()]);
    Ok(digest)
}

fn identity(path: &Path, metadata: &Metadata) -> Key {
    let key = KeyHasher::default()
        .ingredient("path", path.as_os_str().as_encoded_bytes())
        .ingredient("size", metadata.len().to_le_bytes());
    place_and_times(metadata)
        .iter()
        .fold(key, |key, number| key.ingredient("", number.to_le_bytes()))
        .finish()
}

/// The time of change is among them, which cannot be set as that of modification can.
#[cfg(unix)]
fn place_and_times(metadata: &Metadata) -> Vec<i128> {
    use std::os::unix::fs::MetadataExt;
    let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
    let place = [metadata.dev(), metadata.ino()];
    place.into_iter().map(i128::from).chain(times.into_iter().map(i128::from)).collect()
}

#[cfg(not(unix))]
fn place_and_times(metadata: &Metadata) -> Vec<i128> {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    modified.and_then(|time| i128::try_from(time.as_nanos()).ok()).into_iter().collect()
}

fn is_digest(text: &str) -> bool {
    text.len() == 2 * Key::BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The same, read in full.
pub(super) fn content_digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => hasher.update(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only note in a directory.
    fn note(memo: &Path) -> std::path::PathBuf {
        let notes: Vec<_> = fs::read_dir(memo).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [note] = &notes[..] else { panic!("{notes:?}") };
        note.clone()
    }

    #[test]
    fn a_digest_is_that_of_the_content_and_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let (library, memo) = (directory.path().join("plugin.so"), directory.path().join("memo"));
        fs::write(&library, "abc").unwrap();
        let digest = library_digest(&library, &memo).unwrap();
        assert!(digest.starts_with("ba7816bf8f01cfea"), "that of abc: {digest}");
        // A note that says otherwise is believed, which shows that the file is not read again.
        let noted = "0".repeat(64);
        fs::write(note(&memo), &noted).unwrap();
        assert_eq!(library_digest(&library, &memo).unwrap(), noted);
        // One that is no digest is not.
        fs::write(note(&memo), "0".repeat(63)).unwrap();
        assert_eq!(library_digest(&library, &memo).unwrap(), digest);
        assert_eq!(fs::read_to_string(note(&memo)).unwrap(), digest);
    }

    #[test]
    fn a_library_that_was_replaced_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let (library, memo) = (directory.path().join("plugin.so"), directory.path().join("memo"));
        fs::write(&library, "abc").unwrap();
        let before = library_digest(&library, &memo).unwrap();
        // Of the same size, with the same time of modification, as an archive may restore it.
        let modified = library.metadata().unwrap().modified().unwrap();
        let other = directory.path().join("other");
        fs::write(&other, "abd").unwrap();
        File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
        fs::rename(&other, &library).unwrap();
        assert_ne!(library_digest(&library, &memo).unwrap(), before);
    }

    #[test]
    fn a_digest_needs_no_memory() {
        let directory = tempfile::tempdir().unwrap();
        let library = directory.path().join("plugin.so");
        fs::write(&library, "abc").unwrap();
        // A file is where the directory should be.
        assert!(library_digest(&library, &library).unwrap().starts_with("ba7816bf"));
        assert!(library_digest(&directory.path().join("none.so"), &library).is_err());
    }
}
