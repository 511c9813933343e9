//! A plugin's function table: capability checks, calls, and errors.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use super::abi::{ApiHeader, PjrtError};
use super::functions::{
    Arguments, ErrorDestroy, ErrorGetCode, ErrorMessage, PluginAttributes, PluginInitialize,
};
use super::{copy_string, named_value};
use crate::{ApiVersion, Attributes, Error, ErrorCode, Result};

/// A loaded plugin's `PJRT_Api`.
#[derive(Clone)]
pub(crate) struct Api {
    table: NonNull<ApiHeader>,
    plugin: Arc<str>,
}

// SAFETY: the table is never written to after the plugin is loaded, lives as long as the process (plugins
// are not unloaded), and PJRT functions may be called from any thread.
unsafe impl Send for Api {}
// SAFETY: as above.
unsafe impl Sync for Api {}

impl Api {
    /// # Safety
    /// `table` points to a `PJRT_Api` that lives as long as the process.
    pub(super) unsafe fn new(table: NonNull<ApiHeader>, plugin: &str) -> Self {
        Self { table, plugin: plugin.into() }
    }

    pub(crate) fn version(&self) -> ApiVersion {
        // SAFETY: the header is part of every `PJRT_Api`.
        let header = unsafe { self.table.as_ref() };
        ApiVersion { major: header.major_version, minor: header.minor_version }
    }

    /// The first of the plugin's extensions; null if it has none.
    pub(super) fn extensions(&self) -> *const c_void {
        // SAFETY: the header is part of every `PJRT_Api`.
        unsafe { self.table.as_ref() }.extension_start
    }

    /// The error that says that the plugin lacks a function.
    pub(super) fn unsupported(&self, function: &'static str) -> Error {
        Error::Unsupported { plugin: self.plugin.to_string(), function, version: self.version() }
    }

    /// Address of the table, which tells loaded plugins apart.
    pub(crate) fn address(&self) -> usize {
        self.table.as_ptr() as usize
    }

    pub(crate) fn initialize(&self) -> Result<()> {
        // SAFETY: takes no further arguments.
        unsafe { self.call(&mut PluginInitialize::new()) }
    }

    pub(crate) fn attributes(&self) -> Result<Attributes> {
        let mut args = PluginAttributes::new();
        // SAFETY: every field is an output; the attributes live as long as the process.
        unsafe {
            self.call(&mut args)?;
            Ok(named_value::read_all(args.attributes, args.num_attributes))
        }
    }

    /// Whether the plugin has the function that `A` belongs to.
    pub(super) fn require<A: Arguments>(&self) -> Result<()> {
        self.slot::<A>().map(|_| ())
    }

    fn slot<A: Arguments>(&self) -> Result<NonNull<c_void>> {
        self.slot_at(A::SLOT_OFFSET).ok_or_else(|| self.unsupported(A::FUNCTION))
    }

    /// The function pointer at a byte offset, if the table reaches that far and it is not null.
    fn slot_at(&self, offset: usize) -> Option<NonNull<c_void>> {
        // SAFETY: the header is part of every `PJRT_Api`.
        let table_size = unsafe { self.table.as_ref() }.struct_size;
        if offset + size_of::<*mut c_void>() > table_size {
            return None;
        }
        // SAFETY: the slot lies within the table, as just checked.
        NonNull::new(unsafe { self.table.as_ptr().byte_add(offset).cast::<*mut c_void>().read() })
    }

    /// Calls the function at a slot with arguments of an unchecked type, if there is one.
    ///
    /// # Safety
    /// The function returns a `PJRT_Error*` and reads of `args` only what they hold.
    #[cfg(test)]
    pub(super) unsafe fn probe(&self, offset: usize, args: *mut c_void) -> Option<*mut PjrtError> {
        let slot = self.slot_at(offset)?;
        // SAFETY: the caller says what the function returns.
        let function = unsafe {
            std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void) -> *mut PjrtError>(
                slot.as_ptr(),
            )
        };
        // SAFETY: the caller says what the function reads.
        Some(unsafe { function(args) })
    }

    /// Calls the function that `args` belongs to.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the plugin does not have it, [`Error::Call`] if it fails.
    ///
    /// # Safety
    /// The pointers in `args` meet the function's contract in the C header.
    pub(super) unsafe fn call<A: Arguments>(&self, args: &mut A) -> Result<()> {
        // SAFETY: forwarded from the caller.
        let error = unsafe { self.call_raw(args)? };
        self.check(error, A::FUNCTION)
    }

    /// Calls a function without looking at the error that it returns.
    ///
    /// # Safety
    /// As [`Self::call`].
    pub(super) unsafe fn call_raw<A: Arguments>(&self, args: &mut A) -> Result<*mut PjrtError> {
        let slot = self.slot::<A>()?;
        // SAFETY: `Arguments` promises that the slot takes this struct; every such function returns an error.
        let function = unsafe {
            std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut A) -> *mut PjrtError>(slot.as_ptr())
        };
        // SAFETY: `args` is a live struct of the right type; its pointers are the caller's promise.
        Ok(unsafe { function(args) })
    }

    /// Calls one of the two functions that return nothing.
    ///
    /// # Safety
    /// As [`Self::call`], and the function returns `void`.
    unsafe fn call_void<A: Arguments>(&self, args: &mut A) -> Result<()> {
        let slot = self.slot::<A>()?;
        // SAFETY: the caller says that the function returns nothing.
        let function =
            unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut A)>(slot.as_ptr()) };
        // SAFETY: as in `call_raw`.
        unsafe { function(args) };
        Ok(())
    }

    /// Turns a `PJRT_Error*` that this process owns into a `Result`, and frees it.
    pub(super) fn check(&self, error: *mut PjrtError, function: &'static str) -> Result<()> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: `error` is non-null and owned; it is read before it is destroyed, and not used after.
        unsafe {
            let mut message = ErrorMessage::new();
            message.error = error;
            let text = match self.call_void(&mut message) {
                Ok(()) => copy_string(message.message, message.message_size),
                Err(unsupported) => format!("(no message: {unsupported})"),
            };
            let mut code = ErrorGetCode::new();
            code.error = error;
            // An error about an error is dropped: the first one matters.
            let known = matches!(self.call_raw(&mut code), Ok(nested) if nested.is_null());
            let code = if known { ErrorCode::from_raw(code.code) } else { ErrorCode::Unknown };
            let mut destroy = ErrorDestroy::new();
            destroy.error = error;
            // A plugin without PJRT_Error_Destroy leaks its errors; nothing else can be done.
            let _ = self.call_void(&mut destroy);
            Err(Error::Call { function, code, message: text })
        }
    }
}

/// Turns a null pointer that a plugin returned where the contract promises an object into an error.
pub(super) fn non_null<A: Arguments, T>(pointer: *mut T, what: &str) -> Result<NonNull<T>> {
    NonNull::new(pointer)
        .ok_or_else(|| Error::Contract { function: A::FUNCTION, message: format!("returned no {what}") })
}
