//! One tensor of a checkpoint, where it lies.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::repack::Repack;
use super::source::Source;
use crate::convert::{ConvertError, convert};
use crate::dtype::TensorDtype;

/// A tensor inside a mapped file (or memory), elements little-endian and row-major. Cloning shares the bytes.
///
/// Where a file packs elements as no program takes them, they are [made](Self::read_into) of its bytes when they are
/// wanted; all others [are](Self::in_file) its bytes.
#[derive(Debug, Clone)]
pub struct TensorView {
    pub(super) name: String,
    pub(super) dtype: TensorDtype,
    pub(super) dims: Vec<usize>,
    pub(super) source: Arc<Source>,
    pub(super) range: Range<usize>,
    /// How elements are made of the bytes; `None` if these are the elements.
    pub(super) repack: Option<Arc<dyn Repack>>,
}

impl TensorView {
    /// A tensor whose elements are the bytes `range` of `source`.
    pub(crate) fn stored(
        name: String,
        dtype: TensorDtype,
        dims: Vec<usize>,
        source: Arc<Source>,
        range: Range<usize>,
    ) -> Self {
        Self { name, dtype, dims, source, range, repack: None }
    }

    /// A tensor whose elements `how` makes of the bytes `range` of `source`.
    pub(crate) fn repacked(
        name: String,
        dtype: TensorDtype,
        dims: Vec<usize>,
        source: Arc<Source>,
        range: Range<usize>,
        how: Arc<dyn Repack>,
    ) -> Self {
        Self { name, dtype, dims, source, range, repack: Some(how) }
    }

    /// The tensor's name in the checkpoint.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Element type.
    pub const fn dtype(&self) -> TensorDtype {
        self.dtype
    }

    /// Shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Elements in the tensor.
    pub fn element_count(&self) -> usize {
        self.dims.iter().product()
    }

    /// Bytes of the elements.
    pub fn byte_count(&self) -> usize {
        self.element_count() * self.dtype.size()
    }

    /// Where the elements themselves lie, for a holder that keeps them without a copy; `None` if they are made of what
    /// the file has.
    pub fn in_file(&self) -> Option<(&Arc<Source>, Range<usize>)> {
        self.repack.is_none().then(|| (&self.source, self.range.clone()))
    }

    /// The elements: those in the file, or made now.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match &self.repack {
            None => Cow::Borrowed(self.raw_bytes()),
            Some(how) => {
                let mut bytes = vec![0; self.byte_count()];
                how.repack(self.raw_bytes(), &mut bytes);
                Cow::Owned(bytes)
            }
        }
    }

    /// Writes the elements into `out`.
    ///
    /// # Errors
    /// [`ConvertError`] if `out` is not `byte_count()` bytes long.
    pub fn read_into(&self, out: &mut [u8]) -> Result<(), ConvertError> {
        match &self.repack {
            Some(how) if out.len() == self.byte_count() => {
                how.repack(self.raw_bytes(), out);
                Ok(())
            }
            Some(_) => Err(ConvertError {
                from: self.dtype,
                from_bytes: self.byte_count(),
                to: self.dtype,
                to_bytes: out.len(),
            }),
            None => convert(self.dtype, self.raw_bytes(), self.dtype, out),
        }
    }

    /// What the file has.
    fn raw_bytes(&self) -> &[u8] {
        self.source.bytes().get(self.range.clone()).unwrap_or_default()
    }

    /// What the elements lie in, or are made of.
    pub const fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Where in [`TensorView::source`] they do, or what they are made of does.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The largest power of two that divides the address of the first byte in the file: what zero-copy depends on.
    pub fn alignment(&self) -> usize {
        1 << self.raw_bytes().as_ptr().addr().trailing_zeros()
    }

    /// Writes all elements into `out` as `dtype`, rounding to nearest even.
    ///
    /// # Errors
    /// [`ConvertError`] if `out` is not `element_count() * dtype.size()` bytes long, or integers are to be something
    /// else.
    pub fn convert_into(&self, dtype: impl Into<TensorDtype>, out: &mut [u8]) -> Result<(), ConvertError> {
        convert(self.dtype, &self.bytes(), dtype, out)
    }

    /// Lets go of the tensor's physical pages; see [`Source::release`].
    pub fn release(&self) {
        self.source.release(self.range());
    }
}
