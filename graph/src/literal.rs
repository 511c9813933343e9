//! Literal tensors: a type and its elements as bytes.

use std::sync::Arc;

use crate::element::{self, Scalar};
use crate::{DType, TensorType};

/// A constant tensor, row-major and little-endian; `pred` and 4-bit integers take one byte each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Literal {
    ty: TensorType,
    bytes: Arc<[u8]>,
}

/// Elements or bytes that do not fill the type they were given for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a literal of type {ty} takes {expected} {unit}, got {got}")]
pub struct LiteralSizeError {
    ty: TensorType,
    unit: &'static str,
    expected: usize,
    got: usize,
}

impl Literal {
    /// A literal from its bytes in memory.
    ///
    /// # Errors
    /// If the number of bytes is not the type's.
    pub fn from_bytes(ty: TensorType, bytes: &[u8]) -> Result<Self, LiteralSizeError> {
        if bytes.len() != ty.byte_size() {
            return Err(LiteralSizeError { expected: ty.byte_size(), got: bytes.len(), unit: "bytes", ty });
        }
        Ok(Self { ty, bytes: bytes.into() })
    }

    /// A literal from scalars in row-major order, each converted to the type's dtype.
    ///
    /// # Errors
    /// If the number of scalars is not the type's number of elements.
    pub fn from_scalars(
        ty: TensorType,
        scalars: impl IntoIterator<Item = Scalar>,
    ) -> Result<Self, LiteralSizeError> {
        let Self { ty: vector, bytes } = Self::vector(ty.dtype, scalars);
        let got = vector.num_elements();
        if got != ty.num_elements() {
            return Err(LiteralSizeError { expected: ty.num_elements(), got, unit: "elements", ty });
        }
        Ok(Self { ty, bytes })
    }

    /// A vector of as many elements as there are scalars, each converted to `dtype`.
    pub fn vector(dtype: DType, scalars: impl IntoIterator<Item = Scalar>) -> Self {
        let mut bytes = Vec::new();
        let mut len = 0;
        for scalar in scalars {
            element::push(dtype, scalar, &mut bytes);
            len += 1;
        }
        Self { ty: TensorType::new(dtype, [len]), bytes: bytes.into() }
    }

    /// A scalar converted to `dtype`.
    pub fn scalar(dtype: DType, value: Scalar) -> Self {
        let mut bytes = Vec::new();
        element::push(dtype, value, &mut bytes);
        Self { ty: TensorType::scalar(dtype), bytes: bytes.into() }
    }

    /// A float scalar, rounded to `dtype`.
    pub fn float(dtype: DType, value: f64) -> Self {
        Self::scalar(dtype, Scalar::Float(value))
    }

    /// An integer scalar of `dtype`.
    pub fn int(dtype: DType, value: i64) -> Self {
        Self::scalar(dtype, Scalar::Int(i128::from(value)))
    }

    /// A boolean scalar.
    pub fn pred(value: bool) -> Self {
        Self::scalar(DType::Pred, Scalar::Bool(value))
    }

    /// The type.
    pub fn ty(&self) -> &TensorType {
        &self.ty
    }

    /// The elements in memory.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The elements in row-major order.
    pub fn scalars(&self) -> impl Iterator<Item = Scalar> + '_ {
        (0..self.ty.num_elements()).map_while(|i| element::read(self.ty.dtype, &self.bytes, i))
    }

    /// The single value of all elements, if they are one and the same bit pattern.
    pub fn splat(&self) -> Option<Scalar> {
        let width = self.ty.dtype.byte_width();
        let mut chunks = self.bytes.chunks(width);
        let first = chunks.next()?;
        if chunks.all(|chunk| chunk == first) { element::read(self.ty.dtype, &self.bytes, 0) } else { None }
    }
}
