//! Dot products, in the form that the target makes the best code of.

use std::fmt;

use lapidary_graph::op::{DotDims, Precision};
use lapidary_graph::{DType, TensorType};

use super::merged_rows::MergedRows;
use super::single_batch::SingleBatches;
use super::statement::only;
use super::zeros::resize;
use super::{Emitter, Signature, Site};
use crate::LowerError;
use crate::mlir::{List, Value};
use crate::target::RowPadding;

impl Emitter<'_> {
    pub(super) fn dot_general(
        &mut self,
        site: &Site<'_>,
        dims: &DotDims,
        precision: Precision,
    ) -> Result<Vec<Value>, LowerError> {
        let forms = &self.target.dots;
        let precision = if forms.honours_precision { precision } else { Precision::Default };
        let lhs = site.operand(0)?;
        let rhs = site.operand(1)?;
        let result = site.result()?;

        let through_f32 = forms.narrow_results_through_f32
            && is_narrow_float(lhs.ty.dtype)
            && is_narrow_float(rhs.ty.dtype)
            && is_narrow_float(result.dtype);
        let product_type = if through_f32 { result.with_dtype(DType::F32) } else { result.clone() };

        let padding = forms.row_padding.and_then(|rule| Padding::of(rule, &lhs.ty, &rhs.ty, dims));
        let single = SingleBatches::of(&lhs.ty, dims).filter(|_| forms.drops_single_batches);
        let merging = MergedRows::of(&lhs.ty, dims).filter(|_| forms.merges_rows && self.placement.is_none());
        let product = match padding {
            None => {
                let dot = site.beside(vec![lhs.clone(), rhs.clone()], product_type);
                match (single, merging) {
                    (Some(single), _) => self.product_without(&dot, &single, precision)?,
                    (None, Some(merging)) => self.product_of_merged_rows(&dot, &merging, precision)?,
                    (None, None) => self.product(&dot, dims, precision)?,
                }
            }
            Some(padding) => {
                let padded = self.grown(site, lhs.clone(), padding.lhs_dim, padding.added)?;
                let mut padded_type = product_type.clone();
                resize(&mut padded_type, padding.result_dim, padding.added);
                let dot = site.beside(vec![padded, rhs.clone()], padded_type);
                let padded = self.product(&dot, dims, precision)?;
                self.shrunk(site, padded, product_type)?
            }
        };
        if product.ty == *result {
            return Ok(vec![product]);
        }
        let convert = site.beside(vec![product], result.clone());
        self.statement(&convert, "stablehlo.convert", "", Signature::Function)
    }

    pub(super) fn product(
        &mut self,
        site: &Site<'_>,
        dims: &DotDims,
        precision: Precision,
    ) -> Result<Value, LowerError> {
        let attributes = DotAttributes { dims, precision };
        let results = self.statement(site, "stablehlo.dot_general", attributes, Signature::Function)?;
        only(results)
    }
}

/// How a dot's left rows are padded: one free dimension grows.
struct Padding {
    /// The left operand's dimension that grows.
    lhs_dim: usize,
    /// The same dimension in the result.
    result_dim: usize,
    /// By how many elements it grows.
    added: i64,
}

impl Padding {
    /// The padding of this dot, if the rule applies to it: no batch dimensions, at least one left free
    /// dimension, few left rows and a large right operand.
    fn of(rule: RowPadding, lhs: &TensorType, rhs: &TensorType, dims: &DotDims) -> Option<Self> {
        if !lhs.dtype.is_float() || !dims.lhs_batch.is_empty() || rhs.byte_size() < rule.min_rhs_bytes {
            return None;
        }
        let free: Vec<usize> = (0..lhs.rank()).filter(|d| !dims.lhs_contract.contains(d)).collect();
        let sizes = free.iter().map(|&d| lhs.dims.get(d).copied().unwrap_or(1));
        let rows = sizes.fold(1usize, usize::saturating_mul);
        if rows == 0 || rows >= rule.rows {
            return None;
        }
        // Without batch dimensions the result's first dimensions are the left free ones, in order.
        let result_dim = free.len().checked_sub(1)?;
        let lhs_dim = *free.get(result_dim)?;
        let size = lhs.dims.get(lhs_dim).copied()?;
        let padded_size = rule.rows.div_ceil(rows / size);
        Some(Self { lhs_dim, result_dim, added: i64::try_from(padded_size - size).ok()? })
    }
}

/// Whether this is a float of fewer bits than f32.
pub(super) fn is_narrow_float(dtype: DType) -> bool {
    dtype.is_float() && dtype.bits() < DType::F32.bits()
}

/// What follows the operands of a `dot_general`.
struct DotAttributes<'a> {
    dims: &'a DotDims,
    precision: Precision,
}

impl fmt::Display for DotAttributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DotDims { lhs_batch, rhs_batch, lhs_contract, rhs_contract } = self.dims;
        if !lhs_batch.is_empty() {
            write!(f, ", batching_dims = {} x {}", List(lhs_batch), List(rhs_batch))?;
        }
        write!(f, ", contracting_dims = {} x {}", List(lhs_contract), List(rhs_contract))?;
        match self.precision {
            Precision::Default => Ok(()),
            Precision::High | Precision::Highest => {
                let name = self.precision.name();
                write!(f, ", precision = [{name}, {name}]")
            }
        }
    }
}
