//! The form of a stored executable.
//!
//! ```text
//! bytes  what
//!     8  magic
//!     4  version of the form
//!    32  key
//!    32  SHA-256 of all that follows
//!     8  what compiling took, in microseconds
//!     4  length of the name
//!     4  length of the parameters
//!     8  length of the executable
//!     -  name of the program, for people
//!     -  its parameters
//!     -  the executable as the plugin wrote it
//! ```
//!
//! Numbers are little-endian.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::key::Key;

const MAGIC: &[u8; 8] = b"LAPIEXEC";
const VERSION: u32 = 2;
/// Longer names are cut, so that whoever asks for one reads little.
const MAX_NAME_BYTES: usize = 512;

/// An executable with what is known of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry<'b> {
    /// What people know the program by.
    pub(super) name: &'b str,
    /// What compiling took.
    pub(super) compile_time: Duration,
    /// Its [parameters](super::parameters).
    pub(super) parameters: &'b [u8],
    /// The executable as the plugin wrote it.
    pub(super) executable: &'b [u8],
}

/// What is wrong with a stored executable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Defect {
    /// Another kind of file.
    #[error("it is no executable of this cache")]
    Foreign,
    /// Of another version of this program.
    #[error("its form is version {0}, not {VERSION}")]
    Version(u32),
    /// Stored under a name that is not its own.
    #[error("it is another program's")]
    OtherKey,
    /// Shorter or longer than it says.
    #[error("its length is not what it says")]
    Length,
    /// Changed after it was written.
    #[error("its checksum does not match")]
    Checksum,
}

impl<'b> Entry<'b> {
    /// The first so many bytes hold what [`summary`](Self::summary) reads.
    pub(super) const SUMMARY_BYTES: u64 = 1024;

    /// All that comes before the executable.
    pub(super) fn head(&self, key: &Key) -> Vec<u8> {
        let micros = u64::try_from(self.compile_time.as_micros()).unwrap_or(u64::MAX);
        let mut name_len = self.name.len().min(MAX_NAME_BYTES);
        while !self.name.is_char_boundary(name_len) {
            name_len -= 1;
        }
        let (name, _) = self.name.split_at(name_len);
        let mut summary = Vec::new();
        summary.extend(micros.to_le_bytes());
        summary.extend((name_len as u32).to_le_bytes());
        summary.extend((self.parameters.len() as u32).to_le_bytes());
        summary.extend((self.executable.len() as u64).to_le_bytes());
        summary.extend(name.as_bytes());
        summary.extend(self.parameters);
        let checksum = Sha256::new().chain_update(&summary).chain_update(self.executable).finalize();
        [&MAGIC[..], &VERSION.to_le_bytes(), key.as_bytes(), &checksum, &summary].concat()
    }

    /// Reads an entry and checks all of it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(bytes: &'b [u8], key: &Key) -> Result<Self, Defect> {
        let mut rest = bytes;
        let envelope = Envelope::take(&mut rest)?;
        if &envelope.key != key.as_bytes() {
            return Err(Defect::OtherKey);
        }
        let checked = rest;
        let Summary { name, compile_time, parameters_len, executable_len } =
            Summary::take(&mut rest).ok_or(Defect::Length)?;
        let (parameters, executable) = rest.split_at_checked(parameters_len).ok_or(Defect::Length)?;
        if usize::try_from(executable_len).ok() != Some(executable.len()) {
            return Err(Defect::Length);
        }
        if envelope.checksum != <[u8; 32]>::from(Sha256::digest(checked)) {
            return Err(Defect::Checksum);
        }
        Ok(Self { name, compile_time, parameters, executable })
    }

    /// The name and what compiling took, unchecked, from the first bytes of an entry.
    pub(super) fn summary(mut head: &[u8]) -> Option<(String, Duration)> {
        Envelope::take(&mut head).ok()?;
        let Summary { name, compile_time, .. } = Summary::take(&mut head)?;
        Some((name.to_owned(), compile_time))
    }
}

