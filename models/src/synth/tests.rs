use std::ops::ControlFlow;
use std::path::PathBuf;

use safetensors::SafeTensors;

use super::*;
use crate::chat::{ChatTemplate, GEMMA_TEMPLATE, Message, Role};
use crate::checkpoint::Checkpoint;
use crate::dtype::TensorDtype;
use crate::encoding::{Encodings, WeightScheme};
use crate::tokenizer::Tokenizer;
use crate::weights::weight_specs;

fn quiet(_: crate::progress::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn synthesized(config: &GemmaConfig, options: &SynthOptions) -> (tempfile::TempDir, PathBuf, SynthReport) {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("model");
    let report = synth(config, &directory, options, &mut quiet).unwrap();
    (parent, directory, report)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_opens_again() {
    for name in ["tiny", "gemma-2b"] {
        let mut config = GemmaConfig::named(name).unwrap().with_layers(2).unwrap();
        (config.hidden_size, config.intermediate_size, config.vocab_size) = (96, 160, 1000);
        for dtype in StoredDtype::ALL {
            let options = SynthOptions { dtype, ..SynthOptions::default() };
            let (_parent, directory, report) = synthesized(&config, &options);
            let checkpoint = Checkpoint::open(&directory).unwrap();
            assert_eq!(checkpoint.config(), &GemmaConfig { checkpoint_dtype: dtype, ..config.clone() });
            assert_eq!(checkpoint.dtype(), dtype);
            assert_eq!(checkpoint.summary().parameters, config.parameter_count());
            assert_eq!(checkpoint.byte_count(), report.data_bytes);
            assert_eq!(checkpoint.check_finite(&mut quiet).unwrap(), []);
            assert!(checkpoint.tensors().iter().all(|tensor| tensor.alignment() >= 32));

            // The format's own implementation agrees.
            let file = std::fs::read(directory.join("model.safetensors")).unwrap();
            let reference = SafeTensors::deserialize(&file).unwrap();
            for tensor in checkpoint.tensors() {
                assert_eq!(tensor.bytes(), reference.tensor(tensor.name()).unwrap().data());
            }
        }
    }
}

#[test]
fn tokenizer_and_template_come_with_it() {
    let config = GemmaConfig::tiny();
    let (_parent, directory, _) = synthesized(&config, &SynthOptions::default());
    let tokenizer = Tokenizer::open(&directory, &config).unwrap();
    let template = ChatTemplate::open(&directory).unwrap();
    let messages = [Message::new(Role::User, "Hello")];
    let text = template.render(&messages, tokenizer.bos_text(), true).unwrap();
    let expected = ChatTemplate::parse(Path::new("x"), GEMMA_TEMPLATE.to_owned()).unwrap();
    assert_eq!(text, expected.render(&messages, "<bos>", true).unwrap());
    let ids = tokenizer.encode(&text).unwrap();
    assert_eq!(ids[..2], [2, 106]);
    assert_eq!(ids.iter().filter(|id| **id == 2).count(), 1);

    let mut small = config;
    (small.vocab_size, small.eos_token_ids) = (100, vec![1]);
    let (_parent, directory, report) = synthesized(&small, &SynthOptions::default());
    assert!(!report.has_tokenizer);
    assert_eq!(names(&directory), ["config.json", "generation_config.json", "model.safetensors"]);
    Checkpoint::open(&directory).unwrap();
}

#[test]
fn weights_depend_on_seed_and_name_only() {
    let config = GemmaConfig::tiny();
    let sharded = SynthOptions { max_shard_bytes: 50_000, ..SynthOptions::default() };
    let (_a, one, _) = synthesized(&config, &SynthOptions::default());
    let (_b, several, report) = synthesized(&config.clone().with_layers(3).unwrap(), &sharded);
    assert!(report.shards > 3, "{}", report.shards);
    let (one, several) = (Checkpoint::open(&one).unwrap(), Checkpoint::open(&several).unwrap());
    assert_eq!(several.summary().files, report.shards);
    // The embedding and the final norm are scaled to the number of layers.
    for tensor in one.tensors().iter().filter(|tensor| tensor.name().contains(".layers.")) {
        assert_eq!(several.tensor(tensor.name()).unwrap().bytes(), tensor.bytes(), "{}", tensor.name());
    }

    let memory = |seed| Checkpoint::from_bytes(config.clone(), "m", synth_in_memory(&config, seed).unwrap());
    let (same, other) = (memory(0).unwrap(), memory(1).unwrap());
    for tensor in one.tensors() {
        assert_eq!(same.tensor(tensor.name()).unwrap().bytes(), tensor.bytes());
        assert_ne!(other.tensor(tensor.name()).unwrap().bytes(), tensor.bytes());
    }
}

#[test]
fn sizes_of_the_values() {
    let config = GemmaConfig { checkpoint_dtype: StoredDtype::F32, ..GemmaConfig::tiny() };
    let checkpoint =
        Checkpoint::from_bytes(config.clone(), "m", synth_in_memory(&config, 3).unwrap()).unwrap();
    for spec in weight_specs(&config).iter().filter(|spec| spec.dims.len() == 2 && spec.layer.is_some()) {
        let bytes = checkpoint.tensor(&spec.name).unwrap().bytes();
        let values = bytes.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
        let variance = values.map(|value| value * value).sum::<f64>() / spec.element_count() as f64;
        let fan_in = spec.dims[1] as f64;
        assert!((variance * fan_in - 1.0).abs() < 0.15, "{}: {}", spec.name, variance * fan_in);
    }
}

/// What codes stand for is as large as the weights of a dense model.
#[test]
fn sizes_of_encoded_values() {
    for scheme in [WeightScheme::Int8 { group: None }, WeightScheme::Int4 { group: 32 }] {
        let mut config = GemmaConfig { checkpoint_dtype: StoredDtype::F32, ..GemmaConfig::tiny() };
        config.encodings = Encodings::uniform(&config, scheme).unwrap();
        let checkpoint =
            Checkpoint::from_bytes(config.clone(), "m", synth_in_memory(&config, 3).unwrap()).unwrap();
        assert_eq!(checkpoint.config(), &config);
        for spec in weight_specs(&config).iter().filter(|spec| spec.dims.len() == 2 && spec.layer.is_some()) {
            let [codes, scales] = &spec.tensors(config.encodings.of(spec))[..] else {
                panic!("{}", spec.name)
            };
            let codes = checkpoint.tensor(&codes.name).unwrap();
            let codes: Vec<f64> = match codes.dtype() {
                TensorDtype::I8 => codes.bytes().iter().map(|code| f64::from(code.cast_signed())).collect(),
                _ => {
                    let bytes = codes.bytes();
                    bytes
                        .iter()
                        .flat_map(|byte| [byte & 15, byte >> 4].map(|code| f64::from(code) - 8.0))
                        .collect()
                }
            };
            let scales = checkpoint.tensor(&scales.name).unwrap();
            let bytes = scales.bytes();
            let scales: Vec<f64> =
                bytes.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect();
            assert!(scales.iter().all(|scale| *scale > 0.0), "{}", spec.name);
            assert!(scales.windows(2).any(|pair| pair[0] != pair[1]), "{}", spec.name);
            let group = codes.len() / scales.len();
            let squares = codes.iter().enumerate().map(|(i, code)| (code * scales[i / group]).powi(2));
            let variance = squares.sum::<f64>() / codes.len() as f64 * spec.dims[1] as f64;
            assert!((variance - 1.0).abs() < 0.15, "{} {scheme}: {variance}", spec.name);
        }
    }
}

#[test]
fn cancelling_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let mut calls = 0;
    let mut progress = |_| {
        calls += 1;
        if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let directory = parent.path().join("deep/model");
    let error = synth(&GemmaConfig::tiny(), &directory, &SynthOptions::default(), &mut progress);
    assert!(matches!(error, Err(SynthError::Cancelled(_))));
    assert_eq!(names(&parent.path().join("deep")), Vec::<String>::new());
}

#[test]
fn progress_ends_at_the_total() {
    let parent = tempfile::tempdir().unwrap();
    let mut last = None;
    let mut progress = |progress: crate::progress::Progress| {
        last = Some(progress);
        ControlFlow::Continue(())
    };
    let config = GemmaConfig::tiny();
    synth(&config, &parent.path().join("m"), &SynthOptions::default(), &mut progress).unwrap();
    let size = std::fs::metadata(parent.path().join("m/model.safetensors")).unwrap().len();
    assert_eq!(last, Some(crate::progress::Progress { done: size, total: size }));
}

#[test]
fn existing_directories_are_respected() {
    let config = GemmaConfig::tiny();
    let (parent, directory, _) = synthesized(&config, &SynthOptions::default());
    let again = |options: &SynthOptions| synth(&config, &directory, options, &mut quiet);
    let replacing = SynthOptions { seed: 5, replace: true, ..SynthOptions::default() };

    assert!(matches!(again(&SynthOptions::default()), Err(SynthError::Write(WriteError::NotEmpty { .. }))));
    let before = std::fs::read(directory.join("model.safetensors")).unwrap();
    again(&replacing).unwrap();
    assert_ne!(std::fs::read(directory.join("model.safetensors")).unwrap(), before);
    assert_eq!(names(parent.path()), ["model"]);

    // A file that is none of ours is never deleted.
    std::fs::write(directory.join("thesis.tex"), "x").unwrap();
    let error = again(&replacing).unwrap_err();
    assert!(
        matches!(&error, SynthError::Write(WriteError::NotAModel { entry, .. }) if entry == "thesis.tex"),
        "{error}"
    );

    let empty = parent.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    synth(&config, &empty, &SynthOptions::default(), &mut quiet).unwrap();
    let file = directory.join("config.json");
    let error = synth(&config, &file, &replacing, &mut quiet).unwrap_err();
    assert!(matches!(error, SynthError::Write(WriteError::File { .. })), "{error}");
}

#[test]
fn an_invalid_config_is_refused() {
    let mut config = GemmaConfig::tiny();
    config.head_dim = 3;
    let parent = tempfile::tempdir().unwrap();
    let error = synth(&config, &parent.path().join("m"), &SynthOptions::default(), &mut quiet);
    assert!(matches!(error, Err(SynthError::Config(_))));
    assert!(synth_in_memory(&config, 0).is_err());
}
