//! Products without those of their batch dimensions that have one element.

use lapidary_graph::TensorType;
use lapidary_graph::op::{DotDims, Precision};

use super::{Emitter, Site};
use crate::LowerError;
use crate::mlir::Value;

/// What is dropped from a product's operands and its result, and what is left.
pub(super) struct SingleBatches {
    lhs: Vec<usize>,
    rhs: Vec<usize>,
    result: Vec<usize>,
    left: DotDims,
}

impl SingleBatches {
    /// The batch dimensions of one element; `None` if there are none.
    pub(super) fn of(lhs: &TensorType, dims: &DotDims) -> Option<Self> {
        let pairs = dims.lhs_batch.iter().copied().zip(dims.rhs_batch.iter().copied());
        // A result's first dimensions are the batch dimensions, in order.
        let single = pairs.enumerate().filter(|(_, (dim, _))| lhs.dims.get(*dim) == Some(&1));
        let (result, (lhs, rhs)): (Vec<usize>, (Vec<usize>, Vec<usize>)) = single.unzip();
        let left = DotDims {
            lhs_batch: left(&dims.lhs_batch, &lhs),
            rhs_batch: left(&dims.rhs_batch, &rhs),
            lhs_contract: left(&dims.lhs_contract, &lhs),
            rhs_contract: left(&dims.rhs_contract, &rhs),
        };
        (!result.is_empty()).then_some(Self { lhs, rhs, result, left })
    }
}

/// Those of `dims` that are not `dropped`, as they are numbered once these are.
fn left(dims: &[usize], dropped: &[usize]) -> Vec<usize> {
    let kept = dims.iter().filter(|dim| !dropped.contains(dim));
    kept.map(|&dim| dim - dropped.iter().filter(|&&dropped| dropped < dim).count()).collect()
}

fn without(ty: &TensorType, dropped: &[usize]) -> TensorType {
    let kept = ty.dims.iter().enumerate().filter(|(dim, _)| !dropped.contains(dim));
    ty.with_dims(kept.map(|(_, &size)| size).collect::<Vec<_>>())
}

impl Emitter<'_> {
    /// Writes the product of `site`'s operands, `single` being its batch dimensions of one element.
    pub(super) fn product_without(
        &mut self,
        site: &Site<'_>,
        single: &SingleBatches,
        precision: Precision,
    ) -> Result<Value, LowerError> {
        let (lhs, rhs, result) = (site.operand(0)?.clone(), site.operand(1)?.clone(), site.result()?.clone());
        let (lhs_type, rhs_type) = (without(&lhs.ty, &single.lhs), without(&rhs.ty, &single.rhs));
        let lhs = self.converted(site, "stablehlo.reshape", lhs, lhs_type)?;
        let rhs = self.converted(site, "stablehlo.reshape", rhs, rhs_type)?;
        let dot = site.beside(vec![lhs, rhs], without(&result, &single.result));
        let product = self.product(&dot, &single.left, precision)?;
        self.converted(site, "stablehlo.reshape", product, result)
    }
}
