//! The verifier on modules that are broken at random: it never panics, says where, and lets nothing through
//! that a plain walk over the module finds wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod corruption;
// Other tests use the rest of it.
#[allow(dead_code)]
mod support;

use std::collections::HashSet;

use corruption::{Corruption, corrupt};
use lapidary_graph::verify::Violations;
use lapidary_graph::{Function, Module, OpId, TensorType, ValueDef, ValueId, infer, text, verify};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use support::{filetests, read};

/// Valid modules which together have every op.
fn corpus() -> Vec<Module> {
    filetests("text").iter().map(|path| text::parse(&read(path)).unwrap()).collect()
}

/// Whether a walk with no regard for speed or messages finds nothing wrong.
fn plainly_valid(module: &Module) -> bool {
    let names: HashSet<&str> = module.functions.iter().map(|f| f.name.as_str()).collect();
    names.len() == module.functions.len()
        && module.functions.iter().enumerate().all(|(index, f)| plainly_valid_function(module, index, f))
}

fn plainly_valid_function(module: &Module, index: usize, function: &Function) -> bool {
    let params = function.params.iter().enumerate().map(|(i, param)| (param.value, ValueDef::Param(i)));
    let mut definitions: Vec<(ValueId, ValueDef)> = params.collect();
    for (i, operation) in function.ops.iter().enumerate() {
        if operation.operands.iter().any(|operand| operand.index() >= definitions.len())
            || operation.op.callees().iter().any(|callee| callee.index() >= index)
        {
            return false;
        }
        let types: Option<Vec<&TensorType>> =
            operation.operands.iter().map(|&v| function.value_type(v)).collect();
        let declared: Option<Vec<TensorType>> =
            operation.results.iter().map(|&v| function.value_type(v).cloned()).collect();
        let inferred = types.and_then(|types| infer::infer(&operation.op, &types, module).ok());
        if inferred.is_none() || inferred != declared {
            return false;
        }
        let op = OpId::new(i);
        let results = operation.results.iter().enumerate();
        definitions.extend(results.map(|(index, &value)| (value, ValueDef::Result { op, index })));
    }
    let arena = function.values.iter().enumerate().map(|(i, value)| (ValueId::new(i), value.def));
    definitions.iter().copied().eq(arena)
        && function.results.iter().all(|result| result.value.index() < definitions.len())
}

fn check_places(module: &Module, violations: &Violations) {
    let list = violations.as_slice();
    assert!(!list.is_empty());
    assert_eq!(violations.to_string().lines().count(), 1 + list.len());
    for violation in list {
        let function = violation.function.map(|id| module.function(id).expect("a function of the module"));
        if let Some(op) = violation.op {
            let operation = function.and_then(|f| f.ops.get(op.index())).expect("an op of the function");
            assert_eq!(violation.op_name, operation.op.name());
        }
        assert!((1..=14).contains(&violation.problem.rule()));
    }
}

#[test]
fn text_files_are_valid() {
    for path in filetests("text") {
        let module = text::parse(&read(&path)).unwrap();
        if let Err(violations) = verify(&module) {
            panic!("{}: {violations}", path.display());
        }
    }
}

#[test]
fn every_kind_of_corruption_is_noticed() {
    let corpus = corpus();
    for &kind in Corruption::ALL {
        let noticed = corpus.iter().any(|module| {
            (0..64u64).any(|seed| {
                let mut broken = module.clone();
                corrupt(&mut broken, kind, [seed, seed / 2, seed / 3]);
                verify(&broken).is_err()
            })
        });
        assert!(noticed, "{kind:?} never leads to a violation");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn broken_modules_are_refused_with_places(
        module in select(corpus()),
        corruptions in vec((select(Corruption::ALL), any::<[u64; 3]>()), 1..5),
    ) {
        let mut broken = module;
        for (kind, at) in corruptions {
            corrupt(&mut broken, kind, at);
        }
        match verify(&broken) {
            Ok(verified) => prop_assert!(plainly_valid(&verified), "verified, but not valid:\n{broken:?}"),
            Err(violations) => {
                check_places(&broken, &violations);
                prop_assert_eq!(verify(&broken).err(), Some(violations));
            }
        }
    }
}
