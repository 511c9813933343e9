//! Rules that the text form cannot break, because parsing numbers values itself. What text can say is
//! tested by the files under `tests/filetests/verify`.

use super::{verify, verify_program};
use crate::{FuncId, LogicalAxes, Module, Op, OpId, ScopeId, TensorType, ValueDef, ValueId, text};

const VALID: &str = "
module @m
func @add(%a: f32[], %b: f32[]) -> (f32[]) {
  %sum: f32[] = add %a, %b
  return %sum
}
func @main(%x: f32[2], %y: f32[2]) -> (f32[]) {
  %s: f32[2] = add %x, %y @layers.0
  %z: f32[] = constant {value = 0.0}
  %r: f32[] = reduce %s, %z {dims = [0], body = @add}
  return %r
}
";

/// The violations of the module above after `break_it`, a line each.
fn violations(break_it: impl FnOnce(&mut Module)) -> Vec<String> {
    let mut module = text::parse(VALID).unwrap();
    break_it(&mut module);
    match verify_program(&module) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.as_slice().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_valid_module_is_its_own_proof() {
    let module = text::parse(VALID).unwrap();
    let verified = verify_program(&module).unwrap();
    assert_eq!(verified.functions.len(), 2);
    assert!(std::ptr::eq(verified.module(), &module));
}

#[test]
fn only_programs_need_main() {
    let module = Module::new("library");
    assert!(verify(&module).is_ok());
    let violations = verify_program(&module).unwrap_err();
    assert_eq!(
        violations.to_string(),
        "module @library is not valid:\n  \
         there is no function called main, expected the program's entry under this name (rule 4)"
    );
}

#[test]
fn every_violation_is_reported() {
    let all = violations(|m| {
        m.name = "two words".to_string();
        m.functions[0].results[0].value = ValueId::new(9);
        m.functions[1].ops[0].scope = ScopeId::new(7);
        m.functions[1].ops[2].results.clear();
    });
    assert_eq!(
        all,
        [
            "module name \"two words\" is not an identifier: expected a letter or _, then letters, digits, _ . $ (rule 1)",
            "@add: returns %v9 as result 0, expected a value of this function, which has 3 (rule 9)",
            "@main, op0 add: its scope is not one of the module's scopes (rule 14)",
            "@main: %v4 belongs to no parameter and no operation (rule 5)",
        ]
    );
}

#[test]
fn values_stand_in_the_order_of_their_definitions() {
    let swapped = violations(|m| {
        m.functions[1].params[0].value = ValueId::new(1);
        m.functions[1].params[1].value = ValueId::new(0);
    });
    assert_eq!(
        swapped,
        [
            "@main: parameter 0 is %v1, expected %v0: values stand in the order of their definitions (rule 5)",
            "@main: parameter 1 is %v0, expected %v2: values stand in the order of their definitions (rule 5)",
        ]
    );
    let shared = violations(|m| m.functions[1].ops[1].results = vec![ValueId::new(2)]);
    assert_eq!(
        shared,
        [
            "@main, op1 constant: result 0 is %v2, expected %v3: values stand in the order of their definitions (rule 5)",
            "@main, op1 constant: result 0 is f32[2], expected f32[] (rule 8)",
            "@main, op2 reduce: operand 1 is %v3, which is not defined before this operation (rule 6)",
            "@main, op2 reduce: result 0 is %v4, expected %v3: values stand in the order of their definitions (rule 5)",
            "@main: %v3 belongs to no parameter and no operation (rule 5)",
        ]
    );
    let absent = violations(|m| m.functions[1].ops[2].results = vec![ValueId::new(usize::MAX)]);
    assert_eq!(
        absent,
        [
            "@main, op2 reduce: %v4294967295 is not a value of this function, which has 5 (rule 5)",
            "@main: %v4 belongs to no parameter and no operation (rule 5)",
        ]
    );
}

#[test]
fn definitions_say_where_values_come_from() {
    let wrong = violations(|m| {
        m.functions[1].values[0].def = ValueDef::Result { op: OpId::new(2), index: 1 };
        m.functions[1].values[3].def = ValueDef::Param(5);
    });
    assert_eq!(
        wrong,
        [
            "@main: %v0 says it is result 1 of op2, but it is parameter 0 (rule 5)",
            "@main, op1 constant: %v3 says it is parameter 5, but it is result 0 of op1 (rule 5)",
        ]
    );
}

#[test]
fn results_are_what_inference_gives() {
    let count = violations(|m| {
        let second = ValueId::new(m.functions[1].values.len());
        m.functions[1].values.push(crate::Value {
            ty: TensorType::scalar(crate::DType::F32),
            def: ValueDef::Result { op: OpId::new(2), index: 1 },
        });
        m.functions[1].ops[2].results.push(second);
    });
    assert_eq!(count, ["@main, op2 reduce: has 2 results, expected (f32[]) (rule 8)"]);
}

#[test]
fn what_follows_from_a_violation_is_hidden() {
    let unsound = violations(|m| m.functions[0].params[1].value = ValueId::new(usize::MAX));
    assert_eq!(
        unsound,
        [
            "@add: %v4294967295 is not a value of this function, which has 3 (rule 5)",
            "@add, op0 add: operand 1 is %v1, which is not defined before this operation (rule 6)",
            "@add, op0 add: result 0 is %v2, expected %v1: values stand in the order of their definitions (rule 5)",
            "@add: %v1 belongs to no parameter and no operation (rule 5)",
        ]
    );
}

#[test]
fn callees_precede_their_callers() {
    let swapped = violations(|m| m.functions.swap(0, 1));
    assert_eq!(
        swapped,
        [
            "@main, op2 reduce: refers to @main, expected a function before this one: callees precede their callers (rule 3)"
        ]
    );
    let absent =
        violations(|m| m.functions[1].ops[2].op = Op::Reduce { dims: vec![0], body: FuncId::new(8) });
    assert_eq!(absent, ["@main, op2 reduce: refers to function 8, but the module has 2 functions (rule 3)"]);
}

#[test]
fn parameters_fit_in_memory() {
    let huge = violations(|m| m.functions[1].values[0].ty.dims = vec![usize::MAX, 2]);
    let size = usize::MAX;
    assert_eq!(
        huge,
        [
            format!(
                "@main: parameter 0: a tensor of type f32[{size},2] does not fit in memory: its size in bytes overflows 63 bits (rule 12)"
            ),
            format!(
                "@main, op0 add at layers.0: does not apply to (f32[{size},2], f32[2]): `rhs` is f32[2], expected the dimensions of `lhs`, f32[{size},2]: rank 1 against 2 (rule 7)"
            ),
        ]
    );
}

#[test]
fn names_with_line_breaks_keep_to_their_line() {
    let odd = violations(|m| {
        m.functions[1].name = "ma\nin".to_string();
        m.functions[1].params[0].axes = Some(LogicalAxes::default());
    });
    assert!(odd.iter().all(|line| !line.contains('\n')), "{odd:?}");
    assert_eq!(odd.len(), 3);
}
