//! Devices, their memories, and what is known of them.

use std::fmt;
use std::sync::Arc;

use crate::ffi::device::RawDevice;
use crate::{Attributes, Error, Result};

/// What a plugin says of a device, which need not be present.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceDescription {
    /// Id of the device, unique across all processes.
    pub id: i32,
    /// Process that the device is attached to.
    pub process_index: i32,
    /// Kind of device as the vendor names it, e.g. `TPU v5p`.
    pub kind: String,
    /// A full description, for logs.
    pub debug_string: String,
    /// Attributes of the platform, e.g. `coords` on a TPU.
    pub attributes: Attributes,
}

/// A memory that a device can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Id, unique among the client's memories.
    pub id: i32,
    /// Kind, e.g. `device`, `pinned_host` or `unpinned_host`.
    pub kind: String,
    /// A full description, for logs.
    pub debug_string: String,
}

/// Use of a device's memory, in bytes. What a platform does not report is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryStats {
    /// Bytes in use.
    pub bytes_in_use: i64,
    /// Most bytes ever in use.
    pub peak_bytes_in_use: Option<i64>,
    /// Number of allocations.
    pub num_allocs: Option<i64>,
    /// Largest single allocation.
    pub largest_alloc_size: Option<i64>,
    /// Upper limit of what can be allocated.
    pub bytes_limit: Option<i64>,
    /// Bytes reserved.
    pub bytes_reserved: Option<i64>,
    /// Largest free block.
    pub largest_free_block_bytes: Option<i64>,
}

/// A device of a [`Client`](crate::Client). Clones are cheap and keep the client alive.
#[derive(Clone)]
pub struct Device {
    raw: RawDevice,
    info: Arc<DeviceInfo>,
}

struct DeviceInfo {
    description: DeviceDescription,
    addressable: bool,
}

impl Device {
    pub(crate) fn new(raw: RawDevice) -> Result<Self> {
        let info = DeviceInfo { description: raw.description()?, addressable: raw.is_addressable()? };
        Ok(Self { raw, info: Arc::new(info) })
    }

    pub(crate) fn raw(&self) -> &RawDevice {
        &self.raw
    }

    /// Global id, unique across all processes. Device assignments use it.
    pub fn id(&self) -> i32 {
        self.info.description.id
    }

    /// What the plugin says of the device.
    pub fn description(&self) -> &DeviceDescription {
        &self.info.description
    }

    /// Whether this process can use the device.
    pub fn is_addressable(&self) -> bool {
        self.info.addressable
    }

    /// The hardware's own number of the device on this host, if it has one.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn local_hardware_id(&self) -> Result<Option<i32>> {
        Ok(Some(self.raw.local_hardware_id()?).filter(|&id| id >= 0))
    }

    /// The memory that arrays on this device lie in by default.
    ///
    /// # Errors
    /// [`Error::NotAddressable`], or if the plugin fails.
    pub fn default_memory(&self) -> Result<Memory> {
        self.require_addressable()?;
        self.raw.default_memory()
    }

    /// All memories that the device can address.
    ///
    /// # Errors
    /// [`Error::NotAddressable`], or if the plugin fails.
    pub fn memories(&self) -> Result<Vec<Memory>> {
        self.require_addressable()?;
        self.raw.memories()
    }

    /// Use of the device's memory; `None` where the platform does not count it, as on CPU.
    ///
    /// # Errors
    /// [`Error::NotAddressable`], or if the plugin fails.
    pub fn memory_stats(&self) -> Result<Option<MemoryStats>> {
        self.require_addressable()?;
        match self.raw.memory_stats() {
            Err(error) if error.is_unsupported() => Ok(None),
            stats => stats.map(Some),
        }
    }

    pub(crate) fn require_addressable(&self) -> Result<()> {
        if self.info.addressable {
            return Ok(());
        }
        let DeviceDescription { id, process_index, .. } = self.info.description;
        Err(Error::NotAddressable { id, process_index })
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.info.description.debug_string)
    }
}
