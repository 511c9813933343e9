//! Modules that break the rules of the IR: an error each, never a panic.

use super::{counting, f32, s32, scalar_function};
use crate::interp::{EvalError, Fault, Interpreter, Limits, Tensor, evaluate};
use crate::op::BinaryKind;
use crate::{DType, FuncId, Function, FunctionResult, Module, Op, OpId, Operation, Param, Scopes};
use crate::{TensorType, Value, ValueDef, ValueId};

/// A function of one op on `params`, without any check.
fn unchecked(op: Op, params: &[TensorType], results: &[TensorType]) -> Function {
    let mut function = Function { name: "main".to_string(), ..Function::default() };
    for (index, ty) in params.iter().enumerate() {
        let value = ValueId::new(function.values.len());
        function.values.push(Value { ty: ty.clone(), def: ValueDef::Param(index) });
        function.params.push(Param { value, name: String::new(), axes: None, donated_to: None });
    }
    let operands = (0..params.len()).map(ValueId::new).collect();
    let mut defined = Vec::new();
    for (index, ty) in results.iter().enumerate() {
        defined.push(ValueId::new(function.values.len()));
        function.values.push(Value { ty: ty.clone(), def: ValueDef::Result { op: OpId::new(0), index } });
    }
    let returned = |&value| FunctionResult { value, name: String::new(), axes: None };
    function.results = defined.iter().map(returned).collect();
    function.ops.push(Operation { op, operands, results: defined, scope: Scopes::root() });
    function
}

fn module_of(functions: Vec<Function>) -> Module {
    Module { functions, ..Module::new("test") }
}

fn failure(op: Op, operands: &[Tensor], results: &[TensorType]) -> EvalError {
    let params: Vec<TensorType> = operands.iter().map(Tensor::ty).collect();
    let module = module_of(vec![unchecked(op, &params, results)]);
    evaluate(&module, FuncId::new(0), operands).unwrap_err()
}

#[test]
fn recursion_is_refused() {
    let ty = [TensorType::scalar(DType::S32)];
    for callee in [0, 1, 7] {
        let error = failure(Op::Call { callee: FuncId::new(callee) }, &[s32(&[], &[1])], &ty);
        assert_eq!(*error.fault, Fault::UnknownFunction(FuncId::new(callee)));
    }
}

#[test]
fn deep_calls_are_refused() {
    let ty = [TensorType::scalar(DType::S32)];
    let call = |callee: usize| unchecked(Op::Call { callee: FuncId::new(callee) }, &ty, &ty);
    let mut functions = vec![unchecked(Op::OptimizationBarrier, &ty, &ty)];
    functions.extend((0..100).map(call));
    let module = module_of(functions);
    assert!(evaluate(&module, FuncId::new(50), &[s32(&[], &[1])]).is_ok());
    let error = evaluate(&module, FuncId::new(100), &[s32(&[], &[1])]).unwrap_err();
    assert!(error.to_string().contains("nested deeper than 64"), "{error}");
}

#[test]
fn results_are_checked_against_the_declared_types() {
    let declared = TensorType::new(DType::F32, [3]);
    let negate = Op::Unary { kind: crate::op::UnaryKind::Negate };
    let error = failure(negate.clone(), &[f32(&[2], &[1.0, 2.0])], std::slice::from_ref(&declared));
    assert_eq!(
        error.to_string(),
        "cannot evaluate `negate` (op0) at main: result 0 is f32[2], the function declares f32[3]"
    );
    let error = failure(negate, &[f32(&[2], &[1.0, 2.0])], &[]);
    assert_eq!(*error.fault, Fault::ResultCount { declared: 0, computed: 1 });
}

#[test]
fn arguments_are_checked_against_the_parameters() {
    let mut module = Module::new("test");
    let main = scalar_function(&mut module, "main", &[DType::F32], |_, v| Ok(v.to_vec()));
    let error = evaluate(&module, main, &[s32(&[], &[1])]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot evaluate the parameters at main: argument 0 has type s32[], the parameter is f32[]"
    );
    let error = evaluate(&module, main, &[]).unwrap_err();
    assert_eq!(*error.fault, Fault::OperandCount { expected: 1, got: 0 });
    assert!(evaluate(&module, FuncId::new(9), &[]).is_err());
}

