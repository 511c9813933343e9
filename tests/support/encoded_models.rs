//! Models of random codes, the same models decoded, and what engines answer.

// Every test binary compiles this module, and none uses all of it.
#![allow(dead_code)]

use std::collections::HashMap;
use std::ops::ControlFlow;

use lapidary::engine::{Engine, GenerateOptions, Kernels, Piece, Placement};
use lapidary::graph::DType;
use lapidary::models::checkpoint::{Checkpoint, TensorView};
use lapidary::models::config::{Architecture, GemmaConfig};
use lapidary::models::dtype::{StoredDtype, TensorDtype};
use lapidary::models::encoding::{Encodings, WeightPart, WeightScheme};
use lapidary::models::synth::{SynthOptions, synth};
use lapidary::models::weights::weight_specs;
use lapidary::runtime::Client;
use safetensors::tensor::{Dtype, TensorView as Written, serialize_to_file};
use tempfile::TempDir;

use crate::support::{logits, max_difference};

/// How far logits in f32 may be from each other.
pub(crate) const TOLERANCE: f32 = 1e-4;

/// Gemma 2 with windows of 32 positions, and Gemma 1.
pub(crate) fn configs() -> [GemmaConfig; 2] {
    let gemma2 = GemmaConfig::tiny();
    let mut gemma1 = gemma2.clone();
    gemma1.architecture = Architecture::Gemma1;
    gemma1.query_pre_attn_scalar = gemma1.head_dim as f64;
    (gemma1.sliding_window, gemma1.attn_logit_softcap, gemma1.final_logit_softcap) = (None, None, None);
    [gemma2, gemma1.with_layers(2).unwrap()]
}

/// A model of random codes with scales of `scales`.
pub(crate) fn encoded(config: &GemmaConfig, scheme: &str, scales: StoredDtype) -> (TempDir, Checkpoint) {
    let mut config = GemmaConfig { checkpoint_dtype: scales, ..config.clone() };
    config.encodings = Encodings::uniform(&config, scheme.parse::<WeightScheme>().unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("model");
    let options = SynthOptions { dtype: scales, ..SynthOptions::default() };
    synth(&config, &model, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let checkpoint = Checkpoint::open(&model).unwrap();
    assert_eq!(checkpoint.config(), &config);
    (directory, checkpoint)
}

pub(crate) fn floats(tensor: &TensorView) -> Vec<f32> {
    let mut bytes = vec![0; 4 * tensor.element_count()];
    tensor.convert_into(StoredDtype::F32, &mut bytes).unwrap();
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// The values of each weight, by the definition of the format.
pub(crate) fn values(checkpoint: &Checkpoint) -> HashMap<String, Vec<f32>> {
    let weights = weight_specs(checkpoint.config()).into_iter().map(|weight| {
        let tensors = weight.tensors(checkpoint.config().encodings.of(&weight));
        let part = |part| {
            let tensor = tensors.iter().find(|tensor| tensor.part == part)?;
            checkpoint.tensor(&tensor.name)
        };
        let values = match part(WeightPart::Codes) {
            None => floats(part(WeightPart::Values).unwrap()),
            Some(codes) => {
                let bytes = codes.bytes();
                let codes: Vec<i8> = match codes.dtype() {
                    TensorDtype::I8 => bytes.iter().map(|byte| byte.cast_signed()).collect(),
                    _ => bytes
                        .iter()
                        .flat_map(|byte| [byte & 15, byte >> 4].map(|code| code as i8 - 8))
                        .collect(),
                };
                let scales = floats(part(WeightPart::Scales).unwrap());
                let group = codes.len() / scales.len();
                codes.iter().enumerate().map(|(i, code)| f32::from(*code) * scales[i / group]).collect()
            }
        };
        (weight.name, values)
    });
    weights.collect()
}

/// The same model with the weights that its codes stand for, in f32.
pub(crate) fn decoded(checkpoint: &Checkpoint) -> (TempDir, Checkpoint) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = checkpoint.config().clone();
    (config.encodings, config.checkpoint_dtype) = (Encodings::default(), StoredDtype::F32);
    std::fs::write(directory.path().join("config.json"), config.to_json()).unwrap();
    let values = values(checkpoint);
    let bytes: HashMap<String, Vec<u8>> = values
        .into_iter()
        .map(|(name, values)| (name, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let specs = weight_specs(&config);
    let tensors = specs.iter().map(|spec| {
        (spec.name.clone(), Written::new(Dtype::F32, spec.dims.clone(), &bytes[&spec.name]).unwrap())
    });
    serialize_to_file(tensors, None, &directory.path().join("model.safetensors")).unwrap();
    let opened = Checkpoint::open(directory.path()).unwrap();
    (directory, opened)
}

pub(crate) fn load(placement: &Placement, checkpoint: &Checkpoint, dtype: DType) -> Engine {
    crate::support::engine(placement, checkpoint, Some(dtype))
}

pub(crate) fn single(client: &Client, kernels: Kernels) -> Placement {
    Placement::single(client, &client.addressable_devices()[0]).with_kernels(kernels)
}

/// Sequences of several lengths, one of them beyond the window.
pub(crate) fn sequences() -> Vec<Vec<u32>> {
    let sequence = |(row, length): (u32, u32)| (0..length).map(|i| 2 + (row * 31 + i * 17) % 500).collect();
    (0..).zip([50, 1, 9]).map(sequence).collect()
}

pub(crate) fn greedy(engine: &Engine, prompts: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let options = GenerateOptions { max_new_tokens: 12, ignore_eos: true, ..GenerateOptions::default() };
    let go_on = &mut |_: Piece<'_>| ControlFlow::Continue(());
    let (generations, _) = engine.generate(prompts, None, &options, go_on).unwrap();
    generations.into_iter().map(|generation| generation.token_ids).collect()
}

/// The greatest difference of logits, over scoring (many tokens a step) and decode (one).
pub(crate) fn worst(one: &Engine, other: &Engine) -> f32 {
    let mut worst = 0_f32;
    let sequences = sequences();
    for (one, other) in logits(one, &sequences).iter().zip(logits(other, &sequences)) {
        worst = worst.max(max_difference(one, &other));
    }
    let decode = |engine: &Engine| {
        let mut batch = engine.batch(1, 64).unwrap();
        let mut rows = batch.prefill(&[&sequences[0][..40]]).unwrap();
        for &token in &sequences[0][40..] {
            rows.extend(batch.decode(&[Some(token)]).unwrap());
        }
        rows.concat()
    };
    worst.max(max_difference(&decode(one), &decode(other)))
}
