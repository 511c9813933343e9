//! Gemma compiles for TPUs that are not there: four chips of a v5p, tensor-parallel. Nothing runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/absent_tpu.rs"]
mod absent_tpu;
#[path = "support/plugin.rs"]
mod plugin_file;

use lapidary::graph::DType;
use lapidary::graph::verify::verify_program;
use lapidary::lower::{LowerOptions, Mesh, ShardingRules, lower, target};
use lapidary::models::config::GemmaConfig;
use lapidary::models::program::{KvCache, ParamRole, Phase, Program, ProgramShape, build};
use lapidary::runtime::{self, Attributes, CompileOptions};

const CHIPS: usize = 4;

#[test]
fn gemma_compiles_for_absent_tpus() {
    absent_tpu::run_in_child("compile_for_absent_tpus");
}

#[test]
#[ignore = "the child process of gemma_compiles_for_absent_tpus"]
fn compile_for_absent_tpus() {
    let topology = absent_tpu::topology(&absent_tpu::plugin(), "v5p:2x2x1", &Attributes::new());
    let ids: Vec<i32> = topology.devices().iter().map(|device| device.id).collect();
    assert_eq!(ids.len(), CHIPS);
    let options = CompileOptions::new().device_assignment(vec![ids]);

    let mut config = GemmaConfig::named("gemma2-27b").unwrap().with_layers(2).unwrap();
    config.vocab_size = 4096;
    for (phase, batch, tokens) in [(Phase::Decode, 4, 1), (Phase::Prefill, 1, 128)] {
        let shape = ProgramShape {
            phase,
            batch,
            tokens,
            capacity: 4096,
            dtype: DType::BF16,
            kv_cache: KvCache::Dense,
        };
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
