//! Element types of arrays, and the Rust types that can hold their elements.

use std::fmt;

use half::{bf16, f16};

use crate::ffi::BufferTypeCode;

macro_rules! element_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $buffer_type:literal, $primitive_type:literal, $bytes:literal;)*) => {
        /// The type of an array's elements.
        ///
        /// In host memory a 4-bit integer takes one byte, sign-extended if it is signed; plugins pack them
        /// on the device as they like.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ElementType {
            $($(#[$doc])* $variant,)*
        }

        impl ElementType {
            /// Every element type.
            pub const ALL: &[ElementType] = &[$(Self::$variant),*];

            /// Name in HLO, e.g. `bf16`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The element type of a name in HLO.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            /// Bytes that one element takes in host memory.
            pub fn host_bytes(self) -> usize {
                match self { $(Self::$variant => $bytes,)* }
            }

            /// The `PJRT_Buffer_Type`.
            pub(crate) fn to_buffer_type(self) -> BufferTypeCode {
                match self { $(Self::$variant => $buffer_type,)* }
            }

            pub(crate) fn from_buffer_type(code: BufferTypeCode) -> Option<Self> {
                match code { $($buffer_type => Some(Self::$variant),)* _ => None }
            }

            /// From `xla.PrimitiveType`, whose numbering is not that of `PJRT_Buffer_Type`.
            pub(crate) fn from_primitive_type(code: i32) -> Option<Self> {
                match code { $($primitive_type => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

element_types! {
    /// Boolean, one byte of 0 or 1.
    Pred = "pred", 1, 1, 1;
    /// Signed 4-bit integer.
    S4 = "s4", 21, 21, 1;
    /// Signed 8-bit integer.
    S8 = "s8", 2, 2, 1;
    /// Signed 16-bit integer.
    S16 = "s16", 3, 3, 2;
    /// Signed 32-bit integer.
    S32 = "s32", 4, 4, 4;
    /// Signed 64-bit integer.
    S64 = "s64", 5, 5, 8;
    /// Unsigned 4-bit integer.
    U4 = "u4", 22, 22, 1;
    /// Unsigned 8-bit integer.
    U8 = "u8", 6, 6, 1;
    /// Unsigned 16-bit integer.
    U16 = "u16", 7, 7, 2;
    /// Unsigned 32-bit integer.
    U32 = "u32", 8, 8, 4;
    /// Unsigned 64-bit integer.
    U64 = "u64", 9, 9, 8;
    /// 8-bit float with 4 exponent and 3 mantissa bits, without infinities.
    F8E4M3FN = "f8e4m3fn", 17, 20, 1;
    /// 8-bit float with 5 exponent and 2 mantissa bits.
    F8E5M2 = "f8e5m2", 16, 19, 1;
    /// bfloat16.
    BF16 = "bf16", 13, 16, 2;
    /// IEEE half precision.
    F16 = "f16", 10, 10, 2;
    /// IEEE single precision.
    F32 = "f32", 11, 11, 4;
    /// IEEE double precision.
    F64 = "f64", 12, 12, 8;
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Rust type that elements can be read as.
pub trait Element: bytemuck::Pod + sealed::Sealed {
    /// Name of the Rust type, for messages.
    const NAME: &'static str;

    /// Whether elements of `element_type` have this type's representation in host memory.
    fn represents(element_type: ElementType) -> bool;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($type:ty => $($variant:ident)|+;)*) => {$(
        impl sealed::Sealed for $type {}

        impl Element for $type {
            const NAME: &'static str = stringify!($type);

            fn represents(element_type: ElementType) -> bool {
                matches!(element_type, $(ElementType::$variant)|+)
            }
        }
    )*};
}

elements! {
    i8 => S8 | S4;
    i16 => S16;
    i32 => S32;
    i64 => S64;
    u8 => U8 | U4 | Pred | F8E4M3FN | F8E5M2;
    u16 => U16;
    u32 => U32;
    u64 => U64;
    bf16 => BF16;
    f16 => F16;
    f32 => F32;
    f64 => F64;
}
