//! Every program of every model builds; what its signature says is what the graph has.

use lapidary_graph::{DType, TensorType};

use super::*;
use crate::config::GemmaConfig;
use crate::encoding::{Arrangement, Encodings, WeightScheme};

const NAMES: [&str; 5] = ["gemma-2b", "gemma-7b", "gemma2-2b", "gemma2-9b", "gemma2-27b"];
const SAMPLER: SamplerShape = SamplerShape { top_logprobs: 3, repetition_penalty: true };
const PHASES: [(Phase, usize); 7] = [
    (Phase::Prefill, 128),
    (Phase::Decode, 1),
    (Phase::Score { logits: false }, 64),
    (Phase::Score { logits: true }, 64),
    (Phase::SampledPrefill(SAMPLER), 64),
    (Phase::SampledDecode { steps: 1, sampler: SAMPLER }, 1),
    (Phase::SampledDecode { steps: 8, sampler: SAMPLER }, 1),
];

fn shape(phase: Phase, tokens: usize) -> ProgramShape {
    ProgramShape { phase, batch: 3, tokens, capacity: 8192, dtype: DType::BF16, kv_cache: KvCache::Dense }
}

#[test]
fn all_models_build_in_all_phases() {
    for name in NAMES {
        let config = GemmaConfig::named(name).unwrap();
        for (phase, tokens) in PHASES {
            let program = build(&config, &shape(phase, tokens)).unwrap();
            let main = program.module.function(program.module.entry().unwrap()).unwrap();
            assert_eq!(main.params.len(), program.signature.params.len());
            assert_eq!(main.results.len(), program.signature.results.len());
            for (param, spec) in main.params.iter().zip(&program.signature.params) {
                assert_eq!(main.value_type(param.value), Some(&spec.ty), "{}", spec.name);
                assert_eq!((&param.name, param.donated_to), (&spec.name, spec.donated_to));
                assert_eq!(spec.axes.0.len(), spec.ty.rank());
            }
            for (result, spec) in main.results.iter().zip(&program.signature.results) {
                assert_eq!(main.value_type(result.value), Some(&spec.ty), "{}", spec.name);
                assert_eq!(spec.axes.0.len(), spec.ty.rank());
            }
        }
    }
}

/// Codes and scales of each layer, split where the cache is, and each handed on to itself.
#[test]
fn a_cache_in_8_bits_is_codes_and_scales() {
    for name in NAMES {
        let config = GemmaConfig::named(name).unwrap().with_layers(2).unwrap();
        for (phase, tokens) in PHASES {
            let shape = ProgramShape { kv_cache: KvCache::Int8, ..shape(phase, tokens) };
            let program = build(&config, &shape).unwrap();
            assert!(program.module.name.contains("_bf16_kv_int8"), "{}", program.module.name);
            let mut bytes = 0;
            let mut kinds = Vec::new();
            for param in &program.signature.params {
                let ParamRole::State { layer, kind } = param.role else { continue };
                let attention = config.layer_kinds[layer];
                let [batch, heads, slots, width] = shape.cache_dims(&config, attention);
                let expected = match kind {
                    StateKind::Keys | StateKind::Values => {
                        TensorType::new(DType::S8, [batch, heads, slots, width])
                    }
                    StateKind::KeyScales | StateKind::ValueScales => {
                        TensorType::new(DType::F32, [batch, heads, slots])
                    }
                };
                assert_eq!(param.ty, expected, "{}", param.name);
                assert_eq!(param.axes.0[..3], StateKind::Keys.axes().0[..3]);
                let result = &program.signature.results[param.donated_to.unwrap()];
                assert_eq!((result.role, &result.ty), (ResultRole::State { layer, kind }, &param.ty));
                bytes += param.ty.byte_size();
                kinds.push((layer, kind));
            }
            assert_eq!(bytes, shape.cache_bytes(&config));
            kinds.sort_unstable();
            let all = (0..2).flat_map(|layer| StateKind::ALL.map(|kind| (layer, kind)));
            assert_eq!(kinds, all.collect::<Vec<_>>());
        }
    }
}

#[test]
fn forms_of_a_cache_read_as_they_are_written() {
    for text in ["bf16", "int8"] {
        assert_eq!(text.parse::<KvCache>().map(|form| form.to_string()), Ok(text.to_string()));
    }
    let error = "int4".parse::<KvCache>().unwrap_err().to_string();
    assert_eq!(
        error,
        "no KV cache is `int4`: give bf16, which stands for the type that the model runs in, or int8"
    );
}

