//! Tensor types: an element type and static dimensions.

use std::fmt;

use crate::DType;

/// The type of a value: element type and dimensions. A scalar has no dimensions.
///
/// Its `Display` is HLO's: `bf16[2,16,2304]`, `f32[]`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Size of each dimension, major to minor.
    pub dims: Vec<usize>,
}

impl TensorType {
    /// A tensor type of `dtype` and `dims`.
    pub fn new(dtype: DType, dims: impl Into<Vec<usize>>) -> Self {
        Self { dtype, dims: dims.into() }
    }

    /// The type of a scalar.
    pub fn scalar(dtype: DType) -> Self {
        Self { dtype, dims: Vec::new() }
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// Number of elements; saturates, so that absurd shapes stay comparable instead of wrapping.
    pub fn num_elements(&self) -> usize {
        self.dims.iter().fold(1usize, |n, &d| n.saturating_mul(d))
    }

    /// Bytes in host memory (4-bit integers take one byte each); saturates.
    pub fn byte_size(&self) -> usize {
        self.num_elements().saturating_mul(self.dtype.byte_width())
    }

    /// Bytes in a device's memory (two 4-bit integers share one); saturates.
    pub fn device_size(&self) -> usize {
        match self.dtype.bits() {
            4 => self.num_elements().div_ceil(2),
            _ => self.byte_size(),
        }
    }

    /// The same dimensions with another element type.
    pub fn with_dtype(&self, dtype: DType) -> Self {
        Self { dtype, dims: self.dims.clone() }
    }

    /// The same element type with other dimensions.
    pub fn with_dims(&self, dims: impl Into<Vec<usize>>) -> Self {
        Self { dtype: self.dtype, dims: dims.into() }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (i, d) in self.dims.iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("]")
    }
}
