//! What lowering refuses, and that it says why, where and what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lapidary_graph::{DType, FunctionBuilder, Literal, Module, TensorType, text, verify};
use lapidary_lower::{LowerError, LowerOptions, Mesh, ShardingRules, lower, target};

fn lowered(module: &Module, mesh: Option<&str>) -> Result<String, LowerError> {
    let mesh: Option<Mesh> = mesh.map(|mesh| mesh.parse().unwrap());
    let rules = ShardingRules::transformer();
    lower(verify(module).unwrap(), &LowerOptions { target: &target::CPU, mesh: mesh.as_ref(), rules: &rules })
}

fn message(module: &Module, mesh: Option<&str>) -> String {
    lowered(module, mesh).unwrap_err().to_string()
}

#[test]
fn a_program_needs_an_entry() {
    let module = text::parse("module @empty\nfunc @helper() -> () { return }").unwrap();
    assert_eq!(message(&module, None), "module `empty` has no entry: add a function called `main`");
}

#[test]
fn a_mesh_axis_that_no_rule_uses_is_a_mistake() {
    let module = text::parse("module @m\nfunc @main() -> () { return }").unwrap();
    assert_eq!(
        message(&module, Some("tensor=4")),
        "no sharding rule uses mesh axis `tensor`, so its devices would only hold copies; \
         name it one of: model, data, seq"
    );
    assert!(lowered(&module, Some("tensor=1,model=4")).is_ok(), "an axis of one device holds no copies");
}

#[test]
fn a_large_constant_does_not_belong_in_a_program() {
    let constant = |bytes: &[u8]| {
        let mut module = Module::new("m");
        let mut b = FunctionBuilder::new(&mut module, "main");
        let literal = Literal::from_bytes(TensorType::new(DType::U8, [bytes.len()]), bytes).unwrap();
        let value = b.scoped("table", |b| b.constant(literal)).unwrap();
        b.finish(&[value]);
        module
    };
    let mut bytes = vec![7; (1 << 20) + 1];
    assert!(lowered(&constant(&bytes), None).is_ok(), "a splat is short whatever its size");
    bytes[0] = 0;
    assert_eq!(
        message(&constant(&bytes), None),
        "a constant of type u8[1048577] (1048577 bytes) at main: table exceeds the 1048576 bytes that a \
         program may carry: compute it (iota) or pass it as a parameter"
    );
    assert!(lowered(&constant(&bytes[..1 << 20]), None).is_ok());
}

#[test]
fn functions_nest_to_a_depth() {
    let nested = |levels: usize| {
        let mut source = String::from("module @m\nfunc @f0(%x: f32[]) -> (f32[]) { return %x }\n");
        for level in 1..=levels {
            source += &format!(
                "func @f{level}(%x: f32[]) -> (f32[]) {{\n  %0: f32[] = composite %x {{name = \"c\", \
                 decomposition = @f{}}}\n  return %0\n}}\n",
                level - 1
            );
        }
        source += &format!(
            "func @main(%x: f32[]) -> (f32[]) {{\n  %0: f32[] = call %x {{callee = @f{levels}}}\n  return %0\n}}\n"
        );
        text::parse(&source).unwrap()
    };
    assert!(lowered(&nested(63), None).is_ok());
    assert_eq!(
        message(&nested(64), None),
        "function `f0` is nested more than 64 levels deep: use `call` for some of the levels"
    );
}
