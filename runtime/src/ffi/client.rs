//! Clients: compiling, loading, and moving host data in.

use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use super::abi::{HostBufferSemantics, PjrtClient, Program};
use super::api::{Api, non_null};
use super::buffer::RawBuffer;
use super::device::RawDevice;
use super::event::RawEvent;
use super::executable::RawLoadedExecutable;
use super::functions::{
    Arguments, ClientBufferFromHostBuffer, ClientCompile, ClientCreate, ClientDestroy, ClientDevices,
    ClientPlatformName, ClientPlatformVersion, ClientProcessIndex, ExecutableDeserializeAndLoad,
};
use super::named_value::NamedValues;
use super::{copy_slice, copy_string, custom_call};
use crate::{Attributes, HostMemory, Result, Shape};

/// An owned `PJRT_Client`. Everything made by a client keeps it alive.
pub(crate) struct RawClient {
    api: Api,
    client: NonNull<PjrtClient>,
}

// SAFETY: PJRT clients are thread-safe.
unsafe impl Send for RawClient {}
// SAFETY: as above.
unsafe impl Sync for RawClient {}

impl Drop for RawClient {
    fn drop(&mut self) {
        let mut args = ClientDestroy::new();
        args.client = self.client.as_ptr();
        // SAFETY: owned, and all that depends on it is gone. A failure to free leaves nothing to be done.
        let _ = unsafe { self.api.call(&mut args) };
    }
}

/// Host data for a buffer: its address, shape, and strides in bytes (none for a dense array).
pub(crate) struct HostArray<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) shape: &'a Shape,
    pub(crate) byte_strides: Option<&'a [i64]>,
}

impl RawClient {
    pub(crate) fn create(api: &Api, options: &Attributes) -> Result<Self> {
        let options = NamedValues::new(options)?;
        let mut args = ClientCreate::new();
        args.create_options = options.as_slice().as_ptr();
        args.num_options = options.as_slice().len();
        // SAFETY: the options outlive the call; there is no key-value store.
        unsafe { api.call(&mut args)? };
        Ok(Self { api: api.clone(), client: non_null::<ClientCreate, _>(args.client, "client")? })
    }

