use std::collections::BTreeSet;
use std::path::Path;

use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::config::GemmaConfig;
use lapidary::models::dtype::StoredDtype;
use lapidary::models::quantize::{
    Bits, EmbeddingFormat, Errors, Group, ModelFiles, QuantizeOptions, QuantizeReport, quantize,
};
use lapidary::models::weights::weight_specs;
use safetensors::SafeTensors;
use serde_json::Value;

use super::decoded::{codes, files, floats};
use super::{go_on, names, quantized, random, run};

/// Holds what was written to the model it is made of, weight by weight, and to the report.
fn compare(model: &Path, out: &Path, report: &QuantizeReport, levels: impl Fn(&str) -> (i8, i8)) {
    let source = Checkpoint::open(model).unwrap();
    let originals = files(model);
    let originals: Vec<_> = originals.iter().map(|file| SafeTensors::deserialize(file).unwrap()).collect();
    let written = files(out);
    assert_eq!(written.len(), report.shards);
    let written: Vec<_> = written.iter().map(|file| SafeTensors::deserialize(file).unwrap()).collect();
    let mut expected = BTreeSet::new();
    for (spec, told) in weight_specs(source.config()).iter().zip(&report.tensors) {
        assert_eq!(spec.name, told.name);
        let module = spec.name.strip_suffix(".weight").unwrap();
        let original = originals.iter().find(|file| file.tensor(&spec.name).is_ok()).unwrap();
        let weights = floats(original, &spec.name);
        let scale_name = format!("{module}.weight_scale");
        let holder = written.iter().find(|file| file.tensor(&scale_name).is_ok());
        let decoded = holder.and_then(|file| codes(file, module, &spec.dims));
        let Some((codes, scales)) = decoded else {
            let kept = written.iter().find_map(|file| file.tensor(&spec.name).ok()).unwrap();
            assert_eq!(
                kept.data(),
                original.tensor(&spec.name).unwrap().data(),
                "{module} is to stay as it is"
            );
            assert_eq!((told.errors.rms(), told.bytes_after), (0.0, told.bytes_before));
            expected.insert(spec.name.clone());
            continue;
        };
        let (low, high) = levels(module);
        let mut errors = Errors::default();
        for ((weight, code), scale) in weights.iter().zip(&codes).zip(&scales) {
            assert!((low..=high).contains(code), "{module}: {code}");
            let error = (f32::from(*code) * scale - weight).abs();
            // No other code is nearer, and what was clipped is at the end.
            let at_an_end = [low, high].contains(code);
            assert!(at_an_end || error <= 0.5001 * scale.abs(), "{module}: {weight} is {code} * {scale}");
            errors.count += 1;
            errors.squared += f64::from(*weight).powi(2);
            errors.squared_error += f64::from(error).powi(2);
            errors.max_error = errors.max_error.max(f64::from(error));
        }
        assert!((errors.rms() - told.errors.rms()).abs() < 1e-6, "{module}: {errors:?} {told:?}");
        assert!((errors.max() - told.errors.max()).abs() < 1e-5, "{module}: {errors:?} {told:?}");
        let four_bits = low == -8;
        assert!(errors.rms() < if four_bits { 0.13 } else { 0.012 }, "{module}: {}", errors.rms());
        expected.insert(scale_name);
        expected.insert(format!("{module}.weight{}", if four_bits { "_packed" } else { "" }));
        if four_bits {
            expected.insert(format!("{module}.weight_shape"));
        }
    }
    let found: BTreeSet<String> =
        written.iter().flat_map(|file| file.names()).map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

const INT8: (i8, i8) = (-127, 127);
const INT4: (i8, i8) = (-8, 7);

#[test]
fn codes_and_scales_make_the_weights_again() {
    let config = GemmaConfig { hidden_size: 96, intermediate_size: 160, ..GemmaConfig::tiny() };
    for dtype in StoredDtype::ALL {
        let directory = tempfile::tempdir().unwrap();
        let model = random(directory.path(), &config, dtype);
        for (group, scale_dtype) in [
            (None, StoredDtype::Bf16),
            (Some(Group::Of(32)), StoredDtype::F32),
            (Some(Group::Channel), StoredDtype::F16),
        ] {
            // 96 and 160 inputs cannot be divided by 64.
            let group = group.or(Some(Group::Of(16)));
            let embedding = |module: &str| module.ends_with("embed_tokens");
            for (bits, embedding_format) in [
                (Bits::Eight, EmbeddingFormat::Int8),
                (Bits::Four, EmbeddingFormat::Int8),
                (Bits::Four, EmbeddingFormat::Int4),
                (Bits::Four, EmbeddingFormat::Keep),
            ] {
                let options = QuantizeOptions {
                    group,
                    scale_dtype,
                    embedding: embedding_format,
                    replace: true,
                    ..QuantizeOptions::new(bits)
                };
                let (out, report) = quantized(&model, &options).unwrap();
                let four = |module: &str| {
                    bits == Bits::Four && (!embedding(module) || embedding_format == EmbeddingFormat::Int4)
                };
                compare(&model, &out, &report, |module| if four(module) { INT4 } else { INT8 });
            }
        }
    }
}

#[test]
fn patterns_files_and_companions() {
    let directory = tempfile::tempdir().unwrap();
    let model = random(directory.path(), &GemmaConfig::tiny(), StoredDtype::Bf16);
    std::fs::write(model.join("chat_template.jinja"), "{{ messages }}").unwrap();
    std::fs::write(model.join("notes.txt"), "not a part of it").unwrap();
    let options = QuantizeOptions {
        group: Some(Group::Of(8)),
        keep: vec!["*.q_proj".parse().unwrap()],
        int8: vec!["model.layers.1.*".parse().unwrap()],
        max_shard_bytes: 50_000,
        ..QuantizeOptions::new(Bits::Four)
    };
    let (out, report) = quantized(&model, &options).unwrap();
    assert!(report.shards > 2, "{}", report.shards);
    let eight = |module: &str| module.ends_with("embed_tokens") || module.contains(".layers.1.");
    compare(&model, &out, &report, |module| if eight(module) { INT8 } else { INT4 });
    let query = report.tensors.iter().find(|tensor| tensor.name == "model.layers.1.self_attn.q_proj.weight");
    assert_eq!(query.unwrap().bytes_before, query.unwrap().bytes_after, "what is kept is kept");

    let written = names(&out);
    for name in ["chat_template.jinja", "generation_config.json", "tokenizer.json", "tokenizer_config.json"] {
        assert_eq!(
            std::fs::read(model.join(name)).unwrap(),
            std::fs::read(out.join(name)).unwrap(),
            "{name}"
        );
    }
    assert!(written.contains(&"model.safetensors.index.json".to_owned()));
    assert!(!written.contains(&"notes.txt".to_owned()));
    // Nothing else is left beside it.
    assert_eq!(names(directory.path()), ["model", "out"]);
}

#[test]
fn a_written_model_opens_and_says_how_it_is_stored() {
    let directory = tempfile::tempdir().unwrap();
    let model = random(directory.path(), &GemmaConfig::tiny(), StoredDtype::Bf16);
    let config = std::fs::read_to_string(model.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["something_of_the_future"] = 7.into();
    std::fs::write(model.join("config.json"), config.to_string()).unwrap();

    let options = QuantizeOptions { group: Some(Group::Of(16)), ..QuantizeOptions::new(Bits::Four) };
    let (out, report) = quantized(&model, &options).unwrap();
    let checkpoint = Checkpoint::open(&out).unwrap();
    for (spec, told) in weight_specs(checkpoint.config()).iter().zip(&report.tensors) {
        assert_eq!(checkpoint.config().encodings.of(spec), told.encoding, "{}", spec.name);
    }
    let config = std::fs::read_to_string(out.join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["something_of_the_future"], 7);
    assert_eq!(config["quantization_config"]["quant_method"], "compressed-tensors");
    assert_eq!(config["quantization_config"]["format"], "mixed-precision");
}

/// On the built-in model, which is trained: what the command prints, and that it is small enough.
#[test]
fn the_report() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out").display().to_string();
    let json = run(&["--to", "int8", "--out", &out, "--json", "--quiet"]);
    assert_eq!(json.code, Some(0), "{}", json.stderr);
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    let (before, after) = (report["bytes_before"].as_u64().unwrap(), report["bytes_after"].as_u64().unwrap());
    assert!(after * 100 < before * 51, "{before} {after}");
    assert_eq!((report["shards"].as_u64(), &report["perplexity"]), (Some(1), &Value::Null));
    let kinds = report["kinds"].as_array().unwrap();
    let kind = |name: &str| kinds.iter().find(|kind| kind["name"] == name).unwrap();
    assert_eq!(kind("norms")["rms_error"], 0.0);
    assert!(kind("down_proj")["snr_db"].as_f64().unwrap() > 40.0, "{}", kind("down_proj"));
    assert_eq!(kind("down_proj")["tensors"], 6);
    assert_eq!(report["tensors"].as_array().unwrap().len(), 6 * 11 + 2);

    let again = ["--to", "int4", "--out", &out, "--force", "--quiet", "-v"];
    let text = run(&again);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    for part in ["model.layers.5.mlp.down_proj.weight", "int4 in groups of 64", "snr dB", "in 1 file"] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
    assert_eq!(text.stderr, "");
}

#[test]
fn progress_ends_at_the_bytes_of_the_model() {
    let directory = tempfile::tempdir().unwrap();
    let model = random(directory.path(), &GemmaConfig::tiny(), StoredDtype::F32);
    let checkpoint = Checkpoint::open(&model).unwrap();
    let mut last = None;
    let mut progress = |progress| {
        last = Some(progress);
        go_on(progress)
    };
    let options = QuantizeOptions::new(Bits::Eight);
    let out = directory.path().join("out");
    quantize(&checkpoint, ModelFiles::Directory(&model), &out, &options, &mut progress).unwrap();
    let last = last.unwrap();
    assert_eq!((last.done, last.total), (checkpoint.byte_count(), checkpoint.byte_count()));
}
