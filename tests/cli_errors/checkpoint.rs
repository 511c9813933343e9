//! Model directories that are missing, damaged, or of another kind of model.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, replace};

const SCORE: &str = "score --model model --token-ids ids.json";
const WEIGHTS: &str = "model/model.safetensors";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("ids.json", "[1, 2, 3]");
    sandbox
}

fn with_model() -> Sandbox {
    let sandbox = sandbox();
    sandbox.model(|_| ());
    sandbox
}

/// Rewrites the header of a safetensors file, whose data stay.
fn edit_header(path: &Path, edit: impl FnOnce(&mut Value)) {
    let bytes = fs::read(path).unwrap();
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&bytes[8..end]).unwrap();
    edit(&mut header);
    let header = header.to_string();
    let mut edited = (header.len() as u64).to_le_bytes().to_vec();
    edited.extend_from_slice(header.as_bytes());
    edited.extend_from_slice(&bytes[end..]);
    fs::write(path, edited).unwrap();
}

#[test]
fn no_model() {
    let sandbox = sandbox();
    let download = "download it first, or give a model directory";
    sandbox.refuses("score --model nowhere --token-ids ids.json", &["`nowhere`", download]);
    sandbox.refuses("score --model google/nothing --token-ids ids.json", &["`google/nothing`", download]);
    sandbox.refuses("score --model ids.json --token-ids ids.json", &["ids.json is a file", "directory"]);
    fs::create_dir(sandbox.path("model")).unwrap();
    sandbox.refuses(SCORE, &["model has no config.json", "give the directory that holds"]);
}

#[test]
fn configs_of_other_models_or_of_none() {
    let sandbox = with_model();
    let path = sandbox.path("model/config.json");
    let sound = fs::read_to_string(&path).unwrap();
    let config = |edit: &dyn Fn(&mut Value)| {
        let mut config = serde_json::from_str(&sound).unwrap();
        edit(&mut config);
        fs::write(&path, config.to_string()).unwrap();
    };
    let refuses = |parts: &[&str]| {
        sandbox.refuses(SCORE, &[&["model/config.json"], parts].concat());
    };

    fs::write(&path, "{\"model_type\": ").unwrap();
    refuses(&["not valid JSON", "line 1"]);
    fs::write(&path, "[]").unwrap();
    refuses(&["expected a JSON object"]);
    config(&|c| c["model_type"] = json!("llama"));
    refuses(&["`model_type` is `llama`", "Gemma"]);
    config(&|c| c["architectures"] = json!(["LlamaForCausalLM"]));
    refuses(&["`architectures` is \"LlamaForCausalLM\""]);
    config(&|c| c["num_hidden_layers"] = json!(0));
    refuses(&["`num_hidden_layers` is 0", "from 1 to"]);
    config(&|c| c["hidden_size"] = json!(-64));
    refuses(&["`hidden_size`", "-64"]);
    config(&|c| c["vocab_size"] = json!(1e18));
    refuses(&["`vocab_size`", "1e+18"]);
    config(&|c| c["vocab_size"] = json!(u64::MAX));
    refuses(&["`vocab_size`", "18446744073709551615"]);
    config(&|c| c["head_dim"] = json!("many"));
    refuses(&["`head_dim`", "\"many\""]);
    config(&|c| c["rope_theta"] = json!(0));
    refuses(&["`rope_theta` is 0"]);
    config(&|c| c["eos_token_id"] = json!(1_000_000));
    refuses(&["`eos_token_id` is 1000000", "vocab_size"]);
    config(&|c| {
        c.as_object_mut().unwrap().remove("num_attention_heads");
    });
    refuses(&["`num_attention_heads` is missing"]);
}

#[test]
fn weights_that_are_missing_or_cut_off() {
    let sandbox = with_model();
    let path = sandbox.path(WEIGHTS);
    let sound = fs::read(&path).unwrap();

    fs::write(&path, &sound[..sound.len() - 1]).unwrap();
    sandbox.refuses(SCORE, &[WEIGHTS, "`model.", "truncated"]);
    fs::write(&path, &sound[..100]).unwrap();
    sandbox.refuses(SCORE, &[WEIGHTS, "the file has 100", "truncated"]);
    fs::write(&path, &sound[..5]).unwrap();
    sandbox.refuses(SCORE, &[WEIGHTS, "the file has 5 bytes", "truncated"]);
    fs::write(&path, "").unwrap();
    sandbox.refuses(SCORE, &[WEIGHTS]);
    fs::write(&path, [&10u64.pow(18).to_le_bytes(), &sound[8..]].concat()).unwrap();
    sandbox.refuses(SCORE, &[WEIGHTS, "1000000000000000000", "truncated or not safetensors"]);
    fs::write(&path, [sound.as_slice(), b"trailing"].concat()).unwrap();
    sandbox.refuses(SCORE, &[WEIGHTS, "belong to no tensor", "end of the file"]);

    fs::remove_file(&path).unwrap();
    sandbox.refuses(SCORE, &["model.safetensors", "is the download complete?"]);
    sandbox.write("model/pytorch_model.bin", "");
    sandbox.refuses(SCORE, &["pytorch_model.bin", "convert"]);
}

