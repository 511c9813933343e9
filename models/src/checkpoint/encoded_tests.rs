//! Checkpoints with encoded weights, sound and damaged.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::tests::{edited, problems, rename};
use super::*;
use crate::encoding::{Encodings, Groups, WeightScheme};
use crate::synth::{SynthOptions, synth, synth_in_memory};

const UP: &str = "model.layers.1.mlp.up_proj.weight";
const PACKED: &str = "model.layers.1.mlp.up_proj.weight_packed";
const SCALES: &str = "model.layers.1.mlp.up_proj.weight_scale";
const SHAPE: &str = "model.layers.1.mlp.up_proj.weight_shape";

fn config(scheme: &str) -> GemmaConfig {
    let mut config = GemmaConfig::tiny();
    config.encodings = Encodings::uniform(&config, scheme.parse::<WeightScheme>().unwrap()).unwrap();
    config
}

/// A checkpoint of such weights, whose config declares nothing, with `edit` made to its header and `extra` data.
fn opened(scheme: &str, edit: impl FnOnce(&mut Value), extra: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let file = synth_in_memory(&config(scheme), 0).unwrap();
    Checkpoint::from_bytes(GemmaConfig::tiny(), "model.safetensors", edited(&file, edit, extra))
}

fn message(scheme: &str, edit: impl FnOnce(&mut Value)) -> String {
    let message = TensorProblems(problems(opened(scheme, edit, &[]))).to_string();
    assert!(message.contains("model.safetensors"), "{message}");
    message
}

/// Where a tensor's data lies in the data section.
fn place(file: &[u8], tensor: &str) -> (usize, std::ops::Range<usize>) {
    let header_len = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&file[8..8 + header_len]).unwrap();
    let at = |index: usize| header[tensor]["data_offsets"][index].as_u64().unwrap() as usize;
    (8 + header_len, at(0)..at(1))
}

#[test]
fn tensors_tell_how_weights_are_stored() {
    for scheme in ["int8", "int8:16", "int4:32"] {
        let expected = config(scheme);
        let checkpoint = opened(scheme, |_| (), &[]).unwrap();
        assert_eq!(checkpoint.config(), &expected, "{scheme}");
        let tensors = crate::weights::weight_tensors(&expected);
        assert_eq!(checkpoint.tensors().len(), tensors.len());
        for (found, tensor) in checkpoint.tensors().iter().zip(&tensors) {
            assert_eq!((found.name(), found.dims()), (tensor.name.as_str(), tensor.dims.as_slice()));
            assert_eq!(found.dtype(), tensor.dtype.unwrap_or(StoredDtype::Bf16.into()));
            assert!(found.in_file().is_some(), "{}", found.name());
        }
        assert_eq!(checkpoint.byte_count(), expected.weight_bytes(StoredDtype::Bf16));
        assert_eq!(checkpoint.summary().parameters, expected.parameter_count());
        assert_eq!(checkpoint.dtype(), StoredDtype::Bf16);
        assert_eq!(checkpoint.check_finite(&mut |_| ControlFlow::Continue(())).unwrap(), []);
    }
}

#[test]
fn a_directory_says_the_same_in_its_config() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("model");
    let config = config("int4:32");
    let options = SynthOptions { max_shard_bytes: 20_000, ..SynthOptions::default() };
    let report = synth(&config, &directory, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(report.shards > 2, "{}", report.shards);
    assert_eq!(GemmaConfig::open(&directory).unwrap().encodings, config.encodings);
    assert_eq!(Checkpoint::open(&directory).unwrap().config(), &config);

    // The tensors of 4 bits under a config that says 8, or other groups.
    for other in ["int8", "int4:16"] {
        let other = GemmaConfig { encodings: self::config(other).encodings, ..config.clone() };
        std::fs::write(directory.join("config.json"), other.to_json()).unwrap();
        let message = Checkpoint::open(&directory).unwrap_err().to_string();
        assert!(message.contains("int4 in groups of 32"), "{message}");
        assert!(message.contains("quantization_config") && message.contains(".safetensors"), "{message}");
    }
}

#[test]
fn eight_bits_packed_in_words_become_codes() {
    let mut file = synth_in_memory(&config("int8"), 0).unwrap();
    let (data, range) = place(&file, UP);
    let codes = file[data..][range.clone()].to_vec();
    file[data..][range].iter_mut().for_each(|code| *code ^= 0x80);
    let file = edited(
        &file,
        |header| {
            rename(header, UP, PACKED);
            header[PACKED]["dtype"] = json!("I32");
            header[PACKED]["shape"] = json!([192, 16]);
        },
        &[],
    );
    let checkpoint = Checkpoint::from_bytes(GemmaConfig::tiny(), "m", file).unwrap();
    assert_eq!(checkpoint.config(), &config("int8"));
    let tensor = checkpoint.tensor(UP).unwrap();
    assert_eq!((tensor.dtype(), tensor.dims()), (TensorDtype::I8, &[192, 64][..]));
    assert_eq!(tensor.bytes(), codes);
    assert!(tensor.in_file().is_none());
    let mut out = vec![0; codes.len()];
    tensor.read_into(&mut out).unwrap();
    assert_eq!(out, codes);
    assert!(tensor.read_into(&mut out[1..]).is_err());
}