    /// # Safety
    /// `client` is a live client of `api`'s plugin that nothing else owns.
    #[cfg(test)]
    pub(super) unsafe fn from_raw(api: &Api, client: NonNull<PjrtClient>) -> Self {
        Self { api: api.clone(), client }
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    pub(super) fn as_ptr(&self) -> *mut PjrtClient {
        self.client.as_ptr()
    }

    pub(crate) fn platform_name(&self) -> Result<String> {
        let mut args = ClientPlatformName::new();
        args.client = self.as_ptr();
        // SAFETY: the client is alive and owns the string.
        unsafe {
            self.api.call(&mut args)?;
            Ok(copy_string(args.platform_name, args.platform_name_size))
        }
    }

    pub(crate) fn platform_version(&self) -> Result<String> {
        let mut args = ClientPlatformVersion::new();
        args.client = self.as_ptr();
        // SAFETY: the client is alive and owns the string.
        unsafe {
            self.api.call(&mut args)?;
            Ok(copy_string(args.platform_version, args.platform_version_size))
        }
    }

    pub(crate) fn process_index(&self) -> Result<i32> {
        let mut args = ClientProcessIndex::new();
        args.client = self.as_ptr();
        // SAFETY: the client is alive.
        unsafe { self.api.call(&mut args)? };
        Ok(args.process_index)
    }

    /// All devices, those of other processes included.
    pub(crate) fn devices(self: &Arc<Self>) -> Result<Vec<RawDevice>> {
        let mut args = ClientDevices::new();
        args.client = self.as_ptr();
        // SAFETY: the client is alive and owns the list and the devices.
        unsafe {
            self.api.call(&mut args)?;
            copy_slice(args.devices, args.num_devices)
                .into_iter()
                .map(|device| Ok(RawDevice::new(self, non_null::<ClientDevices, _>(device, "device")?)))
                .collect()
        }
    }

    /// Compiles `code`, which is in `format` (`mlir`, `hlo`, ...). `options` is a `CompileOptionsProto`.
    pub(crate) fn compile(
        self: &Arc<Self>,
        format: &str,
        code: &[u8],
        options: &[u8],
    ) -> Result<RawLoadedExecutable> {
        let program = CProgram::new(format, code);
        let mut args = ClientCompile::new();
        args.client = self.as_ptr();
        args.program = program.as_ptr();
        args.compile_options = options.as_ptr().cast::<c_char>();
        args.compile_options_size = options.len();
        let _lookups = custom_call::lookups();
        // SAFETY: program and options outlive the call; the executable returned is owned.
        unsafe {
            self.api.call(&mut args)?;
            let executable = non_null::<ClientCompile, _>(args.executable, "executable")?;
            Ok(RawLoadedExecutable::new(self, executable))
        }
    }

    /// Loads what `RawExecutable::serialize` wrote.
    pub(crate) fn load_executable(self: &Arc<Self>, serialized: &[u8]) -> Result<RawLoadedExecutable> {
        let mut args = ExecutableDeserializeAndLoad::new();
        args.client = self.as_ptr();
        args.serialized_executable = serialized.as_ptr().cast::<c_char>();
        args.serialized_executable_size = serialized.len();
        let _lookups = custom_call::lookups();
        // SAFETY: the bytes outlive the call; the executable returned is owned.
        unsafe {
            self.api.call(&mut args)?;
            let executable =
                non_null::<ExecutableDeserializeAndLoad, _>(args.loaded_executable, "executable")?;
            Ok(RawLoadedExecutable::new(self, executable))
        }
    }

    /// Copies host data to a device and returns once the data was read.
    ///
    /// The strides have been checked to stay within the bytes, which `host_array` promises.
    pub(crate) fn copy_from_host(
        self: &Arc<Self>,
        array: &HostArray<'_>,
        device: &RawDevice,
    ) -> Result<RawBuffer> {
        // SAFETY: the bytes are borrowed until `wait` says that the plugin is done with them.
        let (buffer, done) = unsafe {
            self.buffer_from_host(array, device, HostBufferSemantics::ImmutableUntilTransferCompletes)?
        };
        done.wait()?;
        Ok(buffer)
    }

    /// Makes a buffer of host data without copying it where the plugin can. `owner` owns the bytes of
    /// `array` and is kept until the plugin says that it will not read them any more, which may be long
    /// after the buffer is destroyed if an execution is still reading it.
    pub(crate) fn share_from_host(
        self: &Arc<Self>,
        owner: Arc<dyn HostMemory>,
        array: &HostArray<'_>,
        device: &RawDevice,
    ) -> Result<RawBuffer> {
        RawEvent::require_on_ready(&self.api)?;
        // SAFETY: `owner` keeps the bytes in place until the callback below runs.
        let (buffer, done) =
            unsafe { self.buffer_from_host(array, device, HostBufferSemantics::ImmutableZeroCopy)? };
        // An error of the transfer is the buffer's: whoever reads or uses the buffer gets it.
        done.on_ready(move |_| drop(owner))?;
        Ok(buffer)
    }

    /// # Safety
    /// The bytes of `array`, which contain all that its shape and strides reach, stay in place and
    /// unchanged until the returned event fires.
    unsafe fn buffer_from_host(
        self: &Arc<Self>,
        array: &HostArray<'_>,
        device: &RawDevice,
        semantics: HostBufferSemantics,
    ) -> Result<(RawBuffer, RawEvent)> {
        let dims = array.shape.dims_i64()?;
        let mut args = ClientBufferFromHostBuffer::new();
        args.client = self.as_ptr();
        args.data = array.bytes.as_ptr().cast::<c_void>();
        args.element_type = array.shape.element_type.to_buffer_type();
        args.dims = dims.as_ptr();
        args.num_dims = dims.len();
        if let Some(strides) = array.byte_strides {
            args.byte_strides = strides.as_ptr();
            args.num_byte_strides = strides.len();
        }
        args.host_buffer_semantics = semantics as i32;
        args.device = device.as_ptr();
        // SAFETY: dims and strides outlive the call; the data is the caller's promise; buffer and event
        // returned are owned.
        unsafe {
            self.api.call(&mut args)?;
            let buffer = non_null::<ClientBufferFromHostBuffer, _>(args.buffer, "buffer")?;
            let buffer = RawBuffer::new(self, buffer);
            let event = non_null::<ClientBufferFromHostBuffer, _>(args.done_with_host_buffer, "event")?;
            Ok((buffer, RawEvent::new(self, event, ClientBufferFromHostBuffer::FUNCTION)))
        }
    }
}

/// A program in the form that the C API takes.
pub(super) struct CProgram<'a> {
    raw: Program,
    _code: Vec<u8>,
    _format: PhantomData<&'a str>,
}

impl<'a> CProgram<'a> {
    pub(super) fn new(format: &'a str, code: &[u8]) -> Self {
        // MLIR's lexer looks for a NUL behind the text, whatever size it is told. The NUL is not counted.
        let mut code = [code, &[0]].concat();
        let mut raw = Program::new();
        raw.code = code.as_mut_ptr().cast::<c_char>();
        raw.code_size = code.len() - 1;
        raw.format = format.as_ptr().cast::<c_char>();
        raw.format_size = format.len();
        Self { raw, _code: code, _format: PhantomData }
    }

    pub(super) fn as_ptr(&self) -> *const Program {
        &self.raw
    }
}
