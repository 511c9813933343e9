//! Types of the PJRT C ABI that are shared by several functions, as of API 0.81.
//!
//! Every struct that crosses the boundary starts with its own size, so that a plugin can tell which fields
//! the caller knows. A plugin rejects a size smaller than its own and accepts a larger one.

use std::ffi::{c_char, c_int, c_void};

/// Declares C structs that open with PJRT's common header (`struct_size`, `extension_start`).
macro_rules! sized_structs {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[repr(C)]
        pub(super) struct $name {
            pub(super) struct_size: usize,
            pub(super) extension_start: *mut c_void,
            $(pub(super) $field: $type,)*
        }

        impl $name {
            /// The size PJRT counts: up to the end of the last field, without tail padding.
            pub(super) const STRUCT_SIZE: usize = {
                const ENDS: &[usize] = &[
                    std::mem::offset_of!($name, extension_start) + size_of::<*mut c_void>(),
                    $(std::mem::offset_of!($name, $field) + size_of::<$type>(),)*
                ];
                ENDS[ENDS.len() - 1]
            };

            /// A value with `struct_size` set and every other field zero or null.
            pub(super) fn new() -> Self {
                // SAFETY: the fields are integers, floats, bools, raw pointers, `Option`s of function
                // pointers, and structs of these: all zero bits is a value of each.
                let mut value: Self = unsafe { std::mem::zeroed() };
                value.struct_size = Self::STRUCT_SIZE;
                value
            }
        }
    )*};
}
pub(super) use sized_structs;

/// Declares types that are only ever seen behind a pointer.
macro_rules! opaque_types {
    ($($name:ident),* $(,)?) => {$(
        #[repr(C)]
        pub(super) struct $name {
            _opaque: [u8; 0],
        }
    )*};
}

opaque_types! {
    PjrtError, PjrtEvent, PjrtClient, PjrtDevice, PjrtMemory, PjrtDeviceDescription,
    PjrtTopologyDescription, PjrtExecutable, PjrtLoadedExecutable, PjrtBuffer, PjrtExecuteContext,
    PjrtSerializedExecutable, PjrtSerializedTopology,
}

/// `PJRT_Buffer_Type`, kept as an integer because a newer plugin may return values unknown here.
pub(crate) type BufferTypeCode = c_int;

/// `PJRT_NamedValue_Type`.
pub(super) mod named_value_type {
    use std::ffi::c_int;

    pub(crate) const STRING: c_int = 0;
    pub(crate) const INT64: c_int = 1;
    pub(crate) const INT64_LIST: c_int = 2;
    pub(crate) const FLOAT: c_int = 3;
    pub(crate) const BOOL: c_int = 4;
}

/// `PJRT_HostBufferSemantics`: how long a plugin may use the caller's memory.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(crate) enum HostBufferSemantics {
    /// Until the transfer completes, which `done_with_host_buffer` announces.
    ImmutableUntilTransferCompletes = 1,
    /// As long as the buffer lives; the end of that life is what `done_with_host_buffer` announces.
    ImmutableZeroCopy = 2,
}

/// `PJRT_Buffer_MemoryLayout_Type_Tiled`.
pub(super) const MEMORY_LAYOUT_TILED: c_int = 0;

/// The value of a [`NamedValue`]; which member is live is said by its `value_type`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) union NamedValuePayload {
    pub(super) string: *const c_char,
    pub(super) int64: i64,
    pub(super) int64_list: *const i64,
    pub(super) float: f32,
    pub(super) boolean: bool,
}

sized_structs! {
    NamedValue {
        name: *const c_char,
        name_size: usize,
        value_type: c_int,
        value: NamedValuePayload,
        value_size: usize,
    }

    Program {
        code: *mut c_char,
        code_size: usize,
        format: *const c_char,
        format_size: usize,
    }

    MemoryLayoutTiled {
        minor_to_major: *const i64,
        minor_to_major_size: usize,
        tile_dims: *const i64,
        tile_dim_sizes: *const usize,
        num_tiles: usize,
    }

    /// `tiled` is one member of a C union; it is the larger one, so that it alone gives the union's size.
    MemoryLayout {
        tiled: MemoryLayoutTiled,
        layout_type: c_int,
    }

    ExecuteOptions {
        send_callbacks: *mut *mut c_void,
        recv_callbacks: *mut *mut c_void,
        num_send_ops: usize,
        num_recv_ops: usize,
        launch_id: c_int,
        non_donatable_input_indices: *const i64,
        num_non_donatable_input_indices: usize,
        context: *mut PjrtExecuteContext,
        call_location: *const c_char,
        num_tasks: usize,
        task_ids: *mut c_int,
        incarnation_ids: *mut i64,
    }
}

/// The head of `PJRT_Api`; the function slots follow (see [`super::slots`]).
#[repr(C)]
pub(super) struct ApiHeader {
    pub(super) struct_size: usize,
    pub(super) extension_start: *mut c_void,
    pub(super) version_struct_size: usize,
    pub(super) version_extension_start: *mut c_void,
    pub(super) major_version: c_int,
    pub(super) minor_version: c_int,
}