#[test]
fn damaged_weights_are_named() {
    let no_scales = message("int4:32", |header| rename(header, SCALES, "model.scales"));
    assert!(no_scales.contains(PACKED) && no_scales.contains(SCALES), "{no_scales}");
    for shape in [json!([384]), json!([64, 6]), json!([1, 384])] {
        let message = message("int4:32", |header| header[SCALES]["shape"] = shape.clone());
        assert!(message.contains(SCALES) && message.contains("[192, groups]"), "{message}");
    }
    let narrow = message("int4:32", |header| header[PACKED]["shape"] = json!([384, 4]));
    assert!(narrow.contains(PACKED) && narrow.contains("[384, 4], expected [192, 8]"), "{narrow}");
    let whole = message("int8", |header| header[UP]["shape"] = json!([64, 192]));
    assert!(whole.contains(UP) && whole.contains("[64, 192], expected [192, 64]"), "{whole}");
    let codes = message("int8", |header| header[UP]["dtype"] = json!("U8"));
    assert!(codes.contains(UP) && codes.contains("is of u8"), "{codes}");
}

#[test]
fn what_stands_for_another_encoding_is_told() {
    for (name, part) in [
        ("weight_zero_point", "symmetrically"),
        ("weight_g_idx", "actorder"),
        ("input_scale", "W8A16"),
        ("qweight", "pack-quantized"),
    ] {
        let name = format!("model.layers.1.mlp.up_proj.{name}");
        let add = |header: &mut Value, byte_count: usize| {
            let end = config("int8").weight_bytes(StoredDtype::Bf16) as usize;
            header[&name] =
                json!({"dtype": "I8", "shape": [byte_count], "data_offsets": [end, end + byte_count]});
        };
        let found = TensorProblems(problems(opened("int8", |header| add(header, 3), &[0, 7, 0]))).to_string();
        assert!(found.contains(&name) && found.contains(part), "{found}");
    }
    // Zero points that are all zero say that codes are symmetric.
    let end = config("int8").weight_bytes(StoredDtype::Bf16);
    let entry = json!({"dtype": "I8", "shape": [192, 1], "data_offsets": [end, end + 192]});
    opened("int8", |header| header["model.layers.1.mlp.up_proj.weight_zero_point"] = entry, &[0; 192])
        .unwrap();

    let eight_bit_floats = opened("int8", |header| header[UP]["dtype"] = json!("F8_E4M3"), &[]).unwrap_err();
    let reason = std::error::Error::source(&eight_bit_floats).unwrap().to_string();
    assert!(reason.contains(UP) && reason.contains("F8_E4M3") && reason.contains("I8"), "{reason}");
}

#[test]
fn a_shape_that_is_not_the_weights_is_refused() {
    let mut file = synth_in_memory(&config("int4:32"), 0).unwrap();
    let (data, range) = place(&file, SHAPE);
    file[data + range.start] ^= 1;
    let found = problems(Checkpoint::from_bytes(GemmaConfig::tiny(), "m", file));
    assert!(matches!(&found[..], [TensorProblem::Unsupported { name, .. }] if name == SHAPE), "{found:?}");
}

#[test]
fn non_finite_scales_are_found() {
    let mut file = synth_in_memory(&config("int4:32"), 0).unwrap();
    let (data, range) = place(&file, SCALES);
    file[data + range.start + 2 * 5..][..2].copy_from_slice(&[0xc0, 0x7f]);
    // Codes of any bits are numbers.
    let (_, codes) = place(&file, PACKED);
    file[data..][codes].fill(0xff);
    let checkpoint = Checkpoint::from_bytes(GemmaConfig::tiny(), "m", file).unwrap();
    let found = checkpoint.check_finite(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].tensor.as_str(), found[0].position.as_slice()), (SCALES, &[2, 1][..]));
}

#[test]
fn truncated_files_are_named() {
    let file = synth_in_memory(&config("int4:32"), 0).unwrap();
    for length in [5, 200, file.len() / 2, file.len() - 1] {
        let error = Checkpoint::from_bytes(GemmaConfig::tiny(), "m", file[..length].to_vec()).unwrap_err();
        assert!(matches!(error, CheckpointError::Header { .. }), "{error:?}");
    }
}

#[test]
fn the_encoding_of_offsets() {
    let encoding = Encoding::Int4(Groups { size: 32, scales: StoredDtype::Bf16, offsets: true });
    let (name, end) =
        ("model.layers.1.mlp.up_proj.weight_offset", config("int4:32").weight_bytes(StoredDtype::Bf16));
    // Every weight of 4 bits has its shape in the file, too.
    let end = end + 14 * 16;
    let entry =
        |dims: Value, bytes: u64| json!({"dtype": "F32", "shape": dims, "data_offsets": [end, end + bytes]});
    let bytes = 192 * 2 * 4;
    let checkpoint =
        opened("int4:32", |header| header[name] = entry(json!([192, 2]), bytes), &vec![0; bytes as usize])
            .unwrap();
    let weights = weight_specs(checkpoint.config());
    let up = weights.iter().find(|weight| weight.name == UP).unwrap();
    assert_eq!(checkpoint.config().encodings.of(up), encoding);
    assert_eq!(checkpoint.tensor(name).unwrap().dims(), [192, 2]);
    // The standard's config has no words for them.
    assert!(!checkpoint.config().to_json().contains("quantization_config"));
    let found = problems(opened("int4:32", |header| header[name] = entry(json!([192]), 768), &[0; 768]));
    assert!(matches!(&found[..], [TensorProblem::Shape { name: tensor, .. }] if tensor == name), "{found:?}");
}
