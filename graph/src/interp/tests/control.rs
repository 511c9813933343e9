use super::{f32, s32, scalar_function, try_op};
use crate::interp::{CustomCalls, Fault, Interpreter, Limits, Tensor};
use crate::op::{BinaryKind, Comparison};
use crate::{Attributes, DType, FuncId, FunctionBuilder, Literal, LogicalAxes, Module, Op, TensorType};

/// `(i, sum) -> i < 5` and `(i, sum) -> (i + 1, sum + i)`.
fn summing_loop(module: &mut Module) -> (FuncId, FuncId) {
    let cond = scalar_function(module, "cond", &[DType::S32; 2], |b, v| {
        let five = b.constant(Literal::int(DType::S32, 5))?;
        Ok(vec![b.compare(Comparison::Lt, v[0], five)?])
    });
    let body = scalar_function(module, "body", &[DType::S32; 2], |b, v| {
        let one = b.constant(Literal::int(DType::S32, 1))?;
        Ok(vec![b.add(v[0], one)?, b.add(v[1], v[0])?])
    });
    (cond, body)
}

#[test]
fn loops_run_until_their_condition_fails() {
    for (start, expected) in [(0, [5, 10]), (9, [9, 0])] {
        let mut module = Module::new("test");
        let (cond, body) = summing_loop(&mut module);
        let results =
            try_op(module, Op::While { cond, body }, &[s32(&[], &[start]), s32(&[], &[0])]).unwrap();
        assert_eq!([results[0].to_ints()[0], results[1].to_ints()[0]], expected);
    }
}

#[test]
fn endless_loops_meet_the_limit() {
    let mut module = Module::new("test");
    let (cond, body) = summing_loop(&mut module);
    let main = scalar_function(&mut module, "main", &[DType::S32; 2], |b, v| b.while_loop(v, cond, body));
    let run = |max_iterations| {
        let limits = Limits { max_iterations, ..Limits::default() };
        let arguments = [s32(&[], &[0]), s32(&[], &[0])];
        Interpreter::new(&module).with_limits(limits).evaluate(main, &arguments)
    };
    assert!(run(5).is_ok());
    let error = run(4).unwrap_err();
    assert_eq!(*error.fault, Fault::TooManyIterations(4));
    assert_eq!(
        error.to_string(),
        "cannot evaluate `while` (op0) at main: still running after 4 iterations, the interpreter's limit"
    );
}

/// A function without parameters that returns `value`.
fn giving(module: &mut Module, value: i64) -> FuncId {
    scalar_function(module, "give", &[], |b, _| Ok(vec![b.constant(Literal::int(DType::S32, value))?]))
}

#[test]
fn choices_take_one_branch() {
    let mut module = Module::new("test");
    let branches = [10, 20, 30].map(|value| giving(&mut module, value)).to_vec();
    for (index, expected) in [(0, 10), (1, 20), (2, 30), (3, 30), (-1, 30), (i32::MIN, 30)] {
        let op = Op::Case { branches: branches.clone() };
        let results = try_op(module.clone(), op, &[s32(&[], &[index])]).unwrap();
        assert_eq!(results[0].to_ints(), [expected], "case {index}");
    }
    for (choice, expected) in [(1, 10), (0, 20)] {
        let op = Op::If { then_branch: branches[0], else_branch: branches[1] };
        let choice = Tensor::from_ints(DType::Pred, &[], &[choice]).unwrap();
        assert_eq!(try_op(module.clone(), op, &[choice]).unwrap()[0].to_ints(), [expected]);
    }
}

#[test]
fn composites_mean_their_decomposition() {
    let mut module = Module::new("test");
    let mut b = FunctionBuilder::new(&mut module, "main");
    let x = b.param("x", TensorType::new(DType::F32, [2]));
    let doubled = b.composite("twice", Vec::new(), [x], |b, [x]| b.add(x, x)).unwrap();
    let barred = b.optimization_barrier(&[doubled, x]).unwrap();
    let labelled = b.sharding_constraint(barred[0], LogicalAxes::of(&["batch"])).unwrap();
    let main = b.finish(&[labelled, barred[1]]);
    let results = Interpreter::new(&module).evaluate(main, &[f32(&[2], &[1.0, 2.0])]).unwrap();
    assert_eq!((results[0].to_floats(), results[1].to_floats()), (vec![2.0, 4.0], vec![1.0, 2.0]));
}

