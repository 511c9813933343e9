//! The bytes that tensors lie in.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::{Mmap, UncheckedAdvice};

/// A whole file of weights, mapped or in memory. Shared by the tensors in it, and by whoever keeps one of them
/// without a copy (as `Arc<dyn AsRef<[u8]> + Send + Sync>`).
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Mapped(Mmap),
    Memory(Cow<'static, [u8]>),
}

impl Source {
    /// Maps the file at `path`. Should another process truncate it while it is mapped, touching the lost pages
    /// raises SIGBUS, as with every mapped file.
    pub(crate) fn map(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        // SAFETY: the mapping is read-only. Other processes may change the file under us, which is the usual
        // caveat of mapped files: bytes are only ever read as numbers, for which any bit pattern is valid.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self { path: path.to_owned(), data: Data::Mapped(map) })
    }

    /// A file's content that is in memory already; `name` stands for its path in messages.
    pub(crate) fn memory(name: &str, bytes: Cow<'static, [u8]>) -> Self {
        Self { path: PathBuf::from(name), data: Data::Memory(bytes) }
    }

    /// The file, or the name that stands for it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole content.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Mapped(map) => map,
            Data::Memory(bytes) => bytes,
        }
    }

    /// Maps the pages under `range` before they are touched, reading those that are not in memory, so that no fault
    /// interrupts who reads them then. It takes as long as that takes.
    ///
    /// # Errors
    /// If the system cannot (Linux can since 5.14); nothing is lost by it.
    pub fn populate(&self, range: Range<usize>) -> io::Result<()> {
        match &self.data {
            Data::Mapped(map) => populate(map, range),
            Data::Memory(_) => Ok(()),
        }
    }

    /// Lets go of the physical pages under `range`, so that a copied tensor does not stay resident as well.
    /// They are read again from the file if touched again. Best effort, and nothing for memory.
    pub fn release(&self, range: Range<usize>) {
        match &self.data {
            Data::Mapped(map) => {
                if range.is_empty() || range.end > map.len() {
                    return;
                }
                // SAFETY: the mapping is shared, read-only and backed by a file, so a dropped page comes back
                // from it with the same content; no write can be lost.
                let advised = unsafe {
                    map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len())
                };
                // Advice that the system declines costs memory, not correctness.
                advised.ok();
            }
            Data::Memory(_) => {}
        }
    }
}

#[cfg(target_os = "linux")]
fn populate(map: &Mmap, range: Range<usize>) -> io::Result<()> {
    if range.is_empty() || range.end > map.len() {
        return Ok(());
    }
    map.advise_range(memmap2::Advice::PopulateRead, range.start, range.len())
}

#[cfg(not(target_os = "linux"))]
fn populate(_: &Mmap, _: Range<usize>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl AsRef<[u8]> for Source {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}
