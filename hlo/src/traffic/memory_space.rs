//! Which memory spaces are the device's main memory.

use serde::Serialize;

/// The space of pinned host memory, on every platform.
const HOST: i64 = 5;

/// What the numbers of memory spaces mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemorySpaces {
    /// Of a TPU: 0 is HBM. The others are on the chip (VMEM is 1, CMEM of a v4 is 3, semaphores are 2, scalar memory
    /// is 6) or the host's.
    #[default]
    Tpu,
    /// Of a GPU or CPU: all memory of the device is one; numbers other than 0 say only how it is allocated.
    Uniform,
}

impl MemorySpaces {
    /// Whether this space is the device's main memory.
    pub(crate) fn is_main_memory(self, space: i64) -> bool {
        match self {
            Self::Tpu => space == 0,
            Self::Uniform => space != HOST,
        }
    }
}
