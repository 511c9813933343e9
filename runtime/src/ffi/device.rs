//! Devices and their memories.

use std::ptr::NonNull;
use std::sync::Arc;

use super::abi::{PjrtDevice, PjrtDeviceDescription, PjrtMemory};
use super::api::{Api, non_null};
use super::client::RawClient;
use super::functions::{
    DeviceAddressableMemories, DeviceDefaultMemory, DeviceDescriptionAttributes,
    DeviceDescriptionDebugString, DeviceDescriptionId, DeviceDescriptionKind, DeviceDescriptionProcessIndex,
    DeviceGetDescription, DeviceIsAddressable, DeviceLocalHardwareId, DeviceMemoryStats, MemoryDebugString,
    MemoryId, MemoryKind,
};
use super::{copy_slice, copy_string, named_value};
use crate::{DeviceDescription, Memory, MemoryStats, Result};

/// A `PJRT_Device`, which its client owns.
#[derive(Clone)]
pub(crate) struct RawDevice {
    client: Arc<RawClient>,
    device: NonNull<PjrtDevice>,
}

// SAFETY: devices are immutable and live as long as the client, which is kept alive.
unsafe impl Send for RawDevice {}
// SAFETY: as above.
unsafe impl Sync for RawDevice {}

impl PartialEq for RawDevice {
    fn eq(&self, other: &Self) -> bool {
        self.device == other.device
    }
}

impl RawDevice {
    /// # Safety
    /// `device` belongs to `client`.
    pub(super) unsafe fn new(client: &Arc<RawClient>, device: NonNull<PjrtDevice>) -> Self {
        Self { client: client.clone(), device }
    }

    pub(super) fn as_ptr(&self) -> *mut PjrtDevice {
        self.device.as_ptr()
    }

    pub(crate) fn client(&self) -> &Arc<RawClient> {
        &self.client
    }

    fn api(&self) -> &Api {
        self.client.api()
    }

    pub(crate) fn description(&self) -> Result<DeviceDescription> {
        let mut args = DeviceGetDescription::new();
        args.device = self.as_ptr();
        // SAFETY: the device is alive, and its description lives as long.
        unsafe {
            self.api().call(&mut args)?;
            let description =
                non_null::<DeviceGetDescription, _>(args.device_description, "device description")?;
            describe(self.api(), description)
        }
    }

    pub(crate) fn is_addressable(&self) -> Result<bool> {
        let mut args = DeviceIsAddressable::new();
        args.device = self.as_ptr();
        // SAFETY: the device is alive.
        unsafe { self.api().call(&mut args)? };
        Ok(args.is_addressable)
    }

    pub(crate) fn local_hardware_id(&self) -> Result<i32> {
        let mut args = DeviceLocalHardwareId::new();
        args.device = self.as_ptr();
        // SAFETY: the device is alive.
        unsafe { self.api().call(&mut args)? };
        Ok(args.local_hardware_id)
    }

    pub(crate) fn default_memory(&self) -> Result<Memory> {
        let mut args = DeviceDefaultMemory::new();
        args.device = self.as_ptr();
        // SAFETY: the device is alive, and the memory lives as long.
        unsafe {
            self.api().call(&mut args)?;
            describe_memory(self.api(), non_null::<DeviceDefaultMemory, _>(args.memory, "memory")?)
        }
    }

    pub(crate) fn memories(&self) -> Result<Vec<Memory>> {
        let mut args = DeviceAddressableMemories::new();
        args.device = self.as_ptr();
        // SAFETY: the device is alive, and its list of memories lives as long.
        unsafe {
            self.api().call(&mut args)?;
            copy_slice(args.memories, args.num_memories)
                .into_iter()
                .map(|memory| {
                    describe_memory(self.api(), non_null::<DeviceAddressableMemories, _>(memory, "memory")?)
                })
                .collect()
        }
    }

    pub(crate) fn memory_stats(&self) -> Result<MemoryStats> {
        let mut args = DeviceMemoryStats::new();
        args.device = self.as_ptr();
        // SAFETY: the device is alive.
        unsafe { self.api().call(&mut args)? };
        Ok(MemoryStats {
            bytes_in_use: args.bytes_in_use,
            peak_bytes_in_use: args.peak_bytes_in_use_is_set.then_some(args.peak_bytes_in_use),
            num_allocs: args.num_allocs_is_set.then_some(args.num_allocs),
            largest_alloc_size: args.largest_alloc_size_is_set.then_some(args.largest_alloc_size),
            bytes_limit: args.bytes_limit_is_set.then_some(args.bytes_limit),
            bytes_reserved: args.bytes_reserved_is_set.then_some(args.bytes_reserved),
            largest_free_block_bytes: args
                .largest_free_block_bytes_is_set
                .then_some(args.largest_free_block_bytes),
        })
    }
}

/// Reads all that a description says.
///
/// # Safety
/// `description` is alive and belongs to `api`'s plugin.
pub(super) unsafe fn describe(
    api: &Api,
    description: NonNull<PjrtDeviceDescription>,
) -> Result<DeviceDescription> {
    let mut id = DeviceDescriptionId::new();
    let mut process_index = DeviceDescriptionProcessIndex::new();
    let mut kind = DeviceDescriptionKind::new();
    let mut debug_string = DeviceDescriptionDebugString::new();
    let mut attributes = DeviceDescriptionAttributes::new();
    id.device_description = description.as_ptr();
    process_index.device_description = description.as_ptr();
    kind.device_description = description.as_ptr();
    debug_string.device_description = description.as_ptr();
    attributes.device_description = description.as_ptr();
    // SAFETY: the description is alive, and what it returns lives as long.
    unsafe {
        api.call(&mut id)?;
        api.call(&mut process_index)?;
        api.call(&mut kind)?;
        api.call(&mut debug_string)?;
        api.call(&mut attributes)?;
        Ok(DeviceDescription {
            id: id.id,
            process_index: process_index.process_index,
            kind: copy_string(kind.device_kind, kind.device_kind_size),
            debug_string: copy_string(debug_string.debug_string, debug_string.debug_string_size),
            attributes: named_value::read_all(attributes.attributes, attributes.num_attributes),
        })
    }
}

/// Reads all that is known of a memory.
///
/// # Safety
/// `memory` is alive and belongs to `api`'s plugin.
pub(super) unsafe fn describe_memory(api: &Api, memory: NonNull<PjrtMemory>) -> Result<Memory> {
    let mut id = MemoryId::new();
    let mut kind = MemoryKind::new();
    let mut debug_string = MemoryDebugString::new();
    id.memory = memory.as_ptr();
    kind.memory = memory.as_ptr();
    debug_string.memory = memory.as_ptr();
    // SAFETY: the memory is alive, and what it returns lives as long.
    unsafe {
        api.call(&mut id)?;
        api.call(&mut kind)?;
        api.call(&mut debug_string)?;
        Ok(Memory {
            id: id.id,
            kind: copy_string(kind.kind, kind.kind_size),
            debug_string: copy_string(debug_string.debug_string, debug_string.debug_string_size),
        })
    }
}
