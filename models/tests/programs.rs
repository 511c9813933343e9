//! Every program verifies, and its text form parses to the same program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/support/golden.rs"]
mod golden;

use lapidary_graph::{DType, text, verify_program};
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::{KvCache, Phase, ProgramShape, SamplerShape, build};

const GOLDENS: [&str; 6] =
    ["gemma2-windowed", "gemma2-bf16", "gemma2-sharded", "gemma1-mqa", "gemma1-mha", "gemma1-f16"];

const PLAIN: SamplerShape = SamplerShape { top_logprobs: 0, repetition_penalty: false };
const FULL: SamplerShape = SamplerShape { top_logprobs: 2, repetition_penalty: true };

/// All phases, with and without room for a ring to be shorter than the context.
fn shapes(config: &GemmaConfig) -> Vec<ProgramShape> {
    let mut shapes = Vec::new();
    for dtype in [DType::BF16, DType::F32] {
        for (capacity, kv_cache) in [
            (16, KvCache::Dense),
            (16, KvCache::Int8),
            (config.context, KvCache::Dense),
            (config.context, KvCache::Int8),
        ] {
            for (phase, tokens) in [
                (Phase::Prefill, 16),
                (Phase::Prefill, 1),
                (Phase::Decode, 1),
                (Phase::Score { logits: false }, 5),
                (Phase::Score { logits: true }, 16),
                (Phase::SampledPrefill(FULL), 16),
                (Phase::SampledDecode { steps: 1, sampler: FULL }, 1),
                (Phase::SampledDecode { steps: 4, sampler: PLAIN }, 1),
                (Phase::SampledDecode { steps: 4, sampler: FULL }, 1),
            ] {
                shapes.push(ProgramShape { phase, batch: 3, tokens, capacity, dtype, kv_cache });
            }
        }
    }
    shapes
}

#[track_caller]
fn check(name: &str, config: &GemmaConfig) {
    for shape in shapes(config) {
        let module = build(config, &shape).unwrap().module;
        verify_program(&module).unwrap_or_else(|violations| panic!("{name} {shape}: {violations}"));
        let printed = module.to_string();
        let parsed = text::parse(&printed).unwrap_or_else(|error| panic!("{name} {shape}: {error}"));
        assert_eq!(parsed.to_string(), printed, "{name} {shape}");
        verify_program(&parsed).unwrap_or_else(|violations| panic!("{name} {shape}, parsed: {violations}"));
    }
}

#[test]
fn programs_of_the_golden_checkpoints() {
    for case in GOLDENS {
        check(case, &GemmaConfig::open(&golden::golden_dir(case)).unwrap());
    }
}

#[test]
fn programs_of_one_and_two_layers_of_every_named_model() {
    for name in GemmaConfig::names() {
        for layers in [1, 2] {
            let config = GemmaConfig::named(name).unwrap().with_layers(layers).unwrap();
            check(&format!("{name} of {layers} layers"), &config);
        }
    }
}
