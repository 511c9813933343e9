//! Whole models with CPU kernels and without.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use lapidary::engine::{Engine, Kernels, Placement};
use lapidary::graph::{DType, verify_program};
use lapidary::hlo::{Module, Opcode};
use lapidary::lower::{LowerOptions, ShardingRules, Target, lower, target};
use lapidary::model::Model;
use lapidary::models::config::GemmaConfig;
use lapidary::models::program::{KvCache, Phase, ProgramShape, SamplerShape, build};
use lapidary::runtime::{Client, CompileOptions, CustomCall, Program, kernels};

fn engine(client: &Client, model: &Model, dtype: DType, kernels: Kernels) -> Engine {
    let placement = Placement::single(client, &client.addressable_devices()[0]).with_kernels(kernels);
    support::engine(&placement, model.checkpoint(), Some(dtype))
}

/// Likelihoods in bf16 are as close to those in f32 with kernels as without.
#[test]
fn bf16_is_no_further_from_f32_with_kernels_than_without() {
    let Some(client) = support::cpu() else { return };
    let model = Model::builtin().unwrap();
    let text =
        "Once upon a time, there was a little girl named Mia. She had a cat named Fluff and a red ball. ";
    let tokens = model.tokenizer().unwrap().encode(&text.repeat(8)).unwrap();
    let likelihoods =
        |dtype, kernels| support::likelihoods(&engine(&client, &model, dtype, kernels), &tokens);
    let exact = likelihoods(DType::F32, Kernels::OFF);
    let error = |kernels| {
        let found = likelihoods(DType::BF16, kernels);
        assert_eq!(found.len(), exact.len());
        let squares: f32 = found.iter().zip(&exact).map(|(found, exact)| (found - exact).powi(2)).sum();
        (squares / exact.len() as f32).sqrt()
    };
    let (without, with) = (error(Kernels::OFF), error(Kernels::AUTO));
    assert!(without > 0.0 && without < 0.2, "bf16 without kernels is {without} from f32");
    assert!(with <= 1.25 * without, "bf16 is {with} from f32 with kernels, {without} without");
}

/// Every projection and all attention is a call, under the names that the runtime registers.
#[test]
fn programs_call_the_kernels_that_the_runtime_has() {
    let config = Model::builtin().unwrap().checkpoint().config().clone();
    let target = target::CPU.with_kernels(target::KERNELS.to_vec());
    let calls_with = |kv_cache, phase, tokens: usize, dtype, name: &str| {
        let shape = ProgramShape { phase, batch: 2, tokens, capacity: tokens.max(256), dtype, kv_cache };
        let program = build(&config, &shape).unwrap();
        let options = LowerOptions { target: &target, mesh: None, rules: &ShardingRules::none() };
        let text = lower(verify_program(&program.module).unwrap(), &options).unwrap();
        text.matches(&format!("call_target_name = \"{name}\"")).count()
    };
    let calls = |phase, tokens, dtype, name: &str| calls_with(KvCache::Dense, phase, tokens, dtype, name);
    let (linear, attention) = (kernels::Linear::NAME, kernels::Attention::NAME);
    // Seven projections a layer, and the one to the vocabulary.
    let projections = 7 * config.num_layers + 1;
    assert_eq!(calls(Phase::Decode, 1, DType::BF16, linear), projections);
    assert_eq!(calls(Phase::Decode, 1, DType::BF16, attention), config.num_layers);
    assert_eq!(calls(Phase::Prefill, 32, DType::BF16, linear), projections);
    assert_eq!(calls(Phase::Prefill, 32, DType::BF16, attention), config.num_layers);
    // Beyond a block of queries the decomposition is a loop.
    assert_eq!(calls(Phase::Prefill, 1024, DType::BF16, attention), config.num_layers);
    assert_eq!(calls(Phase::Decode, 1, DType::F32, linear), 0);
    // Keys and values.
    assert_eq!(calls(Phase::Decode, 1, DType::BF16, kernels::CacheWrite::NAME), 2 * config.num_layers);
    assert_eq!(calls(Phase::Prefill, 32, DType::BF16, kernels::CacheWrite::NAME), 2 * config.num_layers);
    // Four norms a layer and the last one; queries and keys; two branches.
    for (phase, tokens) in [(Phase::Decode, 1), (Phase::Prefill, 32)] {
        let calls = |name| calls(phase, tokens, DType::BF16, name);
        assert_eq!(calls(kernels::RmsNorm::NAME), 4 * config.num_layers + 1);
        assert_eq!(calls(kernels::Rope::NAME), 2 * config.num_layers);
        assert_eq!(calls(kernels::Geglu::NAME), config.num_layers);
        assert_eq!(calls(kernels::ResidualAdd::NAME), 2 * config.num_layers);
    }
    // Codes and scales of both.
    for (phase, tokens) in [(Phase::Decode, 1), (Phase::Prefill, 32), (Phase::Prefill, 1024)] {
        let calls = |name| calls_with(KvCache::Int8, phase, tokens, DType::BF16, name);
        assert_eq!(calls(attention), config.num_layers);
        assert_eq!(calls(kernels::CacheWrite::NAME), 4 * config.num_layers);
    }
}

