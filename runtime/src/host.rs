//! Host memory that a device may read in place.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that stay where they are for as long as their owner lives: a mapped file, a vector, ...
///
/// Implemented for everything that is `AsRef<[u8]>`. The bytes must not change while a buffer made of them
/// exists; for a mapped file that includes changes by other processes.
pub trait HostMemory: Send + Sync + 'static {
    /// The bytes.
    fn bytes(&self) -> &[u8];
}

impl<T: AsRef<[u8]> + Send + Sync + 'static> HostMemory for T {
    fn bytes(&self) -> &[u8] {
        self.as_ref()
    }
}

/// A part of some shared [`HostMemory`].
#[derive(Clone)]
pub struct SharedBytes {
    owner: Arc<dyn HostMemory>,
    range: Range<usize>,
}

impl SharedBytes {
    /// All of `owner`.
    pub fn new(owner: Arc<dyn HostMemory>) -> Self {
        let range = 0..owner.bytes().len();
        Self { owner, range }
    }

    /// The bytes of `range` in `owner`, or `None` if that is not a range within it.
    pub fn slice(owner: Arc<dyn HostMemory>, range: Range<usize>) -> Option<Self> {
        owner.bytes().get(range.clone())?;
        Some(Self { owner, range })
    }

    /// The bytes; empty if the owner has shrunk since.
    pub fn bytes(&self) -> &[u8] {
        self.owner.bytes().get(self.range.clone()).unwrap_or_default()
    }

    pub(crate) fn owner(&self) -> &Arc<dyn HostMemory> {
        &self.owner
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBytes").field("range", &self.range).finish_non_exhaustive()
    }
}
