//! Gather and scatter.

use lapidary_graph::op::{GatherDims, ScatterDims};
use lapidary_graph::{DType, Module, Op, TensorType};

use super::{Case, Choices, function, scalars};

/// What gather and scatter have in common: slices of an operand at index vectors.
struct Slices {
    operand: Vec<usize>,
    indices: TensorType,
    slice_sizes: Vec<usize>,
    collapsed: Vec<usize>,
    batching: Vec<usize>,
    indices_batching: Vec<usize>,
    index_map: Vec<usize>,
    index_vector_dim: usize,
    /// Dimensions of the result or the updates that run over a slice.
    offset_dims: Vec<usize>,
    /// The dimensions of the result or the updates.
    combined: Vec<usize>,
}

impl Slices {
    fn random(choices: &mut Choices) -> Self {
        let operand: Vec<usize> = (0..choices.below(4)).map(|_| 1 + choices.below(3)).collect();
        // Each dimension is sliced, collapsed or batching.
        let roles: Vec<usize> = operand.iter().map(|_| choices.below(3)).collect();
        let of_role = |role| (0..operand.len()).filter(|&dim| roles[dim] == role).collect::<Vec<_>>();
        let (sliced, collapsed, batching) = (of_role(0), of_role(1), of_role(2));
        let slice_sizes: Vec<usize> = operand
            .iter()
            .zip(&roles)
            .map(|(&size, &role)| if role == 0 { choices.below(size + 1) } else { 1 })
            .collect();

        let unbatched = [sliced.as_slice(), &collapsed].concat();
        let mut index_map: Vec<usize> = choices.subset(unbatched.len());
        index_map.iter_mut().for_each(|at| *at = unbatched[*at]);

        // Batch dimensions of the indices: those paired with the operand's, and others among them.
        let mut batch: Vec<(usize, Option<usize>)> =
            batching.iter().enumerate().map(|(pair, &dim)| (operand[dim], Some(pair))).collect();
        for _ in 0..choices.below(3) {
            batch.insert(choices.below(batch.len() + 1), (choices.size(), None));
        }
        let implicit = index_map.len() == 1 && choices.coin();
        let index_vector_dim = if implicit { batch.len() } else { choices.below(batch.len() + 1) };
        let mut index_dims: Vec<usize> = batch.iter().map(|&(size, _)| size).collect();
        if !implicit {
            index_dims.insert(index_vector_dim, index_map.len());
        }
        let position = |pair: usize| {
            let at = batch.iter().position(|&(_, p)| p == Some(pair)).unwrap_or_default();
            at + usize::from(at >= index_vector_dim)
        };
        let indices_batching = (0..batching.len()).map(position).collect();

        let rank = batch.len() + sliced.len();
        let mut offset_dims = choices.permutation(rank);
        offset_dims.truncate(sliced.len());
        offset_dims.sort_unstable();
        let (mut batch_sizes, mut slices) = (batch.iter(), sliced.iter());
        let combined = (0..rank)
            .filter_map(|dim| {
                if offset_dims.contains(&dim) {
                    slices.next().map(|&sliced| slice_sizes[sliced])
                } else {
                    batch_sizes.next().map(|&(size, _)| size)
                }
            })
            .collect();
        let indices = TensorType::new(choices.dtype(DType::is_integer), index_dims);
        Self {
            operand,
            indices,
            slice_sizes,
            collapsed,
            batching,
            indices_batching,
            index_map,
            index_vector_dim,
            offset_dims,
            combined,
        }
    }
}

pub(crate) fn gather(choices: &mut Choices) -> Case {
    let slices = Slices::random(choices);
    let dims = GatherDims {
        offset_dims: slices.offset_dims,
        collapsed_slice_dims: slices.collapsed,
        operand_batching_dims: slices.batching,
        start_indices_batching_dims: slices.indices_batching,
        start_index_map: slices.index_map,
        index_vector_dim: slices.index_vector_dim,
    };
    let op = Op::Gather { dims, slice_sizes: slices.slice_sizes, indices_are_sorted: false };
    let operand = TensorType::new(choices.dtype(|_| true), slices.operand);
    Case::of(op, &[operand, slices.indices], choices)
}

pub(crate) fn scatter(choices: &mut Choices) -> Case {
    let slices = Slices::random(choices);
    let dims = ScatterDims {
        update_window_dims: slices.offset_dims,
        inserted_window_dims: slices.collapsed,
        input_batching_dims: slices.batching,
        scatter_indices_batching_dims: slices.indices_batching,
        scatter_dims_to_operand_dims: slices.index_map,
        index_vector_dim: slices.index_vector_dim,
    };
    let dtypes: Vec<DType> = (0..1 + choices.below(2)).map(|_| choices.dtype(|_| true)).collect();
    let mut module = Module::new("test");
    let body = function(&mut module, &scalars([dtypes.clone(), dtypes.clone()].concat()), |b, values| {
        let (current, updates) = values.split_at(dtypes.len());
        current.iter().zip(updates).map(|(&current, &update)| b.add(current, update).unwrap()).collect()
    });
    let all_of = |dims: &[usize]| dtypes.iter().map(|&d| TensorType::new(d, dims)).collect::<Vec<_>>();
    let types = [all_of(&slices.operand), vec![slices.indices], all_of(&slices.combined)].concat();
    let op = Op::Scatter { dims, indices_are_sorted: false, unique_indices: false, body };
    Case::within(module, op, &types, choices)
}
