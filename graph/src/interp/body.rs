//! Bodies of reduce, scatter and sort: functions on scalars, called once an element.

use super::error::{Fault, ensure};
use super::frame::Frame;
use super::scalar;
use super::tensor::Tensor;
use crate::element::{self, Scalar};
use crate::op::{BinaryKind, Comparison, UnaryKind};
use crate::{DType, FuncId, Function, FunctionType, Op, Operation, TensorType};

/// A function from scalars to scalars, ready to be called many times.
pub(super) struct Body<'a> {
    ty: FunctionType,
    code: Code<'a>,
    results: Vec<Scalar>,
}

enum Code<'a> {
    /// Elementwise ops only: runs on a register file, without a tensor in sight.
    Straight(Program),
    /// Anything else is evaluated like any function.
    General { frame: Frame<'a>, body: FuncId },
}

impl<'a> Body<'a> {
    pub(super) fn new(frame: &Frame<'a>, body: FuncId) -> Result<Self, Fault> {
        let function = frame.callee(body)?;
        let code = Program::compile(function)
            .map_or_else(|| Code::General { frame: frame.clone(), body }, Code::Straight);
        Ok(Self { ty: function.ty(), code, results: Vec::new() })
    }

    /// Fails unless the function maps scalars of `params` to scalars of `results`.
    pub(super) fn expect_dtypes(
        &self,
        params: impl IntoIterator<Item = DType>,
        results: impl IntoIterator<Item = DType>,
    ) -> Result<(), Fault> {
        let params = params.into_iter().map(TensorType::scalar).collect();
        let results = results.into_iter().map(TensorType::scalar).collect();
        let expected = FunctionType { params, results };
        ensure(self.ty == expected, || {
            let list =
                |types: &[TensorType]| types.iter().map(TensorType::to_string).collect::<Vec<_>>().join(", ");
            format!(
                "the body is ({}) -> ({}), not ({}) -> ({})",
                list(&self.ty.params),
                list(&self.ty.results),
                list(&expected.params),
                list(&expected.results)
            )
        })
    }

    /// The element types of the results.
    pub(super) fn result_dtypes(&self) -> impl Iterator<Item = DType> + '_ {
        self.ty.results.iter().map(|ty| ty.dtype)
    }

    /// The results for `arguments`, which have the parameters' types.
    pub(super) fn call(&mut self, arguments: &[Scalar]) -> Result<&[Scalar], Fault> {
        self.results.clear();
        match &mut self.code {
            Code::Straight(program) => program.run(arguments, &mut self.results)?,
            Code::General { frame, body } => {
                let typed = arguments.iter().zip(&self.ty.params);
                let tensors: Vec<Tensor> = typed.map(|(&x, ty)| Tensor::scalar(ty.dtype, x)).collect();
                let results = frame.call(*body, &tensors)?;
                self.results.extend(results.iter().filter_map(Tensor::as_scalar));
            }
        }
        Ok(&self.results)
    }
}

/// A function of elementwise ops on scalars: each value is a register, in arena order.
struct Program {
    registers: Vec<Scalar>,
    params: Vec<usize>,
    steps: Vec<Step>,
    results: Vec<usize>,
}

/// One op: which, the element type of its operands, and the registers it reads and writes.
struct Step {
    kernel: Kernel,
    dtype: DType,
    operands: [usize; 3],
    result: usize,
}

enum Kernel {
    Unary(UnaryKind),
    Binary(BinaryKind),
    Compare { direction: Comparison, total_order: bool },
    Select,
    Clamp,
    Convert { to: DType },
}

impl Program {
    /// The program of `function`, or `None` if it is not plain elementwise work on scalars. Types are those
    /// the function declares; whoever has not verified the module gets the general evaluation and its checks
    /// from the conservative answer here.
    fn compile(function: &Function) -> Option<Self> {
        let mut program = Self {
            registers: vec![Scalar::Int(0); function.values.len()],
            params: function.params.iter().map(|p| p.value.index()).collect(),
            steps: Vec::new(),
            results: function.results.iter().map(|r| r.value.index()).collect(),
        };
        let mut defined = vec![false; function.values.len()];
        for &param in &program.params {
            *defined.get_mut(param)? = scalar_dtype(function, param).is_some();
        }
        for operation in &function.ops {
            let [result] = operation.results.as_slice() else { return None };
            let operands: Vec<usize> = operation.operands.iter().map(|v| v.index()).collect();
            if !operands.iter().all(|&v| defined.get(v) == Some(&true)) {
                return None;
            }
            program.compile_op(function, operation, &operands, result.index())?;
            *defined.get_mut(result.index())? = true;
        }
        program.results.iter().all(|&v| defined.get(v) == Some(&true)).then_some(program)
    }

