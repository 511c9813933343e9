//! What lowering tells of composites.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lapidary_graph::{DType, text, verify};
use lapidary_lower::target::{CPU, Kernel};
use lapidary_lower::{Decomposed, LowerOptions, Mesh, ShardingRules, Target, lower, lower_and_tell};

/// One composite that holds another, and one of another name.
const SOURCE: &str = "module @composites

func @inner(%x: bf16[8]) -> (bf16[8]) {
  %0: bf16[8] = add %x, %x
  return %0
}

func @outer(%x: bf16[8]) -> (bf16[8]) {
  %0: bf16[8] = composite %x {name = \"test.inner\", attributes = {}, decomposition = @inner} @block.inner
  return %0
}

func @main(%x: bf16[8], %y: bf16[8]) -> (bf16[8], bf16[8]) {
  %0: bf16[8] = composite %x {name = \"test.outer\", attributes = {}, decomposition = @outer} @block
  %1: bf16[8] = composite %y {name = \"test.inner\", attributes = {}, decomposition = @inner} @last
  return %0, %1
}
";

const INNER: Kernel =
    Kernel { composite: "test.inner", call_target: "inner", accepts: |_, _| true, updates: None };
const OUTER: Kernel = Kernel { composite: "test.outer", call_target: "outer", ..INNER };
const OUTER_F32: Kernel =
    Kernel { accepts: |operands, _| operands.iter().all(|each| each.dtype == DType::F32), ..OUTER };

/// Composite, path, and the kernel or why there is none.
fn told(target: &Target, mesh: Option<&str>) -> Vec<(String, String, Result<&'static str, Decomposed>)> {
    let module = text::parse(SOURCE).unwrap();
    let module = verify(&module).unwrap();
    let mesh: Option<Mesh> = mesh.map(|mesh| mesh.parse().unwrap());
    let rules = ShardingRules::transformer();
    let options = LowerOptions { target, mesh: mesh.as_ref(), rules: &rules };
    let lowered = lower_and_tell(module, &options).unwrap();
    assert_eq!(lower(module, &options).unwrap(), lowered.text);
    let calls = lowered.composites.iter().filter(|each| each.kernel.is_ok()).count();
    assert_eq!(lowered.text.matches("stablehlo.custom_call").count(), calls);
    lowered.composites.into_iter().map(|each| (each.composite, each.path, each.kernel)).collect()
}

fn of(
    composite: &str,
    path: &str,
    kernel: Result<&'static str, Decomposed>,
) -> (String, String, Result<&'static str, Decomposed>) {
    (composite.to_string(), path.to_string(), kernel)
}

#[test]
fn calls_and_decompositions_come_in_the_order_of_the_text() {
    let all = told(&CPU.with_kernels(vec![INNER, OUTER]), None);
    assert_eq!(all, [of("test.outer", "block", Ok("outer")), of("test.inner", "last", Ok("inner"))]);
    let inner = told(&CPU.with_kernels(vec![INNER]), None);
    assert_eq!(
        inner,
        [
            of("test.outer", "block", Err(Decomposed::NoKernel)),
            of("test.inner", "block.inner", Ok("inner")),
            of("test.inner", "last", Ok("inner")),
        ]
    );
}

#[test]
fn each_reason_is_told() {
    let reason = |target: &Target, mesh| told(target, mesh).swap_remove(0).2.unwrap_err();
    assert_eq!(reason(&CPU, None), Decomposed::NoKernel);
    assert_eq!(reason(&CPU.with_switched_off(vec!["test.outer"]), None), Decomposed::SwitchedOff);
    let operands = reason(&CPU.with_kernels(vec![OUTER_F32]), None);
    assert!(matches!(&operands, Decomposed::Operands(types) if types.len() == 1), "{operands:?}");
    assert_eq!(operands.to_string(), "its kernel does not take bf16[8]");
    assert_eq!(reason(&CPU.with_kernels(vec![OUTER]), Some("model=2")), Decomposed::Mesh);
    // The first kernel that takes the operands is the one.
    assert_eq!(told(&CPU.with_kernels(vec![OUTER_F32, OUTER, INNER]), None)[0].2, Ok("outer"));
}