#[test]
fn undefined_operands_are_named() {
    let ty = TensorType::scalar(DType::S32);
    let mut function =
        unchecked(Op::Binary { kind: BinaryKind::Add }, std::slice::from_ref(&ty), std::slice::from_ref(&ty));
    function.ops[0].operands = vec![ValueId::new(0), ValueId::new(1)];
    let error = evaluate(&module_of(vec![function]), FuncId::new(0), &[s32(&[], &[1])]).unwrap_err();
    assert_eq!(*error.fault, Fault::UnknownValue(ValueId::new(1)));
}

#[test]
fn absurd_sizes_are_refused_before_they_are_allocated() {
    for dims in [vec![usize::MAX], vec![1 << 40], vec![usize::MAX, 0], vec![usize::MAX, usize::MAX]] {
        let ty = TensorType::new(DType::F32, dims.clone());
        let op = Op::BroadcastInDim { dims, broadcast_dims: vec![] };
        let error = failure(op, &[f32(&[], &[1.0])], std::slice::from_ref(&ty));
        assert!(matches!(*error.fault, Fault::TooLarge { .. }), "{error}");
    }
    // Empty tensors of absurd dimensions, given and made.
    let wide = Tensor::from_f32(&[1 << 40, 0], &[]).unwrap();
    let reshape = Op::Reshape { dims: vec![1 << 40, 0] };
    let declared = [TensorType::new(DType::F32, [1 << 40, 0])];
    for (op, operand) in [(Op::OptimizationBarrier, wide), (reshape, f32(&[0], &[]))] {
        let error = failure(op, &[operand], &declared);
        assert!(matches!(*error.fault, Fault::TooLarge { .. }), "{error}");
    }
    let mut module = Module::new("test");
    let main =
        scalar_function(&mut module, "main", &[DType::F32], |b, v| Ok(vec![b.broadcast(v[0], &[9], &[])?]));
    let limits = Limits { max_elements: 8, ..Limits::default() };
    let refused = Interpreter::new(&module).with_limits(limits).evaluate(main, &[f32(&[], &[1.0])]);
    assert!(matches!(*refused.unwrap_err().fault, Fault::TooLarge { limit: 8, .. }));
}

#[test]
fn ill_fitting_attributes_are_refused() {
    let x = || counting(&[2, 3]);
    let ty = [TensorType::new(DType::S32, [2, 3])];
    let far = usize::MAX;
    let ops = [
        Op::Transpose { permutation: vec![0, 0] },
        Op::Transpose { permutation: vec![0, far] },
        Op::Reverse { dims: vec![far] },
        Op::Concatenate { dim: far },
        Op::Reshape { dims: vec![far, far] },
        Op::Slice { start: vec![0, 2], limit: vec![2, 1], stride: vec![1, 1] },
        Op::Slice { start: vec![0, 0], limit: vec![2, 3], stride: vec![1, 0] },
        Op::BroadcastInDim { dims: vec![2, 3], broadcast_dims: vec![1, 0] },
        Op::BitcastConvert { to: DType::S64 },
        Op::BitcastConvert { to: DType::Pred },
        Op::Unary { kind: crate::op::UnaryKind::Tanh },
        Op::DynamicSlice { sizes: vec![2, 3] },
        Op::Reduce { dims: vec![0], body: FuncId::new(0) },
        Op::Sort { dim: 0, stable: true, comparator: FuncId::new(0) },
        Op::DynamicUpdateSlice,
        Op::Case { branches: vec![] },
    ];
    for op in ops {
        let name = op.name();
        let error = failure(op, &[x()], &ty);
        assert!(
            error.to_string().starts_with(&format!("cannot evaluate `{name}` (op0) at main: ")),
            "{error}"
        );
    }
    let huge = Op::Pad { low: vec![i64::MAX; 2], high: vec![i64::MAX; 2], interior: vec![far; 2] };
    failure(huge, &[x(), s32(&[], &[0])], &ty);
    let gone = Op::Pad { low: vec![i64::MIN; 2], high: vec![i64::MIN; 2], interior: vec![0; 2] };
    failure(gone, &[x(), s32(&[], &[0])], &ty);
}
