//! Evaluation of one function: arguments in, ops in order, results out.

use super::body::Body;
use super::error::{EvalError, Fault};
use super::index::one_per_dimension;
use super::tensor::Tensor;
use super::{
    Interpreter, Limits, bits, control, dot, dynamic, elementwise, gather, reduce, rng, scatter, sort,
    structure,
};
use crate::scope::location;
use crate::{FuncId, Function, Op, OpId, Operation, TensorType, ValueId};

/// Calls nested deeper than this are an error. Models nest a handful; the bound keeps the stack.
const MAX_DEPTH: usize = 64;

/// A function being evaluated.
#[derive(Clone)]
pub(super) struct Frame<'a> {
    interpreter: &'a Interpreter<'a>,
    function_id: FuncId,
    depth: usize,
}

impl<'a> Frame<'a> {
    /// The frame of a function that nothing calls.
    pub(super) fn entry(interpreter: &'a Interpreter<'a>, function: FuncId) -> Self {
        Self { interpreter, function_id: function, depth: 0 }
    }

    pub(super) fn interpreter(&self) -> &'a Interpreter<'a> {
        self.interpreter
    }

    /// A function that this one may call: any that comes before it, so that there is no recursion.
    pub(super) fn callee(&self, id: FuncId) -> Result<&'a Function, Fault> {
        let earlier = id.index() < self.function_id.index();
        self.interpreter.module.function(id).filter(|_| earlier).ok_or(Fault::UnknownFunction(id))
    }

    /// Evaluates a function that this one calls.
    pub(super) fn call(&self, id: FuncId, arguments: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
        self.callee(id)?;
        if self.depth >= MAX_DEPTH {
            return Err(Fault::TooDeep(MAX_DEPTH));
        }
        let frame = Self { interpreter: self.interpreter, function_id: id, depth: self.depth + 1 };
        frame.evaluate(arguments).map_err(Fault::Callee)
    }

    /// The results of the function for `arguments`.
    pub(super) fn evaluate(&self, arguments: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
        let module = self.interpreter.module;
        let Some(function) = module.function(self.function_id) else {
            let fault = Fault::UnknownFunction(self.function_id);
            return Err(EvalError::new("a function", module.name.as_str(), fault));
        };
        let mut values = bind(function, arguments, &self.interpreter.limits)
            .map_err(|fault| EvalError::new("the parameters", function.name.as_str(), fault))?;
        for (index, operation) in function.ops.iter().enumerate() {
            self.step(function, operation, &mut values).map_err(|fault| {
                let what = format!("`{}` ({})", operation.op.name(), OpId::new(index));
                EvalError::new(what, location(&function.name, module.scopes.path(operation.scope)), fault)
            })?;
        }
        let results = function.results.iter().map(|result| values.get(result.value));
        results
            .collect::<Result<_, _>>()
            .map_err(|fault| EvalError::new("the results", function.name.as_str(), fault))
    }

    /// Evaluates one operation into `values`, checking its results against the types the function declares.
    fn step(&self, function: &Function, operation: &Operation, values: &mut Values) -> Result<(), Fault> {
        let operands =
            operation.operands.iter().map(|&value| values.get(value)).collect::<Result<Vec<_>, _>>()?;
        let results = self.apply(&operation.op, &operands)?;
        if results.len() != operation.results.len() {
            return Err(Fault::ResultCount { declared: operation.results.len(), computed: results.len() });
        }
        for (index, (&value, result)) in operation.results.iter().zip(results).enumerate() {
            let declared = function.value_type(value).ok_or(Fault::UnknownValue(value))?;
            let computed = result.ty();
            if *declared != computed {
                return Err(Fault::ResultType { index, declared: declared.clone(), computed });
            }
            // An empty tensor may have dimensions whose product the next op could not allocate.
            self.interpreter.limits.admit(&computed)?;
            values.set(value, result)?;
        }
        Ok(())
    }

    fn apply(&self, op: &Op, operands: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
        let limits = &self.interpreter.limits;
        let one = |result: Tensor| vec![result];
        match op {
            Op::Constant { value } => {
                let [] = exactly(operands)?;
                limits.admit(value.ty())?;
                Ok(one(Tensor::from_literal(value)?))
            }
            Op::Iota { result, dim } => {
                let [] = exactly(operands)?;
                structure::iota(result, *dim, limits).map(one)
            }
            Op::Unary { kind } => {
                let [operand] = exactly(operands)?;
                elementwise::unary(*kind, operand).map(one)
            }
            Op::Binary { kind } => {
                let [lhs, rhs] = exactly(operands)?;
                elementwise::binary(*kind, lhs, rhs).map(one)
            }
            Op::Compare { direction, total_order } => {
                let [lhs, rhs] = exactly(operands)?;
                elementwise::compare(*direction, *total_order, lhs, rhs).map(one)
            }
            Op::Select => {
                let [pred, on_true, on_false] = exactly(operands)?;
                elementwise::select(pred, on_true, on_false).map(one)
            }
            Op::Clamp => {
                let [low, operand, high] = exactly(operands)?;
                elementwise::clamp(low, operand, high).map(one)
            }
            Op::Convert { to } => {
                let [operand] = exactly(operands)?;
                elementwise::convert(*to, operand).map(one)
            }
            Op::BitcastConvert { to } => {
                let [operand] = exactly(operands)?;
                bits::bitcast_convert(operand, *to, limits).map(one)
            }
            Op::BroadcastInDim { dims, broadcast_dims } => {
                let [operand] = exactly(operands)?;
                structure::broadcast_in_dim(operand, dims, broadcast_dims, limits).map(one)
            }
            Op::Reshape { dims } => {
                let [operand] = exactly(operands)?;
                structure::reshape(operand, dims).map(one)
            }
            Op::Transpose { permutation } => {
                let [operand] = exactly(operands)?;
                structure::transpose(operand, permutation).map(one)
            }
            Op::Concatenate { dim } => structure::concatenate(operands, *dim, limits).map(one),
            Op::Slice { start, limit, stride } => {
                let [operand] = exactly(operands)?;
                structure::slice(operand, start, limit, stride).map(one)
            }
            Op::DynamicSlice { sizes } => dynamic::dynamic_slice(operands, sizes).map(one),
            Op::DynamicUpdateSlice => dynamic::dynamic_update_slice(operands).map(one),
            Op::Pad { low, high, interior } => {
                let [operand, value] = exactly(operands)?;
                structure::pad(operand, value, low, high, interior, limits).map(one)
            }
            Op::Reverse { dims } => {
                let [operand] = exactly(operands)?;
                structure::reverse(operand, dims).map(one)
            }
            Op::Gather { dims, slice_sizes, indices_are_sorted: _ } => {
                let [operand, indices] = exactly(operands)?;
                gather::gather(operand, indices, dims, slice_sizes, limits).map(one)
            }
            Op::Scatter { dims, indices_are_sorted: _, unique_indices: _, body } => {
                scatter::scatter(operands, dims, Body::new(self, *body)?)
            }
            Op::DotGeneral { dims, precision: _, result } => {
                let [lhs, rhs] = exactly(operands)?;
                dot::dot_general(lhs, rhs, dims, *result, limits).map(one)
            }
            Op::Reduce { dims, body } => reduce::reduce(operands, dims, Body::new(self, *body)?),
            Op::Sort { dim, stable: _, comparator } => {
                sort::sort(operands, *dim, Body::new(self, *comparator)?)
            }
            Op::While { cond, body } => control::while_loop(self, operands, *cond, *body),
            Op::If { then_branch, else_branch } => {
                control::if_else(self, operands, *then_branch, *else_branch)
            }
            Op::Case { branches } => control::case(self, operands, branches),
            Op::Call { callee } | Op::Composite { name: _, attributes: _, decomposition: callee } => {
                self.call(*callee, operands)
            }
            Op::RngBitGenerator { algorithm, result } => {
                let [state] = exactly(operands)?;
                rng::rng_bit_generator(*algorithm, state, result, limits)
            }
            Op::CustomCall { target, results, attributes, has_side_effect: _ } => {
                control::custom_call(self, target, attributes, operands, results)
            }
            Op::OptimizationBarrier => Ok(operands.to_vec()),
            Op::ShardingConstraint { axes } => {
                let [operand] = exactly(operands)?;
                one_per_dimension("logical axes", axes.0.len(), operand.rank())?;
                Ok(one(operand.clone()))
            }
        }
    }
}

