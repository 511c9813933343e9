//! Buffers: arrays on a device.

use std::fmt;

use crate::ffi::buffer::RawBuffer;
use crate::{Client, Device, Element, ElementType, Error, Event, Memory, Result, Shape};

/// An array on a device.
///
/// A buffer has one owner. Dropping it frees the device memory once all work that uses it is done.
pub struct Buffer {
    raw: RawBuffer,
    client: Client,
    shape: Shape,
    zero_copy: bool,
}

impl Buffer {
    pub(crate) fn new(client: &Client, raw: RawBuffer) -> Result<Self> {
        let shape = raw.shape()?;
        Ok(Self { raw, client: client.clone(), shape, zero_copy: false })
    }

    /// A buffer made of shared host memory at `address`.
    pub(crate) fn shared(client: &Client, raw: RawBuffer, address: usize) -> Result<Self> {
        let buffer = Self::new(client, raw)?;
        // Devices with a memory of their own may have no address to give; they copied.
        let zero_copy = buffer.raw.device_address().is_ok_and(|device| device == address);
        Ok(Self { zero_copy, ..buffer })
    }

    pub(crate) fn raw(&self) -> &RawBuffer {
        &self.raw
    }

    /// The client that made the buffer.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Element type and dimensions of the array on this device.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Type of the elements.
    pub fn element_type(&self) -> ElementType {
        self.shape.element_type
    }

    /// Size of each dimension, major to minor.
    pub fn dims(&self) -> &[usize] {
        &self.shape.dims
    }

    /// Whether the buffer reads the host memory that it was made of in place.
    pub fn is_zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// Bytes of device memory, padding included.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn on_device_size(&self) -> Result<usize> {
        self.raw.on_device_size()
    }

    /// The device that the buffer is on.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn device(&self) -> Result<Device> {
        self.client.device_of(&self.raw.device()?)
    }

    /// The memory that the buffer lies in.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn memory(&self) -> Result<Memory> {
        self.raw.memory()
    }

    /// Whether the array is gone: deleted, or donated to an execution.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn is_deleted(&self) -> Result<bool> {
        self.raw.is_deleted()
    }

    /// Gives the array's memory up before the buffer is dropped. Using the buffer is an error from then on;
    /// work in flight goes on.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn delete(&self) -> Result<()> {
        self.raw.delete()
    }

    /// The array's being computed or transferred.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn ready(&self) -> Result<Event> {
        Ok(Event::new(self.raw.ready_event()?))
    }

    /// Copies the array to another device of the same client.
    ///
    /// # Errors
    /// [`Error::ForeignClient`], [`Error::NotAddressable`], or the plugin's error, e.g. if the array is on
    /// that device already.
    pub fn copy_to_device(&self, device: &Device) -> Result<Buffer> {
        self.client.require_own_device(device)?;
        Buffer::new(&self.client, self.raw.copy_to_device(device.raw())?)
    }

    /// Copies the array into `destination`, dense and row-major whatever its layout on the device, and waits
    /// for it. Takes [`Shape::host_bytes`] bytes; a 4-bit integer takes one byte.
    ///
    /// # Errors
    /// [`Error::HostSize`] if the destination has another size; the error of the computation that was to
    /// produce the array; or the plugin's error, e.g. if the buffer was deleted.
    pub fn read_into(&self, destination: &mut [u8]) -> Result<()> {
        let expected = self.shape.host_bytes()?;
        if destination.len() != expected {
            return Err(Error::HostSize { shape: self.shape.clone(), expected, found: destination.len() });
        }
        if expected == 0 {
            // Nothing to copy, and no address that a plugin would accept; errors still count.
            return self.raw.ready_event()?.wait();
        }
        self.raw.read_into(self.shape.dims.len(), destination)?;
        normalize_nibbles(self.shape.element_type, destination);
        Ok(())
    }

    /// The array's bytes; see [`read_into`](Self::read_into).
    ///
    /// # Errors
    /// As [`read_into`](Self::read_into).
    pub fn to_host_bytes(&self) -> Result<Vec<u8>> {
        self.to_elements::<u8>(self.shape.host_bytes()?)
    }

    /// The array's elements in row-major order.
    ///
    /// # Errors
    /// [`Error::ElementTypeMismatch`] if `T` does not represent the element type, and as
    /// [`read_into`](Self::read_into).
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if !T::represents(self.shape.element_type) {
            return Err(Error::ElementTypeMismatch { shape: self.shape.clone(), requested: T::NAME });
        }
        self.to_elements::<T>(self.shape.host_bytes()? / size_of::<T>())
    }

    fn to_elements<T: Element>(&self, len: usize) -> Result<Vec<T>> {
        let mut elements = vec![T::zeroed(); len];
        self.read_into(bytemuck::cast_slice_mut(&mut elements))?;
        Ok(elements)
    }

    /// Address of the array in device memory, to compare buffers by. It says nothing of lifetimes and must
    /// not be dereferenced.
    ///
    /// # Errors
    /// If the platform has no such address.
    pub fn device_address(&self) -> Result<usize> {
        self.raw.device_address()
    }
}

/// Gives 4-bit integers the host's form. The CPU plugin, for one, leaves out the sign.
fn normalize_nibbles(element_type: ElementType, bytes: &mut [u8]) {
    match element_type {
        ElementType::S4 => bytes.iter_mut().for_each(|byte| *byte = (((*byte << 4) as i8) >> 4) as u8),
        ElementType::U4 => bytes.iter_mut().for_each(|byte| *byte &= 0x0f),
        _ => {}
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({})", self.shape)
    }
}