/// Knows `halve`, and fails on anything but one operand.
struct Halving;

impl CustomCalls for Halving {
    fn call(
        &self,
        target: &str,
        _attributes: &Attributes,
        operands: &[Tensor],
        _results: &[TensorType],
    ) -> Option<Result<Vec<Tensor>, String>> {
        (target == "halve").then(|| {
            let [operand] = operands else { return Err("takes one operand".to_string()) };
            let halves: Vec<f64> = operand.to_floats().iter().map(|x| x / 2.0).collect();
            let tensor = Tensor::from_floats(operand.dtype(), operand.dims(), &halves);
            Ok(vec![tensor.map_err(|error| error.to_string())?])
        })
    }
}

#[test]
fn custom_calls_need_a_resolver() {
    let mut module = Module::new("test");
    let mut call = |target: &str, operands: usize| {
        let mut b = FunctionBuilder::new(&mut module, "main");
        let ty = TensorType::new(DType::F32, [2]);
        let params: Vec<_> = (0..operands).map(|_| b.param("", ty.clone())).collect();
        let op = Op::CustomCall {
            target: target.to_string(),
            results: vec![ty],
            attributes: Vec::new(),
            has_side_effect: false,
        };
        let results = b.push(op, &params).unwrap();
        b.finish(&results)
    };
    let (halve, other, wrong) = (call("halve", 1), call("other", 1), call("halve", 2));
    let x = f32(&[2], &[1.0, 3.0]);
    let alone = Interpreter::new(&module);
    let resolved = Interpreter::new(&module).with_custom_calls(&Halving);
    let unknown = |error: crate::interp::EvalError| matches!(*error.fault, Fault::UnknownCustomCall(_));
    assert!(unknown(alone.evaluate(halve, std::slice::from_ref(&x)).unwrap_err()));
    assert!(unknown(resolved.evaluate(other, std::slice::from_ref(&x)).unwrap_err()));
    assert_eq!(resolved.evaluate(halve, std::slice::from_ref(&x)).unwrap()[0].to_floats(), [0.5, 1.5]);
    let error = resolved.evaluate(wrong, &[x.clone(), x]).unwrap_err();
    assert!(error.to_string().ends_with("custom call `halve`: takes one operand"), "{error}");
}

#[test]
fn an_error_in_a_callee_names_the_way_there() {
    let mut module = Module::new("test");
    let unresolved = Op::CustomCall {
        target: "mystery".to_string(),
        results: vec![TensorType::scalar(DType::F32)],
        attributes: Vec::new(),
        has_side_effect: false,
    };
    let body = scalar_function(&mut module, "body", &[DType::F32; 2], |b, v| {
        b.scoped("inner", |b| b.push(unresolved, &v[..1]))
    });
    let mut b = FunctionBuilder::new(&mut module, "main");
    let x = b.param("x", TensorType::new(DType::F32, [2]));
    let sum = b
        .scoped("layers.3", |b| {
            let init = b.binary(BinaryKind::Add, x, x)?;
            let init = b.slice(init, &[0], &[1], &[1])?;
            let init = b.reshape(init, &[])?;
            b.reduce(x, init, &[0], body)
        })
        .unwrap();
    let main = b.finish(&[sum]);
    let error = Interpreter::new(&module).evaluate(main, &[f32(&[2], &[1.0, 2.0])]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot evaluate `reduce` (op3) at main: layers.3: cannot evaluate `custom_call` (op0) at body: inner: \
         no resolver knows the custom call `mystery`: pass one with `Interpreter::with_custom_calls`"
    );
}
