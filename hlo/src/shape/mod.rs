//! Shapes: arrays with layouts, and tuples of them.

mod element_type;
mod layout;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

pub use element_type::ElementType;
pub(crate) use layout::product;
pub use layout::{COMBINED, Layout};

/// Dimensions that an array may have, far more than any backend takes.
const MAX_RANK: usize = 256;

/// Type of a value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// An array; tokens and opaque values are arrays of no width.
    Array(ArrayShape),
    /// A tuple, which holds addresses and takes up no memory worth counting.
    Tuple(Vec<Shape>),
}

/// An array: element type, sizes, layout.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ArrayShape {
    /// Type of an element.
    pub element_type: ElementType,
    /// Sizes; of a dynamic dimension its bound.
    pub dimensions: Vec<u64>,
    /// Layout; the default one where the program says nothing.
    pub layout: Layout,
}

/// What is wrong with a shape.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShapeError {
    /// More bytes than an address can count.
    #[error("an array of {0:?} elements is larger than any memory")]
    TooLarge(Vec<u64>),
    /// The layout is for another number of dimensions, or a tile has a size that is not positive.
    #[error("the layout does not fit an array of {0:?}")]
    Layout(Vec<u64>),
}

impl ArrayShape {
    /// Checks that sizes can be computed, so that [`ArrayShape::elements`] and [`ArrayShape::bytes`] cannot fail.
    pub(crate) fn validate(&self) -> Result<(), ShapeError> {
        let dimensions = || self.dimensions.clone();
        let order = &self.layout.minor_to_major;
        if self.dimensions.len() > MAX_RANK {
            return Err(ShapeError::Layout(dimensions()));
        }
        let is_permutation = (0..self.dimensions.len()).all(|d| order.contains(&d));
        if !order.is_empty() && (order.len() != self.dimensions.len() || !is_permutation) {
            return Err(ShapeError::Layout(dimensions()));
        }
        if self.layout.tiles.iter().flatten().any(|&size| size != COMBINED && size <= 0) {
            return Err(ShapeError::Layout(dimensions()));
        }
        let padded = self.layout.padded_elements(&self.dimensions);
        // Bits, and an eighth of the range to spare for sums over a program.
        let bits = self.element_bits().max(1);
        let representable =
            |elements: u64| elements.checked_mul(bits).and_then(|b| b.checked_mul(8)).is_some();
        match (product(&self.dimensions), padded) {
            (Some(_), Some(padded)) if representable(padded) => Ok(()),
            _ => Err(ShapeError::TooLarge(dimensions())),
        }
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        product(&self.dimensions).unwrap_or(u64::MAX)
    }

    /// Bytes in memory, with the padding of the layout's tiles.
    pub fn bytes(&self) -> u64 {
        let elements = self.layout.padded_elements(&self.dimensions).unwrap_or(u64::MAX);
        elements.saturating_mul(self.element_bits()).div_ceil(8)
    }

    /// Bytes of the elements alone, as they would be sent to someone who lays them out anew.
    pub fn unpadded_bytes(&self) -> u64 {
        self.elements().saturating_mul(self.element_bits()).div_ceil(8)
    }

    fn element_bits(&self) -> u64 {
        match self.layout.element_bits {
            0 => self.element_type.bits(),
            bits => bits,
        }
    }
}

impl Shape {
    /// The array, if it is one.
    pub fn as_array(&self) -> Option<&ArrayShape> {
        match self {
            Self::Array(array) => Some(array),
            Self::Tuple(_) => None,
        }
    }

    /// Part `index` of a tuple.
    pub fn part(&self, index: usize) -> Option<&Shape> {
        match self {
            Self::Array(_) => None,
            Self::Tuple(parts) => parts.get(index),
        }
    }

    /// The arrays in it, from left to right.
    pub fn arrays(&self) -> Vec<&ArrayShape> {
        match self {
            Self::Array(array) => vec![array],
            Self::Tuple(parts) => parts.iter().flat_map(Shape::arrays).collect(),
        }
    }

    /// Number of elements of all arrays.
    pub fn elements(&self) -> u64 {
        self.arrays().into_iter().map(ArrayShape::elements).fold(0, u64::saturating_add)
    }

    /// Bytes of the elements of all arrays, without padding.
    pub fn unpadded_bytes(&self) -> u64 {
        self.arrays().into_iter().map(ArrayShape::unpadded_bytes).fold(0, u64::saturating_add)
    }

    /// Bytes in memory of all arrays, with the padding of their layouts.
    pub fn bytes(&self) -> u64 {
        self.arrays().into_iter().map(ArrayShape::bytes).fold(0, u64::saturating_add)
    }
}

/// Type and sizes as in HLO text, without layouts: `bf16[4,128]`, `(f32[8], s32[])`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(array) => {
                write!(f, "{}[", array.element_type.name())?;
                for (index, size) in array.dimensions.iter().enumerate() {
                    write!(f, "{}{size}", if index > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Tuple(parts) => {
                f.write_str("(")?;
                for (index, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
        }
    }
}
