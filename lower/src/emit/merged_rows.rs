//! Products with batch dimensions, brought into the form of a product of matrices for each of the batch.

use lapidary_graph::TensorType;
use lapidary_graph::op::{DotDims, Precision};

use super::statement::only;
use super::{Emitter, Site};
use crate::LowerError;
use crate::mlir::Value;

/// The left operand of a product as `[batch..., rows, contracted...]`.
pub(super) struct MergedRows {
    /// The order of its dimensions.
    order: Vec<usize>,
    /// How many of them are of the batch.
    batch: usize,
    /// How many of them are rows.
    free: usize,
    /// The product of the merged operand.
    merged: DotDims,
}

impl MergedRows {
    /// What is to be merged; `None` where compilers need not turn the right operand anyway: without a batch, with one
    /// dimension of rows, or where the right operand's contracted dimensions come right behind its batch.
    pub(super) fn of(lhs: &TensorType, dims: &DotDims) -> Option<Self> {
        let DotDims { lhs_batch, lhs_contract, rhs_batch, rhs_contract } = dims;
        let is_free = |dim: &usize| !lhs_batch.contains(dim) && !lhs_contract.contains(dim);
        let free: Vec<usize> = (0..lhs.rank()).filter(is_free).collect();
        let behind_batch =
            rhs_contract.iter().copied().eq(rhs_batch.len()..rhs_batch.len() + rhs_contract.len());
        if lhs_batch.is_empty() || free.len() < 2 || behind_batch {
            return None;
        }
        let batch = lhs_batch.len();
        Some(Self {
            order: [lhs_batch.as_slice(), &free, lhs_contract].concat(),
            batch,
            free: free.len(),
            merged: DotDims {
                lhs_batch: (0..batch).collect(),
                lhs_contract: (batch + 1..=batch + lhs_contract.len()).collect(),
                ..dims.clone()
            },
        })
    }

    /// A type whose first dimensions are those of the batch and the rows, with one for all rows.
    fn with_one_row_dim(&self, ty: &TensorType) -> TensorType {
        let (batch, rest) = ty.dims.split_at(self.batch.min(ty.rank()));
        let (rows, rest) = rest.split_at(self.free.min(rest.len()));
        ty.with_dims([batch, &[rows.iter().product()], rest].concat())
    }
}

impl Emitter<'_> {
    /// Writes the product of `site`'s operands with the rows of the left one merged.
    pub(super) fn product_of_merged_rows(
        &mut self,
        site: &Site<'_>,
        merging: &MergedRows,
        precision: Precision,
    ) -> Result<Value, LowerError> {
        let (lhs, rhs, result) = (site.operand(0)?.clone(), site.operand(1)?.clone(), site.result()?.clone());
        let sizes = merging.order.iter().map(|&dim| lhs.ty.dims.get(dim).copied().unwrap_or(1));
        let ordered = lhs.ty.with_dims(sizes.collect::<Vec<_>>());
        let transposed = site.beside(vec![lhs], ordered.clone());
        let lhs = only(self.with_dims(&transposed, "stablehlo.transpose", &merging.order)?)?;
        let lhs = self.converted(site, "stablehlo.reshape", lhs, merging.with_one_row_dim(&ordered))?;
        let dot = site.beside(vec![lhs, rhs], merging.with_one_row_dim(&result));
        let product = self.product(&dot, &merging.merged, precision)?;
        self.converted(site, "stablehlo.reshape", product, result)
    }
}
