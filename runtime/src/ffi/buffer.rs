//! Buffers: arrays on a device.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use super::abi::{BufferTypeCode, MEMORY_LAYOUT_TILED, MemoryLayout, MemoryLayoutTiled, PjrtBuffer};
use super::api::{Api, non_null};
use super::client::RawClient;
use super::copy_slice;
use super::device::{RawDevice, describe_memory};
use super::event::RawEvent;
use super::functions::{
    Arguments, BufferCopyToDevice, BufferDelete, BufferDestroy, BufferDevice, BufferDimensions,
    BufferElementType, BufferIsDeleted, BufferMemory, BufferOnDeviceSizeInBytes, BufferReadyEvent,
    BufferToHostBuffer, BufferUnsafePointer,
};
use crate::{ElementType, Error, Memory, Result, Shape};

/// An owned `PJRT_Buffer`.
pub(crate) struct RawBuffer {
    client: Arc<RawClient>,
    buffer: NonNull<PjrtBuffer>,
}

// SAFETY: PJRT buffers are thread-safe.
unsafe impl Send for RawBuffer {}
// SAFETY: as above.
unsafe impl Sync for RawBuffer {}

impl Drop for RawBuffer {
    fn drop(&mut self) {
        let mut args = BufferDestroy::new();
        args.buffer = self.as_ptr();
        // SAFETY: owned and not used again; the plugin keeps the memory while work in flight uses it. A
        // failure to free leaves nothing to be done.
        let _ = unsafe { self.api().call(&mut args) };
    }
}

impl RawBuffer {
    /// # Safety
    /// `buffer` is a live buffer of `client` that nothing else owns.
    pub(super) unsafe fn new(client: &Arc<RawClient>, buffer: NonNull<PjrtBuffer>) -> Self {
        Self { client: client.clone(), buffer }
    }

    pub(super) fn as_ptr(&self) -> *mut PjrtBuffer {
        self.buffer.as_ptr()
    }

    pub(crate) fn client(&self) -> &Arc<RawClient> {
        &self.client
    }

    fn api(&self) -> &Api {
        self.client.api()
    }

    pub(crate) fn shape(&self) -> Result<Shape> {
        let mut element_type = BufferElementType::new();
        let mut dims = BufferDimensions::new();
        element_type.buffer = self.as_ptr();
        dims.buffer = self.as_ptr();
        // SAFETY: the buffer is alive and owns the dimensions.
        let dims = unsafe {
            self.api().call(&mut element_type)?;
            self.api().call(&mut dims)?;
            copy_slice(dims.dims, dims.num_dims)
        };
        shape_from_raw::<BufferElementType>(element_type.element_type, &dims)
    }

    pub(crate) fn on_device_size(&self) -> Result<usize> {
        let mut args = BufferOnDeviceSizeInBytes::new();
        args.buffer = self.as_ptr();
        // SAFETY: the buffer is alive.
        unsafe { self.api().call(&mut args)? };
        Ok(args.on_device_size_in_bytes)
    }

    pub(crate) fn device(&self) -> Result<RawDevice> {
        let mut args = BufferDevice::new();
        args.buffer = self.as_ptr();
        // SAFETY: the buffer is alive, and its device belongs to the same client.
        unsafe {
            self.api().call(&mut args)?;
            Ok(RawDevice::new(&self.client, non_null::<BufferDevice, _>(args.device, "device")?))
        }
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let mut args = BufferMemory::new();
        args.buffer = self.as_ptr();
        // SAFETY: the buffer is alive, and the memory lives as long as the client.
        unsafe {
            self.api().call(&mut args)?;
            describe_memory(self.api(), non_null::<BufferMemory, _>(args.memory, "memory")?)
        }
    }

    pub(crate) fn is_deleted(&self) -> Result<bool> {
        let mut args = BufferIsDeleted::new();
        args.buffer = self.as_ptr();
        // SAFETY: the buffer is alive.
        unsafe { self.api().call(&mut args)? };
        Ok(args.is_deleted)
    }

    pub(crate) fn delete(&self) -> Result<()> {
        let mut args = BufferDelete::new();
        args.buffer = self.as_ptr();
        // SAFETY: the buffer is alive; a deleted buffer still answers, with errors, until destroyed.
        unsafe { self.api().call(&mut args) }
    }

    pub(crate) fn copy_to_device(&self, device: &RawDevice) -> Result<RawBuffer> {
        let mut args = BufferCopyToDevice::new();
        args.buffer = self.as_ptr();
        args.dst_device = device.as_ptr();
        // SAFETY: buffer and device are alive and of one client; the buffer returned is owned.
        unsafe {
            self.api().call(&mut args)?;
            Ok(Self::new(&self.client, non_null::<BufferCopyToDevice, _>(args.dst_buffer, "buffer")?))
        }
    }

    pub(crate) fn ready_event(&self) -> Result<RawEvent> {
        let mut args = BufferReadyEvent::new();
        args.buffer = self.as_ptr();
        // SAFETY: the buffer is alive; the event returned is owned.
        unsafe {
            self.api().call(&mut args)?;
            let event = non_null::<BufferReadyEvent, _>(args.event, "event")?;
            Ok(RawEvent::new(&self.client, event, BufferReadyEvent::FUNCTION))
        }
    }

    pub(crate) fn device_address(&self) -> Result<usize> {
        let mut args = BufferUnsafePointer::new();
        args.buffer = self.as_ptr();
        // SAFETY: the buffer is alive.
        unsafe { self.api().call(&mut args)? };
        Ok(args.buffer_pointer)
    }

    /// Copies the array to `destination`, dense and row-major, and waits for the copy.
    pub(crate) fn read_into(&self, rank: usize, destination: &mut [u8]) -> Result<()> {
        let minor_to_major = (0..rank).rev().map(|dim| dim as i64).collect::<Vec<_>>();
        let mut tiled = MemoryLayoutTiled::new();
        tiled.minor_to_major = minor_to_major.as_ptr();
        tiled.minor_to_major_size = minor_to_major.len();
        let mut layout = MemoryLayout::new();
        layout.tiled = tiled;
        layout.layout_type = MEMORY_LAYOUT_TILED;

        let mut args = BufferToHostBuffer::new();
        args.src = self.as_ptr();
        args.host_layout = &mut layout;
        args.dst = destination.as_mut_ptr().cast::<c_void>();
        args.dst_size = destination.len();
        // SAFETY: the layout outlives the call; the plugin refuses a destination that is too small, and has
        // written all that it will write when `wait` returns, up to which the destination is borrowed.
        let event = unsafe {
            self.api().call(&mut args)?;
            let event = non_null::<BufferToHostBuffer, _>(args.event, "event")?;
            RawEvent::new(&self.client, event, BufferToHostBuffer::FUNCTION)
        };
        event.wait()
    }
}

/// A shape as `A`'s function returned it.
pub(super) fn shape_from_raw<A: Arguments>(code: BufferTypeCode, dims: &[i64]) -> Result<Shape> {
    let element_type = ElementType::from_buffer_type(code)
        .ok_or(Error::UnknownElementType { function: A::FUNCTION, code })?;
    let dims = dims
        .iter()
        .map(|&dim| {
            usize::try_from(dim).map_err(|_| Error::Contract {
                function: A::FUNCTION,
                message: format!("returned a dimension of {dim}"),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Shape { element_type, dims })
}
