//! Random applications of every op: valid ones, and ones broken in one place.

mod choices;
mod control;
mod elementwise;
mod indexed;
mod perturb;
mod reducing;
mod structure;

pub(crate) use choices::Choices;
pub(crate) use perturb::perturb;

use lapidary_graph::element::Scalar;
use lapidary_graph::interp::Tensor;
use lapidary_graph::{FuncId, FunctionBuilder, Module, Op, TensorType, ValueId};

/// An op on operands, in a module that has the functions it refers to.
pub(crate) struct Case {
    pub(crate) module: Module,
    pub(crate) op: Op,
    pub(crate) operands: Vec<Tensor>,
}

impl Case {
    /// An op without functions on operands of small random elements.
    fn of(op: Op, types: &[TensorType], choices: &mut Choices) -> Self {
        Self::within(Module::new("test"), op, types, choices)
    }

    fn within(module: Module, op: Op, types: &[TensorType], choices: &mut Choices) -> Self {
        let operands = types.iter().map(|ty| tensor(ty, choices)).collect();
        Self { module, op, operands }
    }

    pub(crate) fn operand_types(&self) -> Vec<TensorType> {
        self.operands.iter().map(Tensor::ty).collect()
    }
}

/// A tensor of elements from -3 to 9, most of them in bounds of the dimensions that [`Choices::dims`] makes.
pub(crate) fn tensor(ty: &TensorType, choices: &mut Choices) -> Tensor {
    let elements: Vec<Scalar> =
        (0..ty.num_elements()).map(|_| Scalar::Int(choices.pick(&[0, 1, 2, 1, 0, 3, -3, 9]))).collect();
    Tensor::from_scalars(ty.clone(), elements).unwrap()
}

/// A valid application of the `family`-th op family.
pub(crate) fn valid(family: usize, choices: &mut Choices) -> Case {
    FAMILIES[family].1(choices)
}

type Generator = fn(&mut Choices) -> Case;

/// Every family by name: together they make every op.
pub(crate) const FAMILIES: &[(&str, Generator)] = &[
    ("constant", structure::constant),
    ("iota", structure::iota),
    ("unary", elementwise::unary),
    ("binary", elementwise::binary),
    ("compare", elementwise::compare),
    ("select", elementwise::select),
    ("clamp", elementwise::clamp),
    ("convert", elementwise::convert),
    ("bitcast_convert", elementwise::bitcast_convert),
    ("broadcast_in_dim", structure::broadcast_in_dim),
    ("reshape", structure::reshape),
    ("transpose", structure::transpose),
    ("concatenate", structure::concatenate),
    ("slice", structure::slice),
    ("dynamic_slice", structure::dynamic_slice),
    ("dynamic_update_slice", structure::dynamic_update_slice),
    ("pad", structure::pad),
    ("reverse", structure::reverse),
    ("gather", indexed::gather),
    ("scatter", indexed::scatter),
    ("dot_general", reducing::dot_general),
    ("reduce", reducing::reduce),
    ("sort", reducing::sort),
    ("while", control::while_loop),
    ("if", control::if_else),
    ("case", control::case),
    ("call", control::call),
    ("rng_bit_generator", control::rng_bit_generator),
    ("custom_call", control::custom_call),
    ("optimization_barrier", control::optimization_barrier),
    ("composite", control::composite),
    ("sharding_constraint", control::sharding_constraint),
];

/// Adds a function of `params` whose results `build` makes of its parameters.
fn function(
    module: &mut Module,
    params: &[TensorType],
    build: impl FnOnce(&mut FunctionBuilder<'_>, &[ValueId]) -> Vec<ValueId>,
) -> FuncId {
    let mut b = FunctionBuilder::new(module, "callee");
    let values: Vec<ValueId> = params.iter().map(|ty| b.param("", ty.clone())).collect();
    let results = build(&mut b, &values);
    b.finish(&results)
}

fn scalars(dtypes: impl IntoIterator<Item = lapidary_graph::DType>) -> Vec<TensorType> {
    dtypes.into_iter().map(TensorType::scalar).collect()
}
