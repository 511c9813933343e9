//! Inference against the reference interpreter, which finds result types from what it computes: on random
//! valid applications of every op they agree, and on broken ones inference fails or they agree still, and
//! nothing panics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod op_cases;

use lapidary_graph::infer::infer;
use lapidary_graph::interp::{CustomCalls, EvalError, Interpreter, Limits, Tensor};
use lapidary_graph::{
    Attributes, FuncId, Function, FunctionResult, Module, OpId, Operation, Param, Scopes, TensorType, Value,
    ValueDef, ValueId,
};
use op_cases::{Case, Choices, FAMILIES, perturb, valid};
use proptest::prelude::*;

/// Resolves every custom call: the results are the operands.
struct Echo;

impl CustomCalls for Echo {
    fn call(
        &self,
        _target: &str,
        _attributes: &Attributes,
        operands: &[Tensor],
        _results: &[TensorType],
    ) -> Option<Result<Vec<Tensor>, String>> {
        Some(Ok(operands.to_vec()))
    }
}

/// Evaluates the case's op in a function that declares its results as `results`, without any check on the way.
fn evaluate(case: &Case, results: &[TensorType]) -> Result<Vec<Tensor>, EvalError> {
    let mut main = Function { name: "main".to_string(), ..Function::default() };
    for (index, ty) in case.operand_types().into_iter().enumerate() {
        main.params.push(Param {
            value: ValueId::new(index),
            name: String::new(),
            axes: None,
            donated_to: None,
        });
        main.values.push(Value { ty, def: ValueDef::Param(index) });
    }
    let operands = (0..main.values.len()).map(ValueId::new).collect();
    for (index, ty) in results.iter().enumerate() {
        let value = ValueId::new(main.values.len());
        main.results.push(FunctionResult { value, name: String::new(), axes: None });
        main.values.push(Value { ty: ty.clone(), def: ValueDef::Result { op: OpId::new(0), index } });
    }
    let defined = main.results.iter().map(|result| result.value).collect();
    main.ops.push(Operation { op: case.op.clone(), operands, results: defined, scope: Scopes::root() });
    let mut module: Module = case.module.clone();
    let id = FuncId::new(module.functions.len());
    module.functions.push(main);
    let limits = Limits { max_elements: 1 << 16, max_iterations: 100 };
    Interpreter::new(&module).with_limits(limits).with_custom_calls(&Echo).evaluate(id, &case.operands)
}

fn inferred(case: &Case) -> Result<Vec<TensorType>, String> {
    let types = case.operand_types();
    let refs: Vec<&TensorType> = types.iter().collect();
    infer(&case.op, &refs, &case.module).map_err(|error| error.to_string())
}

fn types_of(tensors: &[Tensor]) -> Vec<TensorType> {
    tensors.iter().map(Tensor::ty).collect()
}

/// How the interpreter refuses what inference lets pass.
const EXCUSES: [&str; 2] = [
    // A tensor too large to evaluate.
    "the interpreter's limit",
    // A custom call that computes other types than it declares.
    "gave other types than it declares",
];

fn numbers() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), 0..150)
}

#[test]
fn the_families_are_every_op() {
    for (family, (name, _)) in FAMILIES.iter().enumerate() {
        let case = valid(family, &mut Choices::new(Vec::new()));
        let op = case.op.name();
        assert!(op == *name || matches!(*name, "unary" | "binary"), "family {name} makes {op}");
    }
    // As many as `Op` has variants.
    assert_eq!(FAMILIES.len(), 32);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_ops_have_the_types_that_inference_says(family in 0..FAMILIES.len(), numbers in numbers()) {
        let case = valid(family, &mut Choices::new(numbers));
        let types = inferred(&case);
        prop_assert!(types.is_ok(), "{:?} on {:?}: {:?}", case.op, case.operand_types(), types);
        let types = types.unwrap();
        let results = evaluate(&case, &types);
        prop_assert!(results.is_ok(), "{:?} on {:?}: {}", case.op, case.operand_types(), results.unwrap_err());
        prop_assert_eq!(types_of(&results.unwrap()), types);
    }

    #[test]
    fn broken_ops_fail_without_a_panic(family in 0..FAMILIES.len(), numbers in numbers()) {
        let mut choices = Choices::new(numbers);
        let mut case = valid(family, &mut choices);
        perturb(&mut case, &mut choices);
        match inferred(&case) {
            // The change did no harm, unless it is one of the few that only an evaluation can object to.
            Ok(types) => match evaluate(&case, &types) {
                Ok(results) => prop_assert_eq!(types_of(&results), types),
                Err(error) => {
                    let message = error.to_string();
                    let excused = EXCUSES.iter().any(|excuse| message.contains(excuse));
                    prop_assert!(excused, "{:?} on {:?}: {message}", case.op, case.operand_types());
                }
            },
            // No declared types are right here: any will do.
            Err(_) => drop(evaluate(&case, &case.operand_types())),
        }
    }
}