/// A compiler cannot split what it does not know: on a mesh, programs have no kernels.
#[test]
fn a_mesh_has_no_kernels() {
    let Some(client) = support::cpu_devices(2) else { return };
    let model = Model::builtin().unwrap();
    let mesh: lapidary::lower::Mesh = "model=2".parse().unwrap();
    let placement = Placement::new(&client, mesh, ShardingRules::transformer()).unwrap();
    let engine = support::engine(&placement, model.checkpoint(), None);
    let mut batch = engine.batch(1, 64).unwrap();
    let logits = batch.prefill(&[&[2, 100, 200]]).unwrap();
    assert!(logits[0].iter().all(|logit| logit.is_finite()));
}

/// What the plugin makes of a program with the kernels of `target`.
fn compiled(client: &Client, target: &Target, config: &GemmaConfig, shape: &ProgramShape) -> Module {
    let program = build(config, shape).unwrap();
    let options = LowerOptions { target, mesh: None, rules: &ShardingRules::none() };
    let text = lower(verify_program(&program.module).unwrap(), &options).unwrap();
    let executable = client.compile(&Program::stablehlo(&text), &CompileOptions::new()).unwrap();
    Module::from_bytes(&executable.optimized_program().unwrap().code).unwrap()
}

/// A layer makes as many operations as any other: XLA does not compute in one again what an earlier one did.
#[test]
fn programs_grow_with_their_layers() {
    let Some(client) = support::cpu() else { return };
    client.plugin().register_kernels().unwrap();
    let target = target::CPU.with_kernels(target::KERNELS.to_vec());
    let operations = |phase, tokens, layers| {
        let config = GemmaConfig::tiny().with_layers(layers).unwrap();
        let kv_cache = KvCache::Dense;
        let shape = ProgramShape { phase, batch: 1, tokens, capacity: 64, dtype: DType::BF16, kv_cache };
        let module = compiled(&client, &target, &config, &shape);
        module.computations().map(|(_, computation)| computation.instructions().count()).sum::<usize>()
    };
    for (phase, tokens) in [(Phase::Decode, 1), (Phase::Prefill, 16)] {
        let [few, more, many] = [2, 4, 8].map(|layers| operations(phase, tokens, layers));
        assert_eq!(many - more, 2 * (more - few), "2, 4 and 8 layers: {few}, {more}, {many} operations");
    }
}

/// The cache is written where it lies: nothing else makes an array of its size, in any dtype.
#[test]
fn no_step_copies_or_converts_a_cache() {
    let Some(client) = support::cpu() else { return };
    client.plugin().register_kernels().unwrap();
    let config = Model::builtin().unwrap().checkpoint().config().clone();
    let target = target::CPU.with_kernels(target::KERNELS.to_vec());
    let sampled = Phase::SampledDecode { steps: 1, sampler: SamplerShape::default() };
    for (phase, batch, kv_cache) in [
        (Phase::Decode, 1, KvCache::Dense),
        (Phase::Decode, 3, KvCache::Dense),
        (sampled, 2, KvCache::Dense),
        (Phase::Decode, 1, KvCache::Int8),
        (sampled, 2, KvCache::Int8),
    ] {
        let shape = ProgramShape { phase, batch, tokens: 1, capacity: 512, dtype: DType::BF16, kv_cache };
        let module = compiled(&client, &target, &config, &shape);
        let caches: Vec<u64> = config
            .layer_kinds
            .iter()
            .map(|&kind| shape.cache_dims(&config, kind).iter().product::<usize>() as u64)
            .collect();
        let offenders: Vec<String> = module
            .computations()
            .flat_map(|(_, computation)| computation.instructions())
            .filter(|(_, instruction)| !matches!(instruction.opcode, Opcode::Parameter | Opcode::CustomCall))
            .filter(|(_, instruction)| {
                let array = instruction.shape.as_array();
                array.is_some_and(|array| caches.contains(&array.elements()))
            })
            .map(|(_, instruction)| format!("{} = {:?}", instruction.name, instruction.opcode))
            .collect();
        assert!(offenders.is_empty(), "{shape}: {offenders:?}");
    }
}
