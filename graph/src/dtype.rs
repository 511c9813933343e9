//! Element types.

use std::fmt;
use std::str::FromStr;

/// The type of a tensor's elements, with StableHLO's value semantics.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DType {
    /// Boolean, one byte in memory (`i1` in MLIR).
    Pred,
    /// Signed 4-bit integer.
    S4,
    /// Signed 8-bit integer.
    S8,
    /// Signed 16-bit integer.
    S16,
    /// Signed 32-bit integer.
    S32,
    /// Signed 64-bit integer.
    S64,
    /// Unsigned 4-bit integer.
    U4,
    /// Unsigned 8-bit integer.
    U8,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 64-bit integer.
    U64,
    /// 8-bit float, 4 exponent and 3 mantissa bits, no infinity.
    F8E4M3FN,
    /// 8-bit float, 5 exponent and 2 mantissa bits, IEEE-like.
    F8E5M2,
    /// bfloat16.
    BF16,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

/// The arithmetic family of an element type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DTypeKind {
    /// `pred`.
    Boolean,
    /// Two's complement integers.
    Signed,
    /// Unsigned integers.
    Unsigned,
    /// Floating point.
    Float,
}

impl DType {
    /// Every element type, in declaration order.
    pub const ALL: [DType; 17] = [
        DType::Pred,
        DType::S4,
        DType::S8,
        DType::S16,
        DType::S32,
        DType::S64,
        DType::U4,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::F8E4M3FN,
        DType::F8E5M2,
        DType::BF16,
        DType::F16,
        DType::F32,
        DType::F64,
    ];

    /// The name in the text form, which is also HLO's.
    pub fn name(self) -> &'static str {
        match self {
            DType::Pred => "pred",
            DType::S4 => "s4",
            DType::S8 => "s8",
            DType::S16 => "s16",
            DType::S32 => "s32",
            DType::S64 => "s64",
            DType::U4 => "u4",
            DType::U8 => "u8",
            DType::U16 => "u16",
            DType::U32 => "u32",
            DType::U64 => "u64",
            DType::F8E4M3FN => "f8e4m3fn",
            DType::F8E5M2 => "f8e5m2",
            DType::BF16 => "bf16",
            DType::F16 => "f16",
            DType::F32 => "f32",
            DType::F64 => "f64",
        }
    }

    /// The arithmetic family.
    pub fn kind(self) -> DTypeKind {
        match self {
            DType::Pred => DTypeKind::Boolean,
            DType::S4 | DType::S8 | DType::S16 | DType::S32 | DType::S64 => DTypeKind::Signed,
            DType::U4 | DType::U8 | DType::U16 | DType::U32 | DType::U64 => DTypeKind::Unsigned,
            DType::F8E4M3FN | DType::F8E5M2 | DType::BF16 | DType::F16 | DType::F32 | DType::F64 => {
                DTypeKind::Float
            }
        }
    }

    /// Width of the value in bits (1 for `pred`).
    pub fn bits(self) -> usize {
        match self {
            DType::Pred => 1,
            DType::S4 | DType::U4 => 4,
            DType::S8 | DType::U8 | DType::F8E4M3FN | DType::F8E5M2 => 8,
            DType::S16 | DType::U16 | DType::BF16 | DType::F16 => 16,
            DType::S32 | DType::U32 | DType::F32 => 32,
            DType::S64 | DType::U64 | DType::F64 => 64,
        }
    }

    /// Bytes of one element in host memory: 4-bit integers and `pred` take a byte each.
    pub fn byte_width(self) -> usize {
        self.bits().div_ceil(8)
    }

    /// Whether this is a floating-point type.
    pub fn is_float(self) -> bool {
        self.kind() == DTypeKind::Float
    }

    /// Whether this is a signed or unsigned integer type (not `pred`).
    pub fn is_integer(self) -> bool {
        matches!(self.kind(), DTypeKind::Signed | DTypeKind::Unsigned)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = UnknownDType;

    fn from_str(s: &str) -> Result<Self, UnknownDType> {
        DType::ALL.into_iter().find(|d| d.name() == s).ok_or_else(|| UnknownDType(s.to_string()))
    }
}

/// A name that no element type has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown element type `{0}`; known: pred, s4..s64, u4..u64, f8e4m3fn, f8e5m2, bf16, f16, f32, f64")]
pub struct UnknownDType(pub String);
