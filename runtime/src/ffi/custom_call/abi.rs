//! Types of the XLA FFI C ABI, in the parts that all its versions up to 0.3 share.
//!
//! What a plugin hands over is only read, and every struct's own size says how much of it there is.

use std::ffi::{c_char, c_int, c_void};

/// The version that handlers are written for. The CPU plugin drops a handler of any but 0.1 and 0.2.
pub(super) const VERSION: (c_int, c_int) = (0, 1);

/// `XLA_FFI_Handler`.
pub(super) type Handler = unsafe extern "C" fn(*mut CallFrame) -> *mut FfiError;

#[repr(C)]
pub(super) struct FfiError {
    _opaque: [u8; 0],
}

#[repr(C)]
pub(super) struct Extension {
    pub(super) struct_size: usize,
    pub(super) kind: c_int,
    pub(super) next: *mut Extension,
}

/// `XLA_FFI_Extension_Metadata`.
pub(super) const METADATA_EXTENSION: c_int = 1;

#[repr(C)]
pub(super) struct MetadataExtension {
    pub(super) base: Extension,
    pub(super) metadata: *mut Metadata,
}

#[repr(C)]
pub(super) struct Metadata {
    pub(super) struct_size: usize,
    pub(super) version: ApiVersion,
    pub(super) traits: u32,
}

#[repr(C)]
pub(super) struct ApiVersion {
    pub(super) struct_size: usize,
    pub(super) extension_start: *mut Extension,
    pub(super) major: c_int,
    pub(super) minor: c_int,
}

/// The head of `XLA_FFI_Api`; further functions follow.
#[repr(C)]
pub(super) struct FfiApi {
    pub(super) struct_size: usize,
    pub(super) extension_start: *mut Extension,
    pub(super) version: ApiVersion,
    pub(super) internal: *const c_void,
    pub(super) error_create: Option<unsafe extern "C" fn(*mut ErrorCreate) -> *mut FfiError>,
}

#[repr(C)]
pub(super) struct ErrorCreate {
    pub(super) struct_size: usize,
    pub(super) extension_start: *mut Extension,
    pub(super) message: *const c_char,
    pub(super) code: c_int,
}

/// `XLA_FFI_Error_Code_INTERNAL`.
pub(super) const INTERNAL: c_int = 13;

/// `XLA_FFI_ExecutionStage_EXECUTE`.
pub(super) const EXECUTE: c_int = 3;

/// `XLA_FFI_Args` and `XLA_FFI_Rets`, which are alike.
#[repr(C)]
pub(super) struct Buffers {
    pub(super) struct_size: usize,
    pub(super) extension_start: *mut Extension,
    pub(super) len: i64,
    pub(super) kinds: *const c_int,
    pub(super) buffers: *const *const Buffer,
}

/// `XLA_FFI_ArgType_BUFFER` and `XLA_FFI_RetType_BUFFER`.
pub(super) const BUFFER: c_int = 1;

#[repr(C)]
pub(super) struct Buffer {
    pub(super) struct_size: usize,
    pub(super) extension_start: *mut Extension,
    /// `xla.PrimitiveType`.
    pub(super) element_type: c_int,
    pub(super) data: *mut c_void,
    pub(super) rank: i64,
    pub(super) dims: *const i64,
}

#[repr(C)]
pub(super) struct CallAttributes {
    pub(super) struct_size: usize,
    pub(super) extension_start: *mut Extension,
    pub(super) len: i64,
    pub(super) kinds: *const c_int,
    pub(super) names: *const *const ByteSpan,
    pub(super) values: *const *const c_void,
}

/// `XLA_FFI_AttrType_SCALAR`.
pub(super) const SCALAR: c_int = 3;

#[repr(C)]
pub(super) struct ByteSpan {
    pub(super) data: *const c_char,
    pub(super) len: usize,
}

#[repr(C)]
pub(super) struct Scalar {
    /// `xla.PrimitiveType`.
    pub(super) element_type: c_int,
    pub(super) value: *const c_void,
}

#[repr(C)]
pub(super) struct CallFrame {
    pub(super) struct_size: usize,
    pub(super) extension_start: *mut Extension,
    pub(super) api: *const FfiApi,
    pub(super) context: *mut c_void,
    pub(super) stage: c_int,
    pub(super) operands: Buffers,
    pub(super) results: Buffers,
    pub(super) attributes: CallAttributes,
}

/// `PJRT_Extension_Base`.
#[repr(C)]
pub(super) struct PluginExtension {
    pub(super) struct_size: usize,
    pub(super) kind: c_int,
    pub(super) next: *const PluginExtension,
}

/// `PJRT_Extension_Type_FFI`.
pub(super) const FFI_EXTENSION: c_int = 5;

#[repr(C)]
pub(super) struct FfiExtension {
    pub(super) base: PluginExtension,
    pub(super) type_register: *const c_void,
    pub(super) user_data_add: *const c_void,
    pub(super) register_handler: Option<unsafe extern "C" fn(*mut RegisterHandler) -> *mut super::PjrtError>,
}

/// `PJRT_FFI_Register_Handler_Args`, the one struct of arguments without extensions.
#[repr(C)]
pub(super) struct RegisterHandler {
    pub(super) struct_size: usize,
    pub(super) target_name: *const c_char,
    pub(super) target_name_size: usize,
    pub(super) handler: *const c_void,
    pub(super) platform_name: *const c_char,
    pub(super) platform_name_size: usize,
    pub(super) traits: u32,
}
