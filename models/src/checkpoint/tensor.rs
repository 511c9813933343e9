//! One tensor of a checkpoint, where it lies.

use std::ops::Range;
use std::sync::Arc;

use super::source::Source;
use crate::convert::{ConvertError, convert};
use crate::dtype::StoredDtype;

/// A tensor inside a mapped file (or memory), elements little-endian and row-major. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct TensorView {
    pub(super) name: String,
    pub(super) dtype: StoredDtype,
    pub(super) dims: Vec<usize>,
    pub(super) source: Arc<Source>,
    pub(super) range: Range<usize>,
}

impl TensorView {
    /// The tensor's name in the checkpoint.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Element type on disk.
    pub const fn dtype(&self) -> StoredDtype {
        self.dtype
    }

    /// Shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Elements in the tensor.
    pub fn element_count(&self) -> usize {
        self.range.len() / self.dtype.size()
    }

    /// The elements as stored.
    pub fn bytes(&self) -> &[u8] {
        self.source.bytes().get(self.range.clone()).unwrap_or_default()
    }

    /// What the elements lie in, for a holder that keeps them without a copy.
    pub const fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Where in [`TensorView::source`] the elements lie.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The largest power of two that divides the address of the first element: what zero-copy depends on.
    pub fn alignment(&self) -> usize {
        1 << self.bytes().as_ptr().addr().trailing_zeros()
    }

    /// Writes all elements into `out` as `dtype`, rounding to nearest even.
    ///
    /// # Errors
    /// [`ConvertError`] if `out` is not `element_count() * dtype.size()` bytes long.
    pub fn convert_into(&self, dtype: StoredDtype, out: &mut [u8]) -> Result<(), ConvertError> {
        convert(self.dtype, self.bytes(), dtype, out)
    }

    /// Writes the elements numbered `elements` into `out` as [`convert_into`](Self::convert_into) does, so that a
    /// part of the tensor can be read without the rest.
    ///
    /// # Errors
    /// [`ConvertError`] if the tensor does not have all of these elements, or `out` has room for another number.
    pub fn convert_range_into(
        &self,
        elements: Range<usize>,
        dtype: StoredDtype,
        out: &mut [u8],
    ) -> Result<(), ConvertError> {
        let size = self.dtype.size();
        let bytes = elements.start.checked_mul(size).zip(elements.end.checked_mul(size));
        let input = bytes.and_then(|(start, end)| self.bytes().get(start..end));
        convert(self.dtype, input.unwrap_or_default(), dtype, out)
    }

    /// Lets go of the tensor's physical pages; see [`Source::release`].
    pub fn release(&self) {
        self.source.release(self.range());
    }
}