#[test]
fn headers_that_lie() {
    let sandbox = with_model();
    let path = sandbox.path(WEIGHTS);
    let sound = fs::read(&path).unwrap();
    let norm = "model.norm.weight";
    let embedding = "model.embed_tokens.weight";
    let refuses = |edit: &dyn Fn(&mut Value), parts: &[&str]| {
        fs::write(&path, &sound).unwrap();
        edit_header(&path, edit);
        sandbox.refuses(SCORE, &[&[WEIGHTS], parts].concat());
    };
    let shift = |header: &mut Value, name: &str, begin: i64, end: i64| {
        for (at, by) in [(0, begin), (1, end)] {
            let offset = header[name]["data_offsets"][at].as_i64().unwrap() + by;
            header[name]["data_offsets"][at] = json!(offset);
        }
    };

    refuses(&|header| shift(header, norm, -4, -4), &["`model.", "begins at byte", "before tensor"]);
    refuses(&|header| shift(header, norm, 4, 4), &["data"]);
    refuses(&|header| shift(header, norm, 0, 1 << 60), &[norm, "its offsets are wrong"]);
    refuses(&|header| header[norm]["data_offsets"] = json!([-1, 3]), &["not a safetensors header", "-1"]);
    refuses(&|header| header[norm]["dtype"] = json!("U16"), &[norm, "dtype `U16`", "F32, BF16 and F16"]);
    refuses(&|header| header[norm]["dtype"] = json!("BF16"), &[norm, "but needs"]);
    refuses(
        &|header| header[embedding]["shape"] = json!([1u64 << 40, 1u64 << 40]),
        &[embedding, "addressed"],
    );
    refuses(&|header| *header = json!([]), &["not a safetensors header"]);

    let mut text = sound.clone();
    text[8..20].copy_from_slice(b"not json at ");
    fs::write(&path, text).unwrap();
    sandbox.refuses(SCORE, &[WEIGHTS, "not a safetensors header", "line 1"]);
}

#[test]
fn tensors_that_the_config_does_not_call_for() {
    let sandbox = with_model();
    let path = sandbox.path(WEIGHTS);
    edit_header(&path, |header| {
        let tensors = header.as_object_mut().unwrap();
        let query = tensors.remove("model.layers.0.self_attn.q_proj.weight").unwrap();
        tensors.insert("model.layers.0.self_attn.query.weight".into(), query);
        let down = &mut tensors["model.layers.0.mlp.down_proj.weight"];
        down["shape"].as_array_mut().unwrap().reverse();
    });
    sandbox.refuses(
        SCORE,
        &[
            "does not hold the weights its config.json describes",
            "missing `model.layers.0.self_attn.q_proj.weight` of shape",
            "unexpected `model.layers.0.self_attn.query.weight`",
            "`model.layers.0.mlp.down_proj.weight` in model/model.safetensors has shape",
            "expected",
        ],
    );

    // A checkpoint of another depth: a dozen problems are shown, the others counted.
    let sandbox = with_model();
    replace(&sandbox.path("model/config.json"), "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 3");
    let config = fs::read_to_string(sandbox.path("model/config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config.as_object_mut().unwrap().remove("layer_types");
    sandbox.write("model/config.json", config.to_string());
    sandbox.refuses(SCORE, &["missing `model.layers.1.input_layernorm.weight`", "and 10 more"]);
}

#[test]
fn indexes_that_lie() {
    let sandbox = sandbox();
    let checkpoint = sandbox.model(|_| ());
    let index = |map: Value| {
        sandbox.write("model/model.safetensors.index.json", json!({ "weight_map": map }).to_string());
    };
    fs::rename(sandbox.path(WEIGHTS), sandbox.path("model/a.safetensors")).unwrap();
    index(json!({ "model.norm.weight": "b.safetensors" }));
    let index_file = "model/model.safetensors.index.json";
    sandbox.refuses(SCORE, &[index_file, "b.safetensors", "not there", "`model.norm.weight`", "download"]);
    index(json!({ "model.norm.weight": "a.safetensors" }));
    sandbox
        .refuses(SCORE, &["`model.embed_tokens.weight` in model/a.safetensors is not listed in the index"]);
    let names = checkpoint.tensors().iter().map(|tensor| (tensor.name(), "a.safetensors"));
    index(names.chain([("model.nowhere", "a.safetensors")]).collect());
    sandbox.refuses(
        SCORE,
        &["the index says `model.nowhere` is in model/a.safetensors, which does not hold it"],
    );
    index(json!({ "model.norm.weight": "../../etc/passwd" }));
    sandbox.refuses(SCORE, &[index_file, "../../etc/passwd"]);
    sandbox.write(index_file, "{\"weight_map\": {");
    sandbox.refuses(SCORE, &[index_file, "not a sound index", "EOF"]);
}
