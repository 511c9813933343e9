//! Lowering, compiling, running and comparing.

use lapidary::graph::interp::{self, Tensor};
use lapidary::graph::{FunctionBuilder, Module, ValueId, verify_program};
use lapidary::lower::{LowerOptions, ShardingRules, Target, lower, target};
use lapidary::runtime::{Client, CompileOptions, CompilerFlag, LoadedExecutable, Program};

use crate::case::{Case, Suite};
use crate::known::{Failure, failure};
use crate::{isolation, plugin};

/// Cases that are compiled together: enough to save on compilation, few enough to keep programs small.
const CASES_A_PROGRAM: usize = 128;

/// Checks every case, reporting all that do not go as expected.
pub(crate) fn check(client: &Client, target: &Target, suite: &Suite) {
    let (known, healthy): (Vec<&Case>, Vec<&Case>) =
        suite.cases.iter().partition(|case| failure(case).is_some());
    // Merging programs of 4-bit arrays can leave copies between layouts, on which the plugin aborts.
    let (alone, together): (Vec<&Case>, Vec<&Case>) =
        healthy.into_iter().partition(|case| case.dtype.bits() == 4);
    let mut problems: Vec<String> = Vec::new();
    for cases in together.chunks(CASES_A_PROGRAM).chain(alone.chunks(1)) {
        problems.extend(outcomes(client, target, cases));
    }
    problems.extend(known.into_iter().filter_map(|case| check_known(client, target, case)));
    let count = problems.len();
    assert!(problems.is_empty(), "{count} problems:\n{}", problems.join("\n"));
}

/// What is wrong with a case that is expected to fail: that it does not, or differently.
fn check_known(client: &Client, target: &Target, case: &Case) -> Option<String> {
    let name = case.name();
    let expected = failure(case)?;
    let as_expected = match expected {
        Failure::Refuses(message) => {
            compile(client, target, &[case]).is_err_and(|refusal| refusal.contains(message))
        }
        Failure::Aborts => isolation::aborts(case),
        Failure::Differs(_) => {
            compile(client, target, &[case]).is_ok() && !outcomes(client, target, &[case]).is_empty()
        }
    };
    (!as_expected)
        .then(|| format!("{name}: expected {expected:?}, got {:?}", outcomes(client, target, &[case])))
}

/// What is wrong with the results of these cases.
pub(crate) fn outcomes(client: &Client, target: &Target, cases: &[&Case]) -> Vec<String> {
    let executable = match compile(client, target, cases) {
        Ok(executable) => executable,
        Err(message) if cases.len() == 1 => return vec![format!("{}: {message}", cases[0].name())],
        // Halving finds the cases to blame.
        Err(_) => {
            let (first, second) = cases.split_at(cases.len() / 2);
            return [first, second].into_iter().flat_map(|half| outcomes(client, target, half)).collect();
        }
    };
    let arguments: Vec<Tensor> = cases.iter().flat_map(|case| case.inputs.iter().cloned()).collect();
    let mut outputs = match plugin::run(&executable, &arguments) {
        Ok(outputs) => outputs.into_iter(),
        Err(error) => return vec![format!("{} and others: {error}", cases[0].name())],
    };
    let mut problems = Vec::new();
    for case in cases {
        let mut module = Module::new("case");
        let function = case.add_to(&mut module, "main").unwrap();
        match interp::evaluate(&module, function, &case.inputs) {
            Ok(expected) => {
                for (index, expected) in expected.iter().enumerate() {
                    let got = outputs.next().expect("an output for every result");
                    if let Some(difference) = case.tolerance.difference(expected, &got, &case.inputs) {
                        problems.push(format!("{} result {index}: {difference}", case.name()));
                    }
                }
            }
            Err(error) => problems.push(format!("{}: the interpreter: {error}", case.name())),
        }
    }
    problems
}

/// A program that calls the function of every case; its message if the plugin refuses it.
fn compile(client: &Client, target: &Target, cases: &[&Case]) -> Result<LoadedExecutable, String> {
    let mut module = Module::new("op_suite");
    let functions: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(i, case)| case.add_to(&mut module, &format!("case_{i}")).unwrap())
        .collect();
    let mut main = FunctionBuilder::new(&mut module, "main");
    let params: Vec<Vec<ValueId>> = cases
        .iter()
        .map(|case| case.inputs.iter().map(|input| main.param("", input.ty())).collect())
        .collect();
    let mut results = Vec::new();
    for (function, params) in functions.into_iter().zip(params) {
        results.extend(main.call(function, &params).unwrap());
    }
    main.finish(&results);

    let verified = verify_program(&module).unwrap_or_else(|violations| panic!("{violations}"));
    let rules = ShardingRules::none();
    let text = lower(verified, &LowerOptions { target, mesh: None, rules: &rules }).unwrap();
    // Whatever the forms, the compiler is the CPU's.
    let flags = target::CPU.compiler_flags.iter();
    let options = flags
        .fold(CompileOptions::new(), |options, &(name, value)| options.flag(name, CompilerFlag::Bool(value)));
    client.compile(&Program::stablehlo(&text), &options).map_err(|error| error.to_string())
}
