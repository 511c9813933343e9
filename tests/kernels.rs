//! Whole models with CPU kernels and without.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::ops::ControlFlow;

use lapidary::engine::{Engine, Kernels, Placement};
use lapidary::graph::{DType, verify_program};
use lapidary::lower::{LowerOptions, ShardingRules, lower, target};
use lapidary::model::Model;
use lapidary::models::program::{Phase, ProgramShape, build};
use lapidary::runtime::{Client, CustomCall, kernels};

fn engine(client: &Client, model: &Model, dtype: DType, kernels: Kernels) -> Engine {
    let placement = Placement::single(client, &client.addressable_devices()[0]).with_kernels(kernels);
    Engine::load(&placement, model.checkpoint(), Some(dtype), &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Likelihoods in bf16 are as close to those in f32 with kernels as without.
#[test]
fn bf16_is_no_further_from_f32_with_kernels_than_without() {
    let Some(client) = support::cpu() else { return };
    let model = Model::builtin().unwrap();
    let text =
        "Once upon a time, there was a little girl named Mia. She had a cat named Fluff and a red ball. ";
    let tokens = model.tokenizer().unwrap().encode(&text.repeat(8)).unwrap();
    // The last one decodes token by token: one row a step, over rings that have long wrapped.
    let likelihoods = |dtype, kernels| {
        let engine = engine(&client, &model, dtype, kernels);
        let mut values = Vec::new();
        for score in engine.score(std::slice::from_ref(&tokens), None).unwrap() {
            values.extend(score.nll);
        }
        let mut batch = engine.batch(1, tokens.len()).unwrap();
        batch.prefill(&[&tokens[..1]]).unwrap();
        for pair in tokens.windows(2) {
            let logits = batch.decode(&[Some(pair[0])]).unwrap().remove(0);
            let top = logits.iter().copied().fold(f32::MIN, f32::max);
            let total: f32 = logits.iter().map(|logit| (logit - top).exp()).sum();
            values.push(top + total.ln() - logits[pair[1] as usize]);
        }
        values
    };
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

/// Every projection and every decode attention is a call, under the names that the runtime registers.
#[test]
fn programs_call_the_kernels_that_the_runtime_has() {
    let config = Model::builtin().unwrap().checkpoint().config().clone();
    let target = target::CPU.with_kernels(vec![target::LINEAR, target::DECODE_ATTENTION]);
    let calls = |phase, tokens, dtype, name: &str| {
        let program =
            build(&config, &ProgramShape { phase, batch: 2, tokens, capacity: 256, dtype }).unwrap();
        let options = LowerOptions { target: &target, mesh: None, rules: &ShardingRules::none() };
        let text = lower(verify_program(&program.module).unwrap(), &options).unwrap();
        text.matches(&format!("call_target_name = \"{name}\"")).count()
    };
    let (linear, attention) = (kernels::Linear::NAME, kernels::DecodeAttention::NAME);
    // Seven projections a layer, and the one to the vocabulary.
    let projections = 7 * config.num_layers + 1;
    assert_eq!(calls(Phase::Decode, 1, DType::BF16, linear), projections);
    assert_eq!(calls(Phase::Decode, 1, DType::BF16, attention), config.num_layers);
    assert_eq!(calls(Phase::Prefill, 32, DType::BF16, linear), projections);
    assert_eq!(calls(Phase::Prefill, 32, DType::BF16, attention), 0);
    assert_eq!(calls(Phase::Decode, 1, DType::F32, linear), 0);
}

/// A compiler cannot split what it does not know: on a mesh, programs have no kernels.
#[test]
fn a_mesh_has_no_kernels() {
    let Some(client) = support::cpu_devices(2) else { return };
    let model = Model::builtin().unwrap();
    let mesh: lapidary::lower::Mesh = "model=2".parse().unwrap();
    let placement = Placement::new(&client, mesh, ShardingRules::transformer()).unwrap();
    let engine =
        Engine::load(&placement, model.checkpoint(), None, &mut |_| ControlFlow::Continue(())).unwrap();
    let mut batch = engine.batch(1, 64).unwrap();
    let logits = batch.prefill(&[&[2, 100, 200]]).unwrap();
    assert!(logits[0].iter().all(|logit| logit.is_finite()));
}
