//! Array shapes.

use std::fmt;

use crate::{ElementType, Error, Result};

/// Element type and dimensions of an array, e.g. `f32[2,3]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Type of the elements.
    pub element_type: ElementType,
    /// Size of each dimension, major to minor; empty for a scalar.
    pub dims: Vec<usize>,
}

impl Shape {
    /// The shape of an array.
    pub fn new(element_type: ElementType, dims: impl Into<Vec<usize>>) -> Self {
        Self { element_type, dims: dims.into() }
    }

    /// Bytes of a dense array of this shape in host memory.
    ///
    /// # Errors
    /// [`Error::ShapeTooLarge`] if that does not fit an `isize`.
    pub fn host_bytes(&self) -> Result<usize> {
        self.dims
            .iter()
            .try_fold(self.element_type.host_bytes(), |bytes, &dim| bytes.checked_mul(dim))
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or_else(|| Error::ShapeTooLarge { shape: self.clone() })
    }

    /// The dimensions as PJRT takes them.
    pub(crate) fn dims_i64(&self) -> Result<Vec<i64>> {
        self.dims
            .iter()
            .map(|&dim| i64::try_from(dim).map_err(|_| Error::ShapeTooLarge { shape: self.clone() }))
            .collect()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.element_type)?;
        for (index, dim) in self.dims.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{dim}")?;
        }
        f.write_str("]")
    }
}