#[test]
fn programs_take_weights_in_their_encodings() {
    for name in NAMES {
        let mut config = GemmaConfig::named(name).unwrap().with_layers(2).unwrap();
        for scheme in [WeightScheme::Int8 { group: None }, WeightScheme::Int4 { group: 128 }] {
            config.encodings = Encodings::uniform(&config, scheme).unwrap();
            for (phase, tokens) in PHASES {
                let program = build(&config, &shape(phase, tokens)).unwrap();
                let main = program.module.function(program.module.entry().unwrap()).unwrap();
                let weights = program.signature.params.iter().filter_map(|param| match &param.role {
                    ParamRole::Weight(tensor) => Some((param, tensor)),
                    ParamRole::Input(_) | ParamRole::State { .. } => None,
                });
                let weights: Vec<_> = weights.collect();
                let tensors = crate::weights::weight_tensors(&config);
                assert_eq!(weights.len(), tensors.len());
                for ((param, found), tensor) in weights.iter().zip(&tensors) {
                    assert_eq!((&param.name, *found), (&tensor.name, tensor));
                    assert_eq!((&param.ty.dims, param.axes.0.len()), (&tensor.dims, tensor.dims.len()));
                }
                let bytes: usize = weights.iter().map(|(param, _)| param.ty.byte_size()).sum();
                assert_eq!(bytes as u64, config.weight_bytes(crate::dtype::StoredDtype::Bf16));
                assert!(lapidary_graph::verify_program(&program.module).is_ok(), "{name} {scheme}");
                // Every projection is a product with codes, and so are the logits.
                let composites = |name: &str| {
                    let ops = main.ops.iter().map(|op| &op.op);
                    ops.filter(
                        |op| matches!(op, lapidary_graph::Op::Composite { name: found, .. } if found == name),
                    )
                    .count()
                };
                if phase.steps() == 1 {
                    assert_eq!(composites("lapidary.quantized_linear"), 2 * 7 + 1, "{name} {scheme}");
                    assert_eq!(composites("lapidary.linear"), 0, "{name} {scheme}");
                }
            }
        }
    }
}

/// Dimensions say how many inputs each of their elements stands for.
#[test]
fn groups_are_blocks_of_the_axis_of_their_inputs() {
    let mut config = GemmaConfig::named("gemma2-2b").unwrap().with_layers(1).unwrap();
    config.encodings = Encodings::uniform(&config, WeightScheme::Int4 { group: 128 }).unwrap();
    let signature = build(&config, &shape(Phase::Decode, 1)).unwrap().signature;
    for (name, axes) in [
        ("embed_tokens.weight", ["vocab", "embed"]),
        ("embed_tokens.weight_scale", ["vocab", "embed/2304"]),
        ("layers.0.self_attn.q_proj.weight_packed", ["heads", "embed/2"]),
        ("layers.0.self_attn.o_proj.weight_packed", ["embed", "heads/2"]),
        ("layers.0.self_attn.o_proj.weight_scale", ["embed", "heads/128"]),
        ("layers.0.mlp.down_proj.weight_scale", ["embed", "ffn/128"]),
    ] {
        let param = signature.params.iter().find(|param| param.name == format!("model.{name}")).unwrap();
        assert_eq!(param.axes, lapidary_graph::LogicalAxes::of(&axes), "{name}");
    }
    config.encodings = config.encodings.arranged(Arrangement::Groups);
    let signature = build(&config, &shape(Phase::Decode, 1)).unwrap().signature;
    for (name, axes) in [
        ("embed_tokens.weight", &["vocab", "embed"][..]),
        ("layers.0.self_attn.q_proj.weight_packed", &["embed/128", "heads", "_"]),
        ("layers.0.self_attn.o_proj.weight_packed", &["heads/128", "embed", "_"]),
        ("layers.0.self_attn.o_proj.weight_scale", &["heads/128", "embed"]),
        ("layers.0.mlp.down_proj.weight_scale", &["ffn/128", "embed"]),
    ] {
        let param = signature.params.iter().find(|param| param.name == format!("model.{name}")).unwrap();
        assert_eq!(param.axes, lapidary_graph::LogicalAxes::of(axes), "{name}");
    }
}

