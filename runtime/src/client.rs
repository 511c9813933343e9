//! Clients: a platform's devices, and what can be made for them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::ffi::client::{HostArray, RawClient};
use crate::ffi::device::RawDevice;
use crate::{
    Buffer, ClientOptions, CompileOptions, Device, ElementType, Error, LoadedExecutable, Parameter, Plugin,
    Program, Result, Shape, SharedBytes,
};

/// A connection to a platform's devices. Clones share it; it ends when the last clone and everything made
/// with it are dropped.
#[derive(Clone)]
pub struct Client {
    inner: Arc<ClientInner>,
}

struct ClientInner {
    raw: Arc<RawClient>,
    plugin: Plugin,
    platform_name: String,
    platform_version: String,
    process_index: i32,
    devices: Vec<Device>,
    addressable: Vec<Device>,
}

impl Client {
    /// Connects to the devices of `plugin`'s platform.
    ///
    /// # Errors
    /// [`Error::OptionType`], [`Error::OptionRange`] or [`Error::UnknownOption`] for options that the plugin
    /// would not survive or would ignore, and the plugin's error if it has no devices or they are in use.
    pub fn create(plugin: &Plugin, options: &ClientOptions) -> Result<Self> {
        let raw = Arc::new(RawClient::create(plugin.api(), options.checked()?)?);
        let platform_name = raw.platform_name()?;
        options.check_platform(&platform_name)?;
        let devices = raw.devices()?.into_iter().map(Device::new).collect::<Result<Vec<_>>>()?;
        let addressable = devices.iter().filter(|device| device.is_addressable()).cloned().collect();
        let inner = ClientInner {
            platform_name,
            platform_version: raw.platform_version()?,
            process_index: raw.process_index()?,
            raw,
            plugin: plugin.clone(),
            devices,
            addressable,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The plugin that the client came from.
    pub fn plugin(&self) -> &Plugin {
        &self.inner.plugin
    }

    /// Name of the platform: `cpu`, `tpu`, `cuda`, ...
    pub fn platform_name(&self) -> &str {
        &self.inner.platform_name
    }

    /// Version of the platform's software, in its own words.
    pub fn platform_version(&self) -> &str {
        &self.inner.platform_version
    }

    /// This process among those that the devices are spread over; 0 if there is one.
    pub fn process_index(&self) -> i32 {
        self.inner.process_index
    }

    /// All devices, in every process.
    pub fn devices(&self) -> &[Device] {
        &self.inner.devices
    }

    /// The devices that this process can use.
    pub fn addressable_devices(&self) -> &[Device] {
        &self.inner.addressable
    }

    /// The device with a global id.
    ///
    /// # Errors
    /// [`Error::NoSuchDevice`].
    pub fn device(&self, id: i32) -> Result<&Device> {
        let devices = &self.inner.devices;
        devices.iter().find(|device| device.id() == id).ok_or_else(|| Error::NoSuchDevice {
            id,
            count: devices.len(),
            ids: match (devices.first(), devices.last()) {
                (Some(first), Some(last)) => format!("{} to {}", first.id(), last.id()),
                _ => "none".to_owned(),
            },
        })
    }

    /// Copies a dense row-major array to `device` and returns once `bytes` has been read.
    ///
    /// `bytes` holds elements in the host's byte order; 4-bit integers take one byte each.
    ///
    /// # Errors
    /// [`Error::HostSize`] if `bytes` is not as long as the shape says, [`Error::ForeignClient`] or
    /// [`Error::NotAddressable`] for a device that cannot be used, and the plugin's error.
    pub fn buffer_from_host(
        &self,
        bytes: &[u8],
        element_type: ElementType,
        dims: &[usize],
        device: &Device,
    ) -> Result<Buffer> {
        let shape = Shape::new(element_type, dims);
        check_dense(bytes, &shape)?;
        self.require_own_device(device)?;
        let array = HostArray { bytes, shape: &shape, byte_strides: None };
        Buffer::new(self, self.inner.raw.copy_from_host(&array, device.raw())?)
    }

    /// Copies an array with explicit strides to `device`, e.g. a transposed or sliced one. `byte_strides` has
    /// the distance in bytes between neighbours along each dimension.
    ///
    /// # Errors
    /// [`Error::HostStrides`] if there is not one stride for each dimension or they reach beyond `bytes`, and
    /// as [`buffer_from_host`](Self::buffer_from_host).
    pub fn buffer_from_host_strided(
        &self,
        bytes: &[u8],
        element_type: ElementType,
        dims: &[usize],
        byte_strides: &[usize],
        device: &Device,
    ) -> Result<Buffer> {
        let shape = Shape::new(element_type, dims);
        let strides = check_strides(bytes, &shape, byte_strides)?;
        self.require_own_device(device)?;
        let array = HostArray { bytes, shape: &shape, byte_strides: Some(&strides) };
        Buffer::new(self, self.inner.raw.copy_from_host(&array, device.raw())?)
    }

    /// Makes a buffer of a dense row-major array in shared host memory, without copying it where the platform
    /// can: the CPU reads 64-byte aligned memory in place and copies other memory, devices with a memory of
    /// their own copy. [`Buffer::is_zero_copy`] says what happened.
    ///
    /// The memory is kept alive until the plugin says that nothing reads it any more, which is after the
    /// buffer is dropped and all executions that use it are done. It is never written to, even if the buffer
    /// is donated.
    ///
    /// # Errors
    /// As [`buffer_from_host`](Self::buffer_from_host).
    pub fn buffer_from_shared(
        &self,
        memory: &SharedBytes,
        element_type: ElementType,
        dims: &[usize],
        device: &Device,
    ) -> Result<Buffer> {
        let shape = Shape::new(element_type, dims);
        let bytes = memory.bytes();
        check_dense(bytes, &shape)?;
        self.require_own_device(device)?;
        let array = HostArray { bytes, shape: &shape, byte_strides: None };
        let raw = self.inner.raw.share_from_host(memory.owner().clone(), &array, device.raw())?;
        Buffer::shared(self, raw, bytes.as_ptr() as usize)
    }

    /// Compiles a program and loads it onto its devices.
    ///
    /// # Errors
    /// [`Error::CompileOptions`] for options that cannot be met, and the compiler's error.
    pub fn compile(&self, program: &Program<'_>, options: &CompileOptions) -> Result<LoadedExecutable> {
        let options = options.serialize(&self.device_ids())?;
        let raw = self.inner.raw.compile(program.format(), program.code(), &options)?;
        LoadedExecutable::new(self, raw)
    }

    /// Loads what [`Executable::serialize`](crate::Executable::serialize) wrote, with the same version of the
    /// same plugin. Plugins trust these bytes: load only what you stored.
    ///
    /// # Errors
    /// The plugin's error, e.g. if another version wrote the bytes.
    pub fn load_executable(&self, serialized: &[u8]) -> Result<LoadedExecutable> {
        LoadedExecutable::new(self, self.inner.raw.load_executable(serialized)?)
    }

    /// The same, with what [`Executable::parameters`](crate::Executable::parameters) said of it when it was written. To
    /// ask for them again, as the first execution has to, a plugin writes out the whole program.
    ///
    /// # Errors
    /// As [`load_executable`](Self::load_executable).
    pub fn load_executable_with(
        &self,
        serialized: &[u8],
        parameters: Option<Vec<Parameter>>,
    ) -> Result<LoadedExecutable> {
        let executable = self.load_executable(serialized)?;
        executable.remember_parameters(parameters);
        Ok(executable)
    }

    /// Ids of all devices.
    pub fn device_ids(&self) -> BTreeSet<i32> {
        self.inner.devices.iter().map(Device::id).collect()
    }

    /// The device that `raw` is a handle of.
    pub(crate) fn device_of(&self, raw: &RawDevice) -> Result<Device> {
        match self.inner.devices.iter().find(|device| device.raw() == raw) {
            Some(device) => Ok(device.clone()),
            // A plugin that lists it nowhere; it can still describe it.
            None => Device::new(raw.clone()),
        }
    }

    pub(crate) fn require_own_device(&self, device: &Device) -> Result<()> {
        if !Arc::ptr_eq(device.raw().client(), &self.inner.raw) {
            return Err(Error::ForeignClient { what: format!("{device:?}") });
        }
        device.require_addressable()
    }

    pub(crate) fn owns(&self, buffer: &Buffer) -> bool {
        Arc::ptr_eq(buffer.raw().client(), &self.inner.raw)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("platform_name", &self.platform_name())
            .field("devices", &self.devices())
            .finish_non_exhaustive()
    }
}

fn check_dense(bytes: &[u8], shape: &Shape) -> Result<()> {
    let expected = shape.host_bytes()?;
    if bytes.len() == expected {
        return Ok(());
    }
    Err(Error::HostSize { shape: shape.clone(), expected, found: bytes.len() })
}

/// The strides as PJRT takes them, if every element that they reach lies within `bytes`.
fn check_strides(bytes: &[u8], shape: &Shape, strides: &[usize]) -> Result<Vec<i64>> {
    let invalid = |problem: String| {
        Err(Error::HostStrides { shape: shape.clone(), strides: strides.to_vec(), problem })
    };
    if strides.len() != shape.dims.len() {
        return invalid(format!("must be {} numbers", shape.dims.len()));
    }
    // The dense size bounds the number of elements, so that a plugin cannot overflow over it.
    shape.host_bytes()?;
    let end = if shape.dims.contains(&0) {
        Some(0)
    } else {
        shape
            .dims
            .iter()
            .zip(strides)
            .try_fold(0usize, |last, (&dim, &stride)| last.checked_add((dim - 1).checked_mul(stride)?))
            .and_then(|last| last.checked_add(shape.element_type.host_bytes()))
    };
    if end.is_none_or(|end| end > bytes.len()) {
        return invalid(format!("reach beyond the {} bytes of host data", bytes.len()));
    }
    if strides.iter().any(|stride| stride % shape.element_type.host_bytes() != 0) {
        return invalid("must be multiples of the element size".to_owned());
    }
    match strides.iter().map(|&stride| i64::try_from(stride)).collect() {
        Ok(strides) => Ok(strides),
        Err(_) => invalid("are too large".to_owned()),
    }
}
