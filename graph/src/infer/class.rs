//! Sets of element types that ops accept.

use std::fmt;

use crate::DType;
use crate::dtype::DTypeKind;

/// A set of element types, named as the StableHLO specification names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DTypeClass {
    /// `pred` only.
    Pred,
    /// `s32` only.
    S32,
    /// `u64` only.
    U64,
    /// `s8` and `u8`, whose bytes hold codes of 8 bits and pairs of codes of 4.
    S8OrU8,
    /// `s4` and `s8`.
    S4OrS8,
    /// Floats.
    Float,
    /// Signed and unsigned integers.
    Integer,
    /// Integers at least as wide as this type.
    IntegerAtLeast(DType),
    /// `pred` and integers.
    PredOrInteger,
    /// Signed integers and floats.
    SignedOrFloat,
    /// Integers and floats: all but `pred`.
    IntegerOrFloat,
    /// Every element type.
    Any,
}

impl DTypeClass {
    /// Whether the set contains `dtype`.
    pub fn contains(self, dtype: DType) -> bool {
        let kind = dtype.kind();
        match self {
            DTypeClass::Pred => dtype == DType::Pred,
            DTypeClass::S32 => dtype == DType::S32,
            DTypeClass::U64 => dtype == DType::U64,
            DTypeClass::S8OrU8 => matches!(dtype, DType::S8 | DType::U8),
            DTypeClass::S4OrS8 => matches!(dtype, DType::S4 | DType::S8),
            DTypeClass::Float => dtype.is_float(),
            DTypeClass::Integer => dtype.is_integer(),
            DTypeClass::IntegerAtLeast(least) => dtype.is_integer() && dtype.bits() >= least.bits(),
            DTypeClass::PredOrInteger => !dtype.is_float(),
            DTypeClass::SignedOrFloat => matches!(kind, DTypeKind::Signed | DTypeKind::Float),
            DTypeClass::IntegerOrFloat => kind != DTypeKind::Boolean,
            DTypeClass::Any => true,
        }
    }
}

impl fmt::Display for DTypeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DTypeClass::Pred => f.write_str("pred"),
            DTypeClass::S32 => f.write_str("s32"),
            DTypeClass::U64 => f.write_str("u64"),
            DTypeClass::S8OrU8 => f.write_str("s8 or u8"),
            DTypeClass::S4OrS8 => f.write_str("s4 or s8"),
            DTypeClass::Float => f.write_str("a float type"),
            DTypeClass::Integer => f.write_str("an integer type"),
            DTypeClass::IntegerAtLeast(least) => {
                write!(f, "an integer type of {} bits or more", least.bits())
            }
            DTypeClass::PredOrInteger => f.write_str("pred or an integer type"),
            DTypeClass::SignedOrFloat => f.write_str("a signed integer or float type"),
            DTypeClass::IntegerOrFloat => f.write_str("an integer or float type"),
            DTypeClass::Any => f.write_str("any element type"),
        }
    }
}
