//! Rules about the module as a whole, and the walk over its functions.

use std::collections::HashMap;

use super::function::FunctionChecker;
use super::{Problem, Violation};
use crate::text::is_identifier;
use crate::{FuncId, Module};

/// All violations, module first, then functions in order.
pub(super) fn check(module: &Module) -> Vec<Violation> {
    let mut violations = Vec::new();
    if !is_identifier(&module.name) {
        violations.push(of_module(Problem::ModuleName(module.name.clone())));
    }
    let mut names = HashMap::new();
    // Whether the type of each function so far can be relied on.
    let mut sound = Vec::with_capacity(module.functions.len());
    for (index, function) in module.functions.iter().enumerate() {
        let id = FuncId::new(index);
        let mut checker = FunctionChecker::new(module, id, function, &sound, &mut violations);
        if !is_identifier(&function.name) {
            checker.report(Problem::FunctionName(function.name.clone()));
        }
        if let Some(&first) = names.get(function.name.as_str()) {
            checker.report(Problem::DuplicateFunction { first });
        } else {
            names.insert(function.name.as_str(), id);
        }
        let is_sound = checker.check();
        sound.push(is_sound);
    }
    violations
}

/// The violation of a program without `main`.
pub(super) fn check_entry(module: &Module) -> Option<Violation> {
    module.entry().is_none().then(|| of_module(Problem::NoEntry))
}

fn of_module(problem: Problem) -> Violation {
    Violation {
        function: None,
        function_name: String::new(),
        op: None,
        op_name: "",
        path: String::new(),
        problem,
    }
}
