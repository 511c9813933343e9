//! What moves between devices when tokens are chosen: a few numbers a row, and no logits.

use lapidary::graph::DType;
use lapidary::graph::verify::verify_program;
use lapidary::hlo::{Collective, Module, Report, ReportOptions};
use lapidary::lower::{LowerOptions, Mesh, ShardingRules, Target, lower, target};
use lapidary::models::config::GemmaConfig;
use lapidary::models::program::{KvCache, Phase, ProgramShape, SamplerShape, build};
use lapidary::runtime::{Attributes, CompileOptions, Executable, Program};

use crate::{absent_tpu, cpu_devices};

const BATCH: usize = 4;
const DEVICES: usize = 4;

/// Everything that choosing can ask for, in one step and in a loop.
fn phases() -> [Phase; 2] {
    let sampler = SamplerShape { top_logprobs: 2, repetition_penalty: true };
    [Phase::SampledDecode { steps: 1, sampler }, Phase::SampledDecode { steps: 4, sampler }]
}

fn text(phase: Phase, target: &Target, mesh: &str) -> String {
    let mut config = GemmaConfig::named("gemma2-9b").unwrap().with_layers(1).unwrap();
    (config.hidden_size, config.intermediate_size) = (64, 128);
    (config.num_heads, config.num_kv_heads, config.head_dim) = (8, 4, 16);
    config.vocab_size = 8192;
    let shape = ProgramShape {
        phase,
        batch: BATCH,
        tokens: 1,
        capacity: 64,
        dtype: DType::F32,
        kv_cache: KvCache::Dense,
    };
    let program = build(&config, &shape).unwrap();
    let mesh: Mesh = mesh.parse().unwrap();
    let rules = ShardingRules::transformer();
    let options = LowerOptions { target, mesh: Some(&mesh), rules: &rules };
    lower(verify_program(&program.module).unwrap(), &options).unwrap()
}

/// Fails unless all that moves is the model's activations, and for sampling, a few numbers a row and device.
#[track_caller]
fn assert_no_logits_move(executable: &Executable) {
    let program = executable.optimized_program().unwrap();
    let module = Module::from_bytes(&program.code).unwrap();
    let collectives = Report::of(&module, &ReportOptions::default()).collectives;
    let path = |c: &Collective| c.path.clone().unwrap_or_default();
    let told = |c: &Collective| format!("{} of {} bytes at {}", c.kind, c.bytes, path(c));
    let listed: Vec<String> = collectives.iter().map(told).collect();
    let limit = 16 * BATCH * DEVICES;
    // What the model moves before there are logits is another test's. (Where rows are split over devices, too, the CPU
    // target's padding of rows moves those of lm_head.)
    let of_model =
        |c: &Collective| ["layers.", "embed_tokens", "lm_head"].iter().any(|part| path(c).contains(part));
    let large = collectives.iter().filter(|c| !of_model(c) && c.bytes as usize > limit).count();
    assert_eq!(large, 0, "{listed:#?}");
    assert!(collectives.iter().any(|c| path(c).contains("sampling")), "{listed:#?}");
}

#[test]
fn no_logits_move_between_virtual_devices() {
    let Some(client) = cpu_devices(DEVICES as i64) else { return };
    for mesh in ["model=4", "data=2,model=2"] {
        for phase in phases() {
            let ids = client.addressable_devices().iter().map(|device| device.id()).collect();
            let options = CompileOptions::new().device_assignment(vec![ids]);
            let text = text(phase, &target::CPU, mesh);
            assert_no_logits_move(&client.compile(&Program::stablehlo(&text), &options).unwrap());
        }
    }
}

#[test]
fn no_logits_move_between_tpus() {
    absent_tpu::run_in_child("collectives::compile_for_absent_tpus");
}

#[test]
#[ignore = "the child process of no_logits_move_between_tpus"]
fn compile_for_absent_tpus() {
    let topology = absent_tpu::topology(&absent_tpu::plugin(), "v5p:2x2x1", &Attributes::new());
    let ids: Vec<i32> = topology.devices().iter().map(|device| device.id).collect();
    for phase in phases() {
        let options = CompileOptions::new().device_assignment(vec![ids.clone()]);
        let text = text(phase, &target::TPU, "model=4");
        assert_no_logits_move(&topology.compile(&Program::stablehlo(&text), &options).unwrap());
    }
}
