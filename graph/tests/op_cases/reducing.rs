//! Dot products, reductions and sorts.

use lapidary_graph::op::{Comparison, DotDims, Precision};
use lapidary_graph::{DType, Module, Op, TensorType};

use super::{Case, Choices, function, scalars};

pub(crate) fn dot_general(choices: &mut Choices) -> Case {
    let dtype = choices.dtype(|dtype| dtype != DType::Pred);
    let result = choices.dtype(|result| {
        if dtype.is_float() {
            result.is_float()
        } else {
            result.is_integer() && result.bits() >= dtype.bits()
        }
    });
    let sizes = |choices: &mut Choices| (0..choices.below(3)).map(|_| choices.size()).collect::<Vec<_>>();
    let (batch, contracted) = (sizes(choices), sizes(choices));
    let side = |choices: &mut Choices| {
        let all = [batch.clone(), contracted.clone(), sizes(choices)].concat();
        let order = choices.permutation(all.len());
        let mut dims = vec![0; all.len()];
        for (&size, &dim) in all.iter().zip(&order) {
            dims[dim] = size;
        }
        let (batch, rest) = order.split_at(batch.len());
        (TensorType::new(dtype, dims), batch.to_vec(), rest[..contracted.len()].to_vec())
    };
    let (lhs, lhs_batch, lhs_contract) = side(choices);
    let (rhs, rhs_batch, rhs_contract) = side(choices);
    let dims = DotDims { lhs_batch, rhs_batch, lhs_contract, rhs_contract };
    let precision = choices.pick(Precision::ALL);
    Case::of(Op::DotGeneral { dims, precision, result }, &[lhs, rhs], choices)
}

pub(crate) fn reduce(choices: &mut Choices) -> Case {
    let dims = choices.dims();
    let dtypes: Vec<DType> = (0..1 + choices.below(2)).map(|_| choices.dtype(|_| true)).collect();
    let mut module = Module::new("test");
    let body = function(&mut module, &scalars([dtypes.clone(), dtypes.clone()].concat()), |b, values| {
        let (accumulators, elements) = values.split_at(dtypes.len());
        accumulators.iter().zip(elements).map(|(&a, &x)| b.max(a, x).unwrap()).collect()
    });
    let inputs: Vec<TensorType> = dtypes.iter().map(|&d| TensorType::new(d, dims.as_slice())).collect();
    let op = Op::Reduce { dims: choices.subset(dims.len()), body };
    Case::within(module, op, &[inputs, scalars(dtypes)].concat(), choices)
}

pub(crate) fn sort(choices: &mut Choices) -> Case {
    let mut dims = choices.dims();
    dims.push(choices.size());
    let dtypes: Vec<DType> = (0..1 + choices.below(2)).map(|_| choices.dtype(|_| true)).collect();
    let mut module = Module::new("test");
    let pairs = scalars(dtypes.iter().flat_map(|&dtype| [dtype; 2]));
    let comparator = function(&mut module, &pairs, |b, values| {
        vec![b.compare(Comparison::Lt, values[0], values[1]).unwrap()]
    });
    let types: Vec<TensorType> = dtypes.iter().map(|&d| TensorType::new(d, dims.as_slice())).collect();
    let op = Op::Sort { dim: choices.below(dims.len()), stable: choices.coin(), comparator };
    Case::within(module, op, &types, choices)
}
