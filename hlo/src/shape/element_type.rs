//! Element types by XLA's name, number and width.

use serde::{Serialize, Serializer};

macro_rules! element_types {
    ($($variant:ident $name:literal $number:literal $bits:literal,)*) => {
        /// An element type of XLA (`PrimitiveType` of `xla/xla_data.proto`), tuples aside.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "the names are XLA's")]
        pub enum ElementType {
            $($variant,)*
        }

        impl ElementType {
            /// The type that HLO text calls `name`.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The type with this number in XLA's protocol buffers.
            pub fn from_number(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Name in HLO text.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Width of an element in memory, unless its layout says otherwise; 0 for what holds no data.
            pub fn bits(self) -> u64 {
                match self {
                    $(Self::$variant => $bits,)*
                }
            }
        }
    };
}

element_types! {
    Pred "pred" 1 8,
    S1 "s1" 30 1,
    S2 "s2" 26 2,
    S4 "s4" 21 4,
    S8 "s8" 2 8,
    S16 "s16" 3 16,
    S32 "s32" 4 32,
    S64 "s64" 5 64,
    U1 "u1" 31 1,
    U2 "u2" 27 2,
    U4 "u4" 22 4,
    U8 "u8" 6 8,
    U16 "u16" 7 16,
    U32 "u32" 8 32,
    U64 "u64" 9 64,
    F4E2M1Fn "f4e2m1fn" 32 4,
    F8E3M4 "f8e3m4" 29 8,
    F8E4M3 "f8e4m3" 28 8,
    F8E4M3Fn "f8e4m3fn" 20 8,
    F8E4M3B11Fnuz "f8e4m3b11fnuz" 23 8,
    F8E4M3Fnuz "f8e4m3fnuz" 25 8,
    F8E5M2 "f8e5m2" 19 8,
    F8E5M2Fnuz "f8e5m2fnuz" 24 8,
    F8E8M0Fnu "f8e8m0fnu" 33 8,
    F16 "f16" 10 16,
    Bf16 "bf16" 16 16,
    F32 "f32" 11 32,
    F64 "f64" 12 64,
    C64 "c64" 15 64,
    C128 "c128" 18 128,
    Token "token" 17 0,
    Opaque "opaque" 14 0,
}

impl Serialize for ElementType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
