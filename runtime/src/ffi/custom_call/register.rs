//! Registering a handler, and the function that a plugin calls for it.

use std::ffi::{CString, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::abi::{
    CallFrame, ErrorCreate, FFI_EXTENSION, FfiError, FfiExtension, Handler, INTERNAL, METADATA_EXTENSION,
    MetadataExtension, PluginExtension, RegisterHandler, VERSION,
};
use super::frame::Frame;
use super::table;
use crate::Result;
use crate::custom_call::{Call, CustomCall};
use crate::ffi::api::Api;

const REGISTER: &str = "PJRT_FFI_Register_Handler";

/// Registers `K` under its name for the platform that custom calls of `platform` programs are looked up under, unless
/// that was done before.
///
/// # Errors
/// [`Unsupported`](crate::Error::Unsupported) if the plugin has no FFI, and its own error if it refuses.
pub(crate) fn register<K: CustomCall>(api: &Api, platform: &str) -> Result<()> {
    let unsupported = || api.unsupported(REGISTER);
    let extension = find(api).ok_or_else(unsupported)?;
    let function = extension.register_handler.ok_or_else(unsupported)?;
    let mut args = RegisterHandler {
        // PJRT counts without tail padding.
        struct_size: std::mem::offset_of!(RegisterHandler, traits) + size_of::<u32>(),
        target_name: K::NAME.as_ptr().cast(),
        target_name_size: K::NAME.len(),
        handler: entry::<K> as Handler as *const c_void,
        platform_name: platform.as_ptr().cast(),
        platform_name_size: platform.len(),
        traits: 0,
    };
    table::once(api, K::NAME, entry::<K>, || {
        // SAFETY: the extension's size says that it has this function, which takes this struct; both names outlive the
        // call and the handler is a function of this program. Nobody reads or writes the plugin's handlers meanwhile.
        let error = unsafe { function(&raw mut args) };
        api.check(error, REGISTER)
    })
}

/// The plugin's FFI extension, if it is one that registers handlers.
fn find(api: &Api) -> Option<&FfiExtension> {
    let mut next = api.extensions().cast::<PluginExtension>();
    // SAFETY: a plugin's extensions are a list that ends with null and lives as long as its table.
    while let Some(extension) = unsafe { next.as_ref() } {
        if extension.kind == FFI_EXTENSION {
            let whole = extension.struct_size >= size_of::<FfiExtension>();
            // SAFETY: an extension of this kind and size is this struct.
            return whole.then(|| unsafe { &*next.cast::<FfiExtension>() });
        }
        next = extension.next;
    }
    None
}

/// What a plugin calls: for the version of the ABI, at each stage of an execution, and with the operands.
unsafe extern "C" fn entry<K: CustomCall>(frame: *mut CallFrame) -> *mut FfiError {
    // SAFETY: the plugin hands over a frame that is valid during the call.
    let raw = unsafe { &*frame };
    // SAFETY: a frame's extensions are valid as long as it is.
    if unsafe { tell_version(raw) } {
        return std::ptr::null_mut();
    }
    // SAFETY: as above.
    let Some(frame) = (unsafe { Frame::at_execution(raw) }) else { return std::ptr::null_mut() };
    // A panic must not unwind into the plugin.
    let outcome = catch_unwind(AssertUnwindSafe(|| K::call(&mut Call::new(frame))));
    let message = match outcome {
        Ok(Ok(())) => return std::ptr::null_mut(),
        Ok(Err(error)) => format!("{}: {error}", K::NAME),
        Err(_) => format!("{}: the kernel panicked, which is a defect of it", K::NAME),
    };
    // SAFETY: the frame's table of functions is valid as long as it is.
    unsafe { create_error(raw, message) }
}

/// Answers a frame that asks for the version rather than for work. Says whether it is one.
///
/// # Safety
/// The frame's extensions are valid.
unsafe fn tell_version(frame: &CallFrame) -> bool {
    let mut next = frame.extension_start;
    // SAFETY: the caller's promise: a list that ends with null.
    while let Some(extension) = unsafe { next.as_ref() } {
        if extension.kind == METADATA_EXTENSION {
            // SAFETY: an extension of this kind is this struct, and what it points to is for the handler to fill.
            if let Some(metadata) = unsafe { (*next.cast::<MetadataExtension>()).metadata.as_mut() } {
                (metadata.version.major, metadata.version.minor) = VERSION;
                metadata.traits = 0;
            }
            return true;
        }
        next = extension.next;
    }
    false
}

/// An error, which the plugin will own.
///
/// # Safety
/// The frame's table of functions is valid.
unsafe fn create_error(frame: &CallFrame, message: String) -> *mut FfiError {
    let message = CString::new(message.replace('\0', " ")).unwrap_or_default();
    // SAFETY: the caller's promise.
    let create = unsafe { frame.api.as_ref() }.and_then(|api| api.error_create);
    let Some(create) = create else {
        // To go on with a result that was never computed would be worse.
        std::process::abort();
    };
    let mut args = ErrorCreate {
        struct_size: std::mem::offset_of!(ErrorCreate, code) + size_of_val(&INTERNAL),
        extension_start: std::ptr::null_mut(),
        message: message.as_ptr(),
        code: INTERNAL,
    };
    // SAFETY: the function takes this struct and copies the message.
    unsafe { create(&raw mut args) }
}