/// What comes before all that the checksum is of.
struct Envelope {
    key: [u8; Key::BYTES],
    checksum: [u8; 32],
}

impl Envelope {
    fn take(rest: &mut &[u8]) -> Result<Self, Defect> {
        if &take::<8>(rest).ok_or(Defect::Foreign)? != MAGIC {
            return Err(Defect::Foreign);
        }
        let version = u32::from_le_bytes(take(rest).ok_or(Defect::Length)?);
        if version != VERSION {
            return Err(Defect::Version(version));
        }
        let (key, checksum) = take(rest).zip(take(rest)).ok_or(Defect::Length)?;
        Ok(Self { key, checksum })
    }
}

/// What comes between the checksum and the parameters.
struct Summary<'b> {
    name: &'b str,
    compile_time: Duration,
    parameters_len: usize,
    executable_len: u64,
}

impl<'b> Summary<'b> {
    fn take(rest: &mut &'b [u8]) -> Option<Self> {
        let micros = u64::from_le_bytes(take(rest)?);
        let name_len = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
        let parameters_len = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
        let executable_len = u64::from_le_bytes(take(rest)?);
        let (name, tail) = rest.split_at_checked(name_len)?;
        *rest = tail;
        let name = std::str::from_utf8(name).ok()?;
        let compile_time = Duration::from_micros(micros);
        Some(Self { name, compile_time, parameters_len, executable_len })
    }
}

/// The next `N` bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::super::key::KeyHasher;
    use super::*;

    const ENTRY: Entry<'_> = Entry {
        name: "decode",
        compile_time: Duration::from_millis(1500),
        parameters: b"[]",
        executable: b"code",
    };

    fn key(name: &str) -> Key {
        KeyHasher::default().ingredient("name", name).finish()
    }

    fn stored() -> Vec<u8> {
        [&ENTRY.head(&key("a")), ENTRY.executable].concat()
    }

    #[test]
    fn what_was_written_is_read() {
        let stored = stored();
        assert_eq!(Entry::read(&stored, &key("a")), Ok(ENTRY));
        let summary = Some((ENTRY.name.to_owned(), ENTRY.compile_time));
        assert_eq!(Entry::summary(&stored[..stored.len() - 6]), summary);
        assert_eq!(Entry::summary(&stored[..90]), None);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = Entry { name: &"é".repeat(1000), ..ENTRY };
        let stored = [&long.head(&key("a")), ENTRY.executable].concat();
        let head = &stored[..stored.len().min(Entry::SUMMARY_BYTES as usize)];
        assert_eq!(Entry::summary(head).unwrap().0, "é".repeat(MAX_NAME_BYTES / 2));
        assert_eq!(Entry::read(&stored, &key("a")).unwrap().executable, b"code");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let stored = stored();
        for bit in 0..8 * stored.len() {
            let mut damaged = stored.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Entry::read(&damaged, &key("a")).is_err(), "bit {bit}");
        }
        let mut damaged = stored.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(Entry::read(&damaged, &key("a")), Err(Defect::Checksum));
    }

    #[test]
    fn every_other_length_is_noticed() {
        let stored = stored();
        for length in 0..stored.len() {
            assert!(Entry::read(&stored[..length], &key("a")).is_err(), "{length} bytes");
        }
        assert_eq!(Entry::read(&stored[..stored.len() - 1], &key("a")), Err(Defect::Length));
        assert_eq!(Entry::read(&[&stored[..], b"x"].concat(), &key("a")), Err(Defect::Length));
    }

    #[test]
    fn other_files_are_told_apart() {
        assert_eq!(Entry::read(b"", &key("a")), Err(Defect::Foreign));
        assert_eq!(Entry::read(&[b'x'; 200], &key("a")), Err(Defect::Foreign));
        assert_eq!(Entry::read(&stored(), &key("b")), Err(Defect::OtherKey));
        let mut later = stored();
        later[MAGIC.len()] += 1;
        assert_eq!(Entry::read(&later, &key("a")), Err(Defect::Version(VERSION + 1)));
    }
}
