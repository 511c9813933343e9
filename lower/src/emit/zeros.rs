//! Zeros at the end of a dimension, for operations that compilers treat better when they are larger.

use lapidary_graph::{DType, Literal, TensorType};

use super::statement::only;
use super::{Emitter, Site};
use crate::LowerError;
use crate::mlir::Value;

impl Emitter<'_> {
    /// Writes `value` with `added` zeros at the end of dimension `dim`.
    pub(super) fn grown(
        &mut self,
        site: &Site<'_>,
        value: Value,
        dim: usize,
        added: i64,
    ) -> Result<Value, LowerError> {
        let zero = self.zero(site, value.ty.dtype)?;
        let mut grown = value.ty.clone();
        resize(&mut grown, dim, added);
        let none = vec![0; grown.rank()];
        let high: Vec<i64> = (0..grown.rank()).map(|at| if at == dim { added } else { 0 }).collect();
        let pad = site.beside(vec![value, zero], grown);
        only(self.pad(&pad, &none, &high, &vec![0; high.len()])?)
    }

    /// Writes the scalar zero of this type.
    pub(super) fn zero(&mut self, site: &Site<'_>, dtype: DType) -> Result<Value, LowerError> {
        let scalar = TensorType::scalar(dtype);
        let bytes = vec![0; scalar.byte_size()];
        let zero =
            Literal::from_bytes(scalar, &bytes).map_err(|error| LowerError::Unverified(error.to_string()))?;
        self.scalar(site, &zero)
    }

    /// Writes the beginning of `value` that has the type `ty`.
    pub(super) fn shrunk(
        &mut self,
        site: &Site<'_>,
        value: Value,
        ty: TensorType,
    ) -> Result<Value, LowerError> {
        let limit = ty.dims.clone();
        let (start, stride) = (vec![0; limit.len()], vec![1; limit.len()]);
        only(self.slice(&site.beside(vec![value], ty), &start, &limit, &stride)?)
    }
}

/// Grows dimension `dim` of a type.
pub(super) fn resize(ty: &mut TensorType, dim: usize, added: i64) {
    if let Some(size) = ty.dims.get_mut(dim) {
        *size = size.saturating_add_signed(added as isize);
    }
}
