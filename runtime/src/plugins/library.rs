//! Whether a file can be a plugin for this machine, judged without loading it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::Platform;

/// Why a file cannot be loaded as a plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// There is nothing at the path.
    #[error("there is no such file")]
    Missing,
    /// The path names a directory or a device.
    #[error("not a regular file")]
    NotAFile,
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The file does not begin like an ELF library of 64 bits.
    #[error("not a shared library")]
    NotALibrary,
    /// The library is for another processor.
    #[error("a shared library for another processor than this machine's ({0})")]
    OtherProcessor(Platform),
    /// The file's size is not what was recorded when it was installed.
    #[error("damaged: {found} bytes where {expected} were installed")]
    Damaged {
        /// Size at installation, in bytes.
        expected: u64,
        /// Size now, in bytes.
        found: u64,
    },
}

/// Bytes of an ELF header up to and including `e_machine`.
const ELF_PREFIX: usize = 20;

/// Looks at the file's header. A wrong file named by mistake (a wheel, a text, a library for another
/// processor) is told apart here, because the loader's own message for it is hard to act upon.
pub(super) fn examine(path: &Path) -> Result<(), Defect> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Defect::Missing,
        _ => Defect::Unreadable(error.to_string()),
    };
    // The kind of file is asked before opening, since opening a pipe would wait for its other end.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(Defect::NotAFile);
    }
    let mut header = Vec::with_capacity(ELF_PREFIX);
    File::open(path)
        .and_then(|file| file.take(ELF_PREFIX as u64).read_to_end(&mut header))
        .map_err(unreadable)?;
    let Some(platform) = Platform::current() else { return Ok(()) };
    match header.as_slice() {
        [0x7f, b'E', b'L', b'F', 2, .., low, high] if header.len() == ELF_PREFIX => {
            if u16::from_le_bytes([*low, *high]) == platform.elf_machine() {
                Ok(())
            } else {
                Err(Defect::OtherProcessor(platform))
            }
        }
        _ => Err(Defect::NotALibrary),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;

    use super::*;

    fn examine_bytes(bytes: &[u8]) -> Result<(), Defect> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plugin.so");
        fs::write(&path, bytes).unwrap();
        examine(&path)
    }

    #[test]
    fn this_program_itself_is_for_this_machine() {
        assert_eq!(examine(&std::env::current_exe().unwrap()), Ok(()));
    }

    #[test]
    fn wrong_files_are_told_apart() {
        assert_eq!(examine(Path::new("/nowhere/plugin.so")), Err(Defect::Missing));
        assert_eq!(examine(Path::new("/dev/null")), Err(Defect::NotAFile));
        assert_eq!(examine_bytes(b""), Err(Defect::NotALibrary));
        assert_eq!(examine_bytes(b"PK\x03\x04 a wheel, not what is in it"), Err(Defect::NotALibrary));
        let mut header = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\0\0";
        assert!(matches!(examine_bytes(&header), Err(Defect::OtherProcessor(_))));
        assert_eq!(examine_bytes(&header[..19]), Err(Defect::NotALibrary));
        header[18] = Platform::current().unwrap().elf_machine() as u8;
        assert_eq!(examine_bytes(&header), Ok(()));
    }
}
