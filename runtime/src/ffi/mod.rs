//! The PJRT C ABI and every line of `unsafe` that touches it.
//!
//! [`abi`] mirrors the C structs, [`functions`] pairs each argument struct with the function it belongs to,
//! [`api`] checks that a plugin has a function before calling it. The other modules own one kind of PJRT
//! object each: they keep whatever the object depends on alive, destroy it exactly once, and expose methods
//! that are safe under that invariant. Policy (validation, defaults, names) belongs to the layer above.

mod abi;
pub(crate) mod api;
pub(crate) mod buffer;
pub(crate) mod client;
pub(crate) mod custom_call;
pub(crate) mod device;
pub(crate) mod event;
pub(crate) mod executable;
mod functions;
mod library;
mod named_value;
mod slots;
pub(crate) mod topology;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fake;

pub(crate) use abi::BufferTypeCode;
pub(crate) use library::load;

use std::ffi::c_char;

/// Copies a string that a plugin returned as pointer and length. Invalid UTF-8 is replaced, as these strings
/// are for people.
///
/// # Safety
/// `data` is null or points to `size` readable bytes.
unsafe fn copy_string(data: *const c_char, size: usize) -> String {
    // SAFETY: forwarded from the caller.
    String::from_utf8_lossy(&unsafe { copy_slice(data.cast::<u8>(), size) }).into_owned()
}

/// Copies an array that a plugin returned as pointer and length.
///
/// # Safety
/// `data` is null or points to `len` readable, initialised values.
unsafe fn copy_slice<T: Copy>(data: *const T, len: usize) -> Vec<T> {
    if data.is_null() || len == 0 {
        return Vec::new();
    }
    // SAFETY: non-null, and the caller vouches for `len` values.
    unsafe { std::slice::from_raw_parts(data, len) }.to_vec()
}
