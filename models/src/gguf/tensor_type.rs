//! The element types of tensors, by the numbers that ggml gives them.

use super::blocks::{self, Format};
use crate::dtype::StoredDtype;

/// How a tensor that can be read is stored.
#[derive(Debug, Clone, Copy)]
pub(super) enum TensorType {
    /// One number after the other.
    Dense(StoredDtype),
    /// Blocks of codes with scales.
    Blocks(&'static Format),
}

impl TensorType {
    pub(super) fn of(id: u32) -> Option<Self> {
        READABLE.iter().find(|(known, _)| *known == id).map(|(_, kind)| *kind)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Dense(dtype) => dtype.safetensors_name(),
            Self::Blocks(format) => format.name,
        }
    }

    /// Elements in the smallest unit that is stored.
    pub(super) const fn block_elements(self) -> usize {
        match self {
            Self::Dense(_) => 1,
            Self::Blocks(format) => format.elements,
        }
    }

    /// Bytes of that unit.
    pub(super) const fn block_bytes(self) -> usize {
        match self {
            Self::Dense(dtype) => dtype.size(),
            Self::Blocks(format) => format.bytes,
        }
    }
}

static READABLE: [(u32, TensorType); 15] = [
    (0, TensorType::Dense(StoredDtype::F32)),
    (1, TensorType::Dense(StoredDtype::F16)),
    (30, TensorType::Dense(StoredDtype::Bf16)),
    (2, TensorType::Blocks(&blocks::Q4_0)),
    (3, TensorType::Blocks(&blocks::Q4_1)),
    (6, TensorType::Blocks(&blocks::Q5_0)),
    (7, TensorType::Blocks(&blocks::Q5_1)),
    (8, TensorType::Blocks(&blocks::Q8_0)),
    (10, TensorType::Blocks(&blocks::Q2_K)),
    (11, TensorType::Blocks(&blocks::Q3_K)),
    (12, TensorType::Blocks(&blocks::Q4_K)),
    (13, TensorType::Blocks(&blocks::Q5_K)),
    (14, TensorType::Blocks(&blocks::Q6_K)),
    (20, TensorType::Blocks(&blocks::IQ4_NL)),
    (23, TensorType::Blocks(&blocks::IQ4_XS)),
];

/// Types that are known by name only.
const UNREADABLE: [(u32, &str); 18] = [
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
];

/// The name of a type that cannot be read.
pub(super) fn unreadable_name(id: u32) -> String {
    let known = UNREADABLE.iter().find(|(known, _)| *known == id);
    known.map_or_else(|| format!("of type {id}"), |(_, name)| (*name).to_owned())
}

/// The types that can be read, to show.
pub(super) fn readable_names() -> String {
    READABLE.map(|(_, kind)| kind.name()).join(", ")
}