    fn compile_op(
        &mut self,
        function: &Function,
        operation: &Operation,
        operands: &[usize],
        result: usize,
    ) -> Option<()> {
        let declared = scalar_dtype(function, result)?;
        let dtypes: Vec<DType> = operands.iter().map_while(|&v| scalar_dtype(function, v)).collect();
        let (kernel, computed) = match (&operation.op, dtypes.as_slice()) {
            (Op::Constant { value }, []) => {
                let value = value.splat().filter(|_| *value.ty() == TensorType::scalar(declared))?;
                *self.registers.get_mut(result)? = value;
                return Some(());
            }
            (&Op::Unary { kind }, &[x]) => (Kernel::Unary(kind), scalar::unary_dtype(kind, x)),
            (&Op::Binary { kind }, &[a, b]) if a == b => (Kernel::Binary(kind), a),
            (&Op::Compare { direction, total_order }, [a, b]) if a == b => {
                (Kernel::Compare { direction, total_order }, DType::Pred)
            }
            (Op::Select, &[DType::Pred, a, b]) if a == b => (Kernel::Select, a),
            (Op::Clamp, &[low, x, high]) if low == x && x == high => (Kernel::Clamp, x),
            (&Op::Convert { to }, [_]) => (Kernel::Convert { to }, to),
            // Ill-typed, or not elementwise.
            (
                Op::Constant { .. }
                | Op::Unary { .. }
                | Op::Binary { .. }
                | Op::Compare { .. }
                | Op::Select
                | Op::Clamp
                | Op::Convert { .. }
                | Op::Iota { .. }
                | Op::BitcastConvert { .. }
                | Op::BroadcastInDim { .. }
                | Op::Reshape { .. }
                | Op::Transpose { .. }
                | Op::Concatenate { .. }
                | Op::Slice { .. }
                | Op::DynamicSlice { .. }
                | Op::DynamicUpdateSlice
                | Op::Pad { .. }
                | Op::Reverse { .. }
                | Op::Gather { .. }
                | Op::Scatter { .. }
                | Op::DotGeneral { .. }
                | Op::Reduce { .. }
                | Op::Sort { .. }
                | Op::While { .. }
                | Op::If { .. }
                | Op::Case { .. }
                | Op::Call { .. }
                | Op::RngBitGenerator { .. }
                | Op::CustomCall { .. }
                | Op::OptimizationBarrier
                | Op::Composite { .. }
                | Op::ShardingConstraint { .. },
                _,
            ) => return None,
        };
        let mut registers = [0; 3];
        for (slot, &operand) in registers.iter_mut().zip(operands) {
            *slot = operand;
        }
        let dtype = dtypes.first().copied().filter(|_| computed == declared)?;
        self.steps.push(Step { kernel, dtype, operands: registers, result });
        Some(())
    }

    fn run(&mut self, arguments: &[Scalar], results: &mut Vec<Scalar>) -> Result<(), Fault> {
        for (&param, &argument) in self.params.iter().zip(arguments) {
            if let Some(register) = self.registers.get_mut(param) {
                *register = argument;
            }
        }
        for step in &self.steps {
            let [x, y, z] = step.operands.map(|at| self.registers.get(at).copied());
            let value = step.apply(x, y, z).ok_or(Fault::ElementType(step.dtype))?;
            if let Some(register) = self.registers.get_mut(step.result) {
                *register = value;
            }
        }
        results.extend(self.results.iter().filter_map(|&at| self.registers.get(at).copied()));
        Ok(())
    }
}

impl Step {
    fn apply(&self, x: Option<Scalar>, y: Option<Scalar>, z: Option<Scalar>) -> Option<Scalar> {
        match self.kernel {
            Kernel::Unary(kind) => scalar::unary(kind, self.dtype, x?),
            Kernel::Binary(kind) => scalar::binary(kind, self.dtype, x?, y?),
            Kernel::Compare { direction, total_order } => scalar::compare(direction, total_order, x?, y?),
            Kernel::Select => {
                if x?.as_bool() {
                    y
                } else {
                    z
                }
            }
            Kernel::Clamp => scalar::clamp(x?, y?, z?),
            Kernel::Convert { to } => Some(element::round(to, x?)),
        }
    }
}

/// The element type of a value that is a scalar.
fn scalar_dtype(function: &Function, value: usize) -> Option<DType> {
    function.values.get(value).filter(|v| v.ty.dims.is_empty()).map(|v| v.ty.dtype)
}
