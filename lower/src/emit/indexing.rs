//! Slices, pads, gathers and scatters.

use std::fmt;

use lapidary_graph::op::{GatherDims, ScatterDims};
use lapidary_graph::{FuncId, TensorType};

use super::statement::{Region, only};
use super::zeros::resize;
use super::{Emitter, Signature, Site};
use crate::LowerError;
use crate::mlir::{I64Array, List, Value};

impl Emitter<'_> {
    pub(super) fn slice(
        &mut self,
        site: &Site<'_>,
        start: &[usize],
        limit: &[usize],
        stride: &[usize],
    ) -> Result<Vec<Value>, LowerError> {
        let bounds: Vec<Range> = start
            .iter()
            .zip(limit)
            .zip(stride)
            .map(|((&start, &limit), &stride)| Range { start, limit, stride })
            .collect();
        self.statement(site, "stablehlo.slice", format_args!(" {}", List(&bounds)), Signature::Function)
    }

    pub(super) fn pad(
        &mut self,
        site: &Site<'_>,
        low: &[i64],
        high: &[i64],
        interior: &[usize],
    ) -> Result<Vec<Value>, LowerError> {
        let (low, high, interior) = (List(low), List(high), List(interior));
        let attributes = format_args!(", low = {low}, high = {high}, interior = {interior}");
        self.statement(site, "stablehlo.pad", attributes, Signature::Function)
    }

    pub(super) fn gather(
        &mut self,
        site: &Site<'_>,
        dims: &GatherDims,
        slice_sizes: &[usize],
        indices_are_sorted: bool,
    ) -> Result<Vec<Value>, LowerError> {
        let (indices, result) = (site.operand(1)?, site.result()?);
        let pairs = self.target.pairs_single_gathers && self.placement.is_some();
        let Some((index_dim, result_dim)) =
            pairs.then(|| dims_of_single_index(dims, &indices.ty, result)).flatten()
        else {
            return self.gather_as_it_is(site, dims, slice_sizes, indices_are_sorted);
        };
        // The index beside it is zero, which need not come after it.
        let pair = self.grown(site, indices.clone(), index_dim, 1)?;
        let mut pair_type = result.clone();
        resize(&mut pair_type, result_dim, 1);
        let of_pair = site.beside(vec![site.operand(0)?.clone(), pair], pair_type);
        let slices = only(self.gather_as_it_is(&of_pair, dims, slice_sizes, false)?)?;
        Ok(vec![self.shrunk(site, slices, result.clone())?])
    }

    fn gather_as_it_is(
        &mut self,
        site: &Site<'_>,
        dims: &GatherDims,
        slice_sizes: &[usize],
        indices_are_sorted: bool,
    ) -> Result<Vec<Value>, LowerError> {
        let GatherDims {
            offset_dims,
            collapsed_slice_dims,
            operand_batching_dims,
            start_indices_batching_dims,
            start_index_map,
            index_vector_dim,
        } = dims;
        let numbers = format!(
            "#stablehlo.gather<offset_dims = {}, collapsed_slice_dims = {}, operand_batching_dims = {}, \
             start_indices_batching_dims = {}, start_index_map = {}, index_vector_dim = {index_vector_dim}>",
            List(offset_dims),
            List(collapsed_slice_dims),
            List(operand_batching_dims),
            List(start_indices_batching_dims),
            List(start_index_map),
        );
        let sizes = I64Array(slice_sizes);
        let properties = format_args!(
            "dimension_numbers = {numbers}, indices_are_sorted = {indices_are_sorted}, slice_sizes = {sizes}"
        );
        self.generic(site, "stablehlo.gather", properties, &[])
    }

    /// `promises` are whether the indices are sorted and whether they are unique.
    pub(super) fn scatter(
        &mut self,
        site: &Site<'_>,
        dims: &ScatterDims,
        promises: (bool, bool),
        body: FuncId,
    ) -> Result<Vec<Value>, LowerError> {
        let ScatterDims {
            update_window_dims,
            inserted_window_dims,
            input_batching_dims,
            scatter_indices_batching_dims,
            scatter_dims_to_operand_dims,
            index_vector_dim,
        } = dims;
        let numbers = format!(
            "#stablehlo.scatter<update_window_dims = {}, inserted_window_dims = {}, \
             input_batching_dims = {}, scatter_indices_batching_dims = {}, \
             scatter_dims_to_operand_dims = {}, index_vector_dim = {index_vector_dim}>",
            List(update_window_dims),
            List(inserted_window_dims),
            List(input_batching_dims),
            List(scatter_indices_batching_dims),
            List(scatter_dims_to_operand_dims),
        );
        let (sorted, unique) = promises;
        let properties = format_args!(
            "indices_are_sorted = {sorted}, scatter_dimension_numbers = {numbers}, unique_indices = {unique}"
        );
        self.generic(site, "stablehlo.scatter", properties, &[Region::Block(body)])
    }
}

/// Of a gather of a single slice, the dimensions of its indices and of its result that a second index would lengthen.
fn dims_of_single_index(
    dims: &GatherDims,
    indices: &TensorType,
    result: &TensorType,
) -> Option<(usize, usize)> {
    let batch = || (0..indices.rank()).filter(|&dim| dim != dims.index_vector_dim);
    let paired = |dim: &usize| dims.start_indices_batching_dims.contains(dim);
    if batch().any(|dim| indices.dims.get(dim) != Some(&1) || paired(&dim)) {
        return None;
    }
    let index_dim = batch().next_back()?;
    // The result's other dimensions run over the indices, in their order.
    let result_dim = (0..result.rank()).rfind(|dim| !dims.offset_dims.contains(dim))?;
    Some((index_dim, result_dim))
}

/// One dimension of a slice: `start:limit` or `start:limit:stride`.
struct Range {
    start: usize,
    limit: usize,
    stride: usize,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.start, self.limit)?;
        if self.stride == 1 { Ok(()) } else { write!(f, ":{}", self.stride) }
    }
}
