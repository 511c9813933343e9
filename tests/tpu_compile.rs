//! Gemma compiles for TPUs that are not there: four chips of a v5p, tensor-parallel. Nothing runs.
//!
//! The TPU plugin reads environment variables while it loads, so that the test proper runs in a child process
//! that has them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/plugin.rs"]
mod plugin_file;

use std::process::{Command, Stdio};

use lapidary::graph::DType;
use lapidary::graph::verify::verify_program;
use lapidary::lower::{LowerOptions, Mesh, ShardingRules, lower, target};
use lapidary::models::config::GemmaConfig;
use lapidary::models::program::{ParamRole, Phase, Program, ProgramShape, build};
use lapidary::runtime::plugins::PluginKind;
use lapidary::runtime::{self, Attributes, CompileOptions, Plugin, Topology};

const PLUGIN: &str = "LAPIDARY_TEST_TPU_PLUGIN";
const CHIPS: usize = 4;

#[test]
fn gemma_compiles_for_absent_tpus() {
    let Some(path) = plugin_file::plugin(PluginKind::Tpu) else { return };
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "compile_for_absent_tpus", "--ignored", "--nocapture"])
        .env(PLUGIN, path)
        .envs([("TPU_SKIP_MDS_QUERY", "1"), ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")])
        .envs([("TPU_ACCELERATOR_TYPE", "v5p-8"), ("TPU_WORKER_HOSTNAMES", "localhost")])
        .env("TPU_WORKER_ID", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
    println!("{stdout}");
}

#[test]
#[ignore = "the child process of gemma_compiles_for_absent_tpus"]
fn compile_for_absent_tpus() {
    let plugin = Plugin::load(std::env::var_os(PLUGIN).expect("a plugin")).unwrap();
    let topology = Topology::create(&plugin, "v5p:2x2x1", &Attributes::new()).unwrap();
    let ids: Vec<i32> = topology.devices().iter().map(|device| device.id).collect();
    assert_eq!(ids.len(), CHIPS);
    let options = CompileOptions::new().device_assignment(vec![ids]);

    let mut config = GemmaConfig::named("gemma2-27b").unwrap().with_layers(2).unwrap();
    config.vocab_size = 4096;
    for (phase, batch, tokens) in [(Phase::Decode, 4, 1), (Phase::Prefill, 1, 128)] {
        let shape = ProgramShape { phase, batch, tokens, capacity: 4096, dtype: DType::BF16 };
        let program = build(&config, &shape).unwrap();
        let mesh = Mesh::new([("model".to_string(), CHIPS)]).unwrap();
        let lowering =
            LowerOptions { target: &target::TPU, mesh: Some(&mesh), rules: &ShardingRules::transformer() };
        let text = lower(verify_program(&program.module).unwrap(), &lowering).unwrap();
        let executable = topology.compile(&runtime::Program::stablehlo(&text), &options).unwrap();

        // All of the KV cache is updated in place, and every chip holds a quarter of it.
        let memory = executable.memory_stats().unwrap();
        assert_eq!(memory.alias_bytes as usize, cache_bytes(&program) / CHIPS, "{shape}");
        println!("{shape}: {memory:?}");
    }
}

fn cache_bytes(program: &Program) -> usize {
    let states = program.signature.params.iter().filter(|p| matches!(p.role, ParamRole::State { .. }));
    states.map(|param| param.ty.byte_size()).sum()
}