/// The values of a function so far, by id.
struct Values(Vec<Option<Tensor>>);

impl Values {
    fn get(&self, id: ValueId) -> Result<Tensor, Fault> {
        self.0.get(id.index()).cloned().flatten().ok_or(Fault::UnknownValue(id))
    }

    fn set(&mut self, id: ValueId, value: Tensor) -> Result<(), Fault> {
        *self.0.get_mut(id.index()).ok_or(Fault::UnknownValue(id))? = Some(value);
        Ok(())
    }
}

/// The values of a function before its first operation: the parameters, if the arguments have their types.
fn bind(function: &Function, arguments: &[Tensor], limits: &Limits) -> Result<Values, Fault> {
    if arguments.len() != function.params.len() {
        return Err(Fault::OperandCount { expected: function.params.len(), got: arguments.len() });
    }
    let mut values = Values(vec![None; function.values.len()]);
    for (index, (param, argument)) in function.params.iter().zip(arguments).enumerate() {
        let expected: &TensorType =
            function.value_type(param.value).ok_or(Fault::UnknownValue(param.value))?;
        let got = argument.ty();
        if *expected != got {
            return Err(Fault::ArgumentType { index, expected: expected.clone(), got });
        }
        limits.admit(&got)?;
        values.set(param.value, argument.clone())?;
    }
    Ok(values)
}

/// The operands of an op that takes `N`.
fn exactly<const N: usize>(operands: &[Tensor]) -> Result<&[Tensor; N], Fault> {
    operands.try_into().map_err(|_| Fault::OperandCount { expected: N, got: operands.len() })
}
