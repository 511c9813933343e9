//! Tensors of the interpreter: every element widened to the largest type of its family.

use ndarray::{ArcArray, ArrayD, ArrayViewD, IxDyn};

use crate::element::{self, Scalar};
use crate::literal::LiteralSizeError;
use crate::{DType, Literal, TensorType};

/// A tensor value. Cloning shares the elements.
///
/// Elements are kept as [`Scalar`]s that the element type can represent, so an op computes in the wide type
/// and rounds once. The bits of a NaN are the only thing that widening may change: a signalling NaN becomes
/// quiet, and NaNs of the 8-bit floats become one.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    dtype: DType,
    elements: ArcArray<Scalar, IxDyn>,
}

/// Elements that do not make up a tensor of the type they were given for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TensorError {
    /// Too few or too many elements or bytes.
    #[error(transparent)]
    Size(#[from] LiteralSizeError),
    /// Dimensions whose product overflows.
    #[error("no array in memory can have the dimensions of {0}")]
    Dimensions(TensorType),
}

impl Tensor {
    /// The value of a literal.
    ///
    /// # Errors
    /// If the dimensions (an empty tensor may have absurd ones) are beyond an array in memory.
    pub fn from_literal(literal: &Literal) -> Result<Self, TensorError> {
        let ty = literal.ty();
        Self::from_wide(ty.dtype, &ty.dims, literal.scalars().collect())
    }

    /// A tensor from its bytes in memory: row-major, little-endian, `pred` and 4-bit integers a byte each.
    ///
    /// # Errors
    /// If the number of bytes is not the type's.
    pub fn from_bytes(ty: TensorType, bytes: &[u8]) -> Result<Self, TensorError> {
        Self::from_literal(&Literal::from_bytes(ty, bytes)?)
    }

    /// A tensor from scalars in row-major order, each converted to the type's dtype.
    ///
    /// # Errors
    /// If the number of scalars is not the type's number of elements.
    pub fn from_scalars(
        ty: TensorType,
        scalars: impl IntoIterator<Item = Scalar>,
    ) -> Result<Self, TensorError> {
        Self::from_literal(&Literal::from_scalars(ty, scalars)?)
    }

    /// A tensor of `dtype` from floats in row-major order.
    ///
    /// # Errors
    /// If the number of floats is not the product of `dims`.
    pub fn from_floats(dtype: DType, dims: &[usize], values: &[f64]) -> Result<Self, TensorError> {
        Self::from_scalars(TensorType::new(dtype, dims), values.iter().map(|&v| Scalar::Float(v)))
    }

    /// A tensor of `dtype` from integers in row-major order.
    ///
    /// # Errors
    /// If the number of integers is not the product of `dims`.
    pub fn from_ints(dtype: DType, dims: &[usize], values: &[i64]) -> Result<Self, TensorError> {
        let scalars = values.iter().map(|&v| Scalar::Int(i128::from(v)));
        Self::from_scalars(TensorType::new(dtype, dims), scalars)
    }

    /// An `f32` tensor from elements in row-major order.
    ///
    /// # Errors
    /// If the number of elements is not the product of `dims`.
    pub fn from_f32(dims: &[usize], values: &[f32]) -> Result<Self, TensorError> {
        let scalars = values.iter().map(|&v| Scalar::Float(f64::from(v)));
        Self::from_scalars(TensorType::new(DType::F32, dims), scalars)
    }

    /// An `s32` tensor from elements in row-major order.
    ///
    /// # Errors
    /// If the number of elements is not the product of `dims`.
    pub fn from_i32(dims: &[usize], values: &[i32]) -> Result<Self, TensorError> {
        let scalars = values.iter().map(|&v| Scalar::Int(i128::from(v)));
        Self::from_scalars(TensorType::new(DType::S32, dims), scalars)
    }

    /// A scalar converted to `dtype`.
    pub fn scalar(dtype: DType, value: Scalar) -> Self {
        let elements = ArrayD::from_elem(IxDyn(&[]), element::round(dtype, value));
        Self { dtype, elements: elements.into_shared() }
    }

    /// A tensor from elements in row-major order that `dtype` represents exactly.
    pub(super) fn from_wide(
        dtype: DType,
        dims: &[usize],
        elements: Vec<Scalar>,
    ) -> Result<Self, TensorError> {
        let array = ArrayD::from_shape_vec(IxDyn(dims), elements)
            .map_err(|_| TensorError::Dimensions(TensorType::new(dtype, dims)))?;
        Ok(Self { dtype, elements: array.into_shared() })
    }

    /// A tensor from a view of elements that `dtype` represents exactly, made row-major.
    pub(super) fn from_view(dtype: DType, view: &ArrayViewD<'_, Scalar>) -> Self {
        Self { dtype, elements: view.as_standard_layout().into_owned().into_shared() }
    }

    /// The value as a literal.
    ///
    /// # Errors
    /// Never for a tensor of this module; the signature is that of [`Literal::from_scalars`].
    pub fn to_literal(&self) -> Result<Literal, LiteralSizeError> {
        Literal::from_scalars(self.ty(), self.scalars())
    }

    /// The bytes in memory, as [`Tensor::from_bytes`] takes them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.elements.len() * self.dtype.byte_width());
        for scalar in self.scalars() {
            element::push(self.dtype, scalar, &mut bytes);
        }
        bytes
    }

    /// The elements in row-major order as floats, the way `convert` makes them.
    pub fn to_floats(&self) -> Vec<f64> {
        self.scalars().map(Scalar::as_f64).collect()
    }

    /// The elements in row-major order as integers: floats truncate, NaN is 0.
    pub fn to_ints(&self) -> Vec<i128> {
        self.scalars().map(Scalar::as_i128).collect()
    }

    /// The type.
    pub fn ty(&self) -> TensorType {
        TensorType::new(self.dtype, self.dims())
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The dimensions.
    pub fn dims(&self) -> &[usize] {
        self.elements.shape()
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.elements.ndim()
    }

    /// The elements as an array.
    pub fn view(&self) -> ArrayViewD<'_, Scalar> {
        self.elements.view()
    }

    /// The elements in row-major order.
    pub fn scalars(&self) -> impl Iterator<Item = Scalar> + '_ {
        self.elements.iter().copied()
    }

    /// The only element of a scalar, `None` of anything else.
    pub fn as_scalar(&self) -> Option<Scalar> {
        if self.rank() == 0 { self.elements.first().copied() } else { None }
    }

    /// The elements as an array of their own, copied if they are shared.
    pub(super) fn into_array(self) -> ArrayD<Scalar> {
        self.elements.into_owned()
    }
}
