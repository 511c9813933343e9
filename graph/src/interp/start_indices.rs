//! The index vectors of gather and scatter.

use super::error::{Fault, ensure};
use super::index::{distinct_below, others, sizes};
use super::tensor::Tensor;

/// Where index vectors lie in a tensor of indices, and what their components address.
pub(super) struct IndexLayout<'a> {
    /// Dimension of the indices that holds the vector (their rank if implicit).
    pub(super) index_vector_dim: usize,
    /// Operand dimension that each component addresses.
    pub(super) component_dims: &'a [usize],
    /// Operand dimensions addressed by the position of the vector.
    pub(super) operand_batching_dims: &'a [usize],
    /// Dimensions of the indices paired with `operand_batching_dims`.
    pub(super) indices_batching_dims: &'a [usize],
}

/// The start in the operand of every slice or window, in row-major order of the batch dimensions.
pub(super) struct Starts {
    /// The dimensions of the indices without `index_vector_dim`.
    pub(super) batch_dims: Vec<usize>,
    /// One start a batch position, each of the operand's rank.
    pub(super) starts: Vec<Vec<i128>>,
}

impl IndexLayout<'_> {
    pub(super) fn starts(&self, indices: &Tensor, operand_rank: usize) -> Result<Starts, Fault> {
        let rank = indices.rank();
        ensure(indices.dtype().is_integer(), || format!("indices {} are not integers", indices.ty()))?;
        ensure(self.index_vector_dim <= rank, || {
            format!("index vectors in dimension {} of {}", self.index_vector_dim, indices.ty())
        })?;
        let addressed = [self.component_dims, self.operand_batching_dims].concat();
        distinct_below("addressed dimensions", &addressed, operand_rank)?;
        distinct_below("batching dimensions of the indices", self.indices_batching_dims, rank)?;
        let paired = self.operand_batching_dims.len() == self.indices_batching_dims.len()
            && !self.indices_batching_dims.contains(&self.index_vector_dim);
        ensure(paired, || {
            format!("batching {:?} with {:?}", self.operand_batching_dims, self.indices_batching_dims)
        })?;
        let width = indices.dims().get(self.index_vector_dim).copied().unwrap_or(1);
        ensure(width == self.component_dims.len(), || {
            format!("index vectors of {width} components address {:?}", self.component_dims)
        })?;

        let batch_axes = others(&[self.index_vector_dim], rank);
        let batch_dims = sizes(indices.dims(), &batch_axes);
        let mut vector_last = batch_axes.clone();
        if self.index_vector_dim < rank {
            vector_last.push(self.index_vector_dim);
        }
        let by_vector = indices.view().permuted_axes(vector_last);
        let mut components = by_vector.iter();
        let mut batch_index = vec![0; batch_dims.len()];
        let count: usize = batch_dims.iter().product();
        let mut starts = Vec::with_capacity(count);
        for _ in 0..count {
            let mut start = vec![0; operand_rank];
            for (&dim, component) in self.component_dims.iter().zip(&mut components) {
                if let Some(slot) = start.get_mut(dim) {
                    *slot = component.as_i128();
                }
            }
            for (&dim, indices_dim) in self.operand_batching_dims.iter().zip(self.indices_batching_dims) {
                let position = batch_axes.iter().position(|axis| axis == indices_dim);
                let at = position.and_then(|position| batch_index.get(position));
                if let (Some(slot), Some(&at)) = (start.get_mut(dim), at) {
                    *slot = at as i128;
                }
            }
            starts.push(start);
            super::index::advance(&mut batch_index, &batch_dims);
        }
        Ok(Starts { batch_dims, starts })
    }
}