#[test]
fn state_is_donated_to_the_result_of_its_layer() {
    let config = GemmaConfig::named("gemma2-2b").unwrap();
    for phase in [Phase::Decode, Phase::SampledDecode { steps: 8, sampler: SAMPLER }] {
        let signature = build(&config, &shape(phase, 1)).unwrap().signature;
        let mut states = 0;
        for param in &signature.params {
            let ParamRole::State { layer, kind } = param.role else {
                assert_eq!(param.donated_to, None, "{}", param.name);
                continue;
            };
            states += 1;
            let result = &signature.results[param.donated_to.unwrap()];
            assert_eq!(result.role, ResultRole::State { layer, kind });
            assert_eq!(result.ty, param.ty);
        }
        assert_eq!(states, 2 * config.num_layers);
    }
}

#[test]
fn one_step_is_no_loop_over_layers() {
    let config = GemmaConfig::named("gemma2-2b").unwrap().with_layers(2).unwrap();
    let loops_over_layers = |steps| {
        let program = build(&config, &shape(Phase::SampledDecode { steps, sampler: SAMPLER }, 1)).unwrap();
        let bodies = program.module.functions.iter().flat_map(|f| &f.ops).filter_map(|op| {
            let lapidary_graph::Op::While { body, .. } = op.op else { return None };
            program.module.function(body)
        });
        bodies.filter(|body| body.params.len() > program.signature.params.len()).count()
    };
    assert_eq!((loops_over_layers(1), loops_over_layers(2)), (0, 1));
}

#[test]
fn names_tell_programs_apart() {
    let sampler = SamplerShape::default();
    let name = |phase| shape(phase, 1).to_string();
    assert_eq!(name(Phase::Decode), "decode_b3_t1_c8192_bf16");
    assert_eq!(name(Phase::SampledDecode { steps: 1, sampler }), "sampled_decode_b3_t1_c8192_bf16_s1");
    let all = name(Phase::SampledDecode { steps: 8, sampler: SAMPLER });
    assert_eq!(all, "sampled_decode_b3_t1_c8192_bf16_s8_top3_penalty");
    assert_eq!(name(Phase::SampledPrefill(SAMPLER)), "sampled_prefill_b3_t1_c8192_bf16_top3_penalty");
}

#[test]
fn local_layers_keep_only_their_window() {
    let config = GemmaConfig::named("gemma2-27b").unwrap();
    let long = shape(Phase::Decode, 1);
    let kept = long.cache_bytes(&config);
    let everything = 3 * 8192 * 376_832;
    assert_eq!(kept, everything / 4 * 3, "half of the layers keep half of the positions");
}

#[test]
fn sizes_that_make_no_program_are_refused() {
    let config = GemmaConfig::named("gemma2-2b").unwrap();
    let good = shape(Phase::Prefill, 16);
    let refused = [
        (ProgramShape { batch: 0, ..good }, "at least one row"),
        (ProgramShape { capacity: 8193, ..good }, "exceeds the model's context of 8192"),
        (ProgramShape { tokens: 64, capacity: 32, ..good }, "a step of 64 tokens exceeds"),
        (ProgramShape { phase: Phase::Decode, tokens: 2, ..good }, "1 token a row, not 2"),
        (
            ProgramShape { phase: Phase::SampledDecode { steps: 0, sampler: SAMPLER }, tokens: 1, ..good },
            "at least one step",
        ),
        (
            ProgramShape { phase: Phase::SampledDecode { steps: 2, sampler: SAMPLER }, tokens: 2, ..good },
            "1 token a row, not 2",
        ),
        (
            ProgramShape {
                phase: Phase::SampledPrefill(SamplerShape { top_logprobs: 21, ..SAMPLER }),
                ..good
            },
            "the 21 likeliest tokens; at most 20",
        ),
        (ProgramShape { dtype: DType::F16, ..good }, "bf16 or f32, not f16"),
    ];
    for (shape, message) in refused {
        let error = build(&config, &shape).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn padding_rows_of_the_vocabulary_have_no_logits() {
    let mut config = GemmaConfig::named("gemma-2b").unwrap().with_layers(1).unwrap();
    config.vocab_size = 256_128;
    let signature = build(&config, &shape(Phase::Decode, 1)).unwrap().signature;
    let logits = &signature.results[signature.result_index(ResultRole::Output(Output::Logits)).unwrap()];
    assert_eq!(logits.ty.dims, [3, 256_000]);
}
