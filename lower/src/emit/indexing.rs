//! Slices, pads, gathers and scatters.

use std::fmt;

use lapidary_graph::FuncId;
use lapidary_graph::op::{GatherDims, ScatterDims};

use super::statement::Region;
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
