//! Model paths reach the compiler: its optimized program and its errors name them.

use lapidary::graph::op::{DotDims, Precision};
use lapidary::graph::{BuildError, DType, FunctionBuilder, Module, TensorType, ValueId, verify_program};
use lapidary::lower::{LowerOptions, ShardingRules, lower, target};
use lapidary::runtime::{Client, CompileOptions, LoadedExecutable, Program, Result};

use crate::plugin;

fn compile(
    client: &Client,
    build: impl FnOnce(&mut FunctionBuilder<'_>, ValueId) -> std::result::Result<ValueId, BuildError>,
) -> Result<LoadedExecutable> {
    let mut module = Module::new("located");
    let mut b = FunctionBuilder::new(&mut module, "main");
    let x = b.param("hidden_states", TensorType::new(DType::F32, [64]));
    let y = b.scoped("layers.7", |b| b.scoped("mlp", |b| build(b, x))).unwrap();
    b.finish(&[y]);
    let rules = ShardingRules::none();
    let options = LowerOptions { target: &target::CPU, mesh: None, rules: &rules };
    let text = lower(verify_program(&module).unwrap(), &options).unwrap();
    client.compile(&Program::stablehlo(&text), &CompileOptions::new())
}

#[test]
fn the_optimized_program_names_model_paths() {
    let Some(client) = plugin::cpu_client() else { return };
    let executable = compile(&client, |b, x| {
        b.composite("test.inner", Vec::new(), [x], |b, [x]| b.scoped("gate_proj", |b| b.tanh(x)))
    });
    let optimized = executable.unwrap().optimized_program().unwrap();
    for name in ["layers.7.mlp.gate_proj/tanh", "hidden_states"] {
        let found = optimized.code.windows(name.len()).any(|window| window == name.as_bytes());
        assert!(found, "no `{name}` in the optimized program");
    }
}

#[test]
fn compile_errors_name_model_paths() {
    let Some(client) = plugin::cpu_client() else { return };
    let refused = compile(&client, |b, x| {
        let narrow = b.convert(x, DType::S4)?;
        let rows = b.reshape(narrow, &[8, 8])?;
        let dims = DotDims { lhs_contract: vec![1], rhs_contract: vec![0], ..DotDims::default() };
        b.dot_general(rows, rows, dims, Precision::Default, DType::S32)
    });
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("layers.7.mlp/dot_general"), "{message}");
}
