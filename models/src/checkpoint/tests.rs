use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::*;
use crate::progress::{Cancelled, Progress};
use crate::synth::{SynthOptions, synth, synth_in_memory};

fn config() -> GemmaConfig {
    GemmaConfig::tiny()
}

/// A model directory in several shards.
fn sharded() -> (tempfile::TempDir, PathBuf) {
    written(&SynthOptions { max_shard_bytes: 60_000, ..SynthOptions::default() })
}

/// A model directory with one safetensors file.
fn single() -> (tempfile::TempDir, PathBuf) {
    written(&SynthOptions::default())
}

fn written(options: &SynthOptions) -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("model");
    synth(&config(), &directory, options, &mut |_| ControlFlow::Continue(())).unwrap();
    (parent, directory)
}

/// A safetensors file with `edit` made to its header and `extra` bytes of data.
pub(super) fn edited(file: &[u8], edit: impl FnOnce(&mut Value), extra: &[u8]) -> Vec<u8> {
    let header_len = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&file[8..8 + header_len]).unwrap();
    edit(&mut header);
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&file[8 + header_len..]);
    bytes.extend_from_slice(extra);
    bytes
}

fn from_edited(edit: impl FnOnce(&mut Value), extra: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let file = synth_in_memory(&config(), 0).unwrap();
    Checkpoint::from_bytes(config(), "model", edited(&file, edit, extra))
}

pub(super) fn rename(header: &mut Value, from: &str, to: &str) {
    let entry = header.as_object_mut().unwrap().shift_remove(from).unwrap();
    header[to] = entry;
}

/// The index of a sharded directory, changed.
fn edit_index(directory: &Path, edit: impl FnOnce(&mut Value)) {
    let path = directory.join("model.safetensors.index.json");
    let mut index: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut index["weight_map"]);
    std::fs::write(&path, index.to_string()).unwrap();
}

pub(super) fn problems(result: Result<Checkpoint, CheckpointError>) -> Vec<TensorProblem> {
    match result.unwrap_err() {
        CheckpointError::Tensors { problems, .. } => problems.0,
        other => panic!("expected tensor problems, got {other:?}"),
    }
}

const NORM: &str = "model.norm.weight";
const EMBEDDING: &str = "model.embed_tokens.weight";

#[test]
fn tensors_keep_the_order_and_shapes_of_the_config() {
    let (_parent, directory) = sharded();
    let checkpoint = Checkpoint::open(&directory).unwrap();
    let specs = crate::weights::weight_specs(checkpoint.config());
    assert_eq!(checkpoint.tensors().len(), specs.len());
    for (tensor, spec) in checkpoint.tensors().iter().zip(&specs) {
        assert_eq!((tensor.name(), tensor.dims()), (spec.name.as_str(), spec.dims.as_slice()));
        assert_eq!(tensor.bytes().len(), spec.element_count() * 2);
    }
    assert!(checkpoint.tensor("model.layers.9.nothing").is_none());
    let shared: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::clone(checkpoint.tensors()[0].source()) as _;
    assert!(!(*shared).as_ref().is_empty());
}

#[test]
fn released_pages_read_the_same_again() {
    let (_parent, directory) = single();
    let checkpoint = Checkpoint::open(&directory).unwrap();
    let before: Vec<Vec<u8>> = checkpoint.tensors().iter().map(|tensor| tensor.bytes().to_vec()).collect();
    checkpoint.tensors().iter().for_each(TensorView::release);
    for (tensor, before) in checkpoint.tensors().iter().zip(before) {
        assert_eq!(tensor.bytes(), before);
    }
}

#[test]
fn a_tensor_converts_to_the_dtype_wanted() {
    let checkpoint = from_edited(|_| (), &[]).unwrap();
    let norm = checkpoint.tensor(NORM).unwrap();
    let mut wide = vec![0; norm.element_count() * 4];
    norm.convert_into(StoredDtype::F32, &mut wide).unwrap();
    let first = f32::from_le_bytes(wide[..4].try_into().unwrap());
    assert_eq!(first, half::bf16::from_le_bytes(norm.bytes()[..2].try_into().unwrap()).to_f32());
    assert!(norm.convert_into(StoredDtype::F32, &mut wide[1..]).is_err());
}

#[test]
fn missing_extra_and_misshapen_tensors_are_all_named() {
    let found = problems(from_edited(
        |header| {
            rename(header, NORM, "model.norm.w");
            header["model.layers.0.mlp.up_proj.weight"]["shape"] = json!([64, 192]);
        },
        &[],
    ));
    assert_eq!(found.len(), 3, "{found:?}");
    let shape = |problem: &TensorProblem| {
        matches!(problem, TensorProblem::Shape { name, found, expected, .. }
            if name == "model.layers.0.mlp.up_proj.weight" && *found == [64, 192] && *expected == [192, 64])
    };
    assert!(found.iter().any(shape));
    assert!(found.iter().any(|p| matches!(p, TensorProblem::Missing { name, .. } if name == NORM)));
    assert!(found.iter().any(|p| matches!(p, TensorProblem::Extra { name, .. } if name == "model.norm.w")));
}

#[test]
fn a_checkpoint_of_another_size_is_described_briefly() {
    let bytes = synth_in_memory(&config(), 0).unwrap();
    let other = GemmaConfig { hidden_size: 32, ..config() }.with_layers(9).unwrap();
    let message = Checkpoint::from_bytes(other, "model", bytes).unwrap_err().to_string();
    assert!(message.contains("and 89 more"), "{message}");
    assert_eq!(message.lines().count(), 14, "{message}");
}

#[test]
fn a_stored_head_is_accepted_only_if_it_is_the_embedding() {
    let file = synth_in_memory(&config(), 0).unwrap();
    let checkpoint = Checkpoint::from_bytes(config(), "m", file.clone()).unwrap();
    let embedding = checkpoint.tensor(EMBEDDING).unwrap().bytes().to_vec();
    let data_len: u64 = checkpoint.byte_count();
    let with_head = |head: &[u8], dtype: &str, dims: Value| {
        from_edited(
            |header| {
                let offsets = [data_len, data_len + head.len() as u64];
                header["lm_head.weight"] = json!({"dtype": dtype, "shape": dims, "data_offsets": offsets});
            },
            head,
        )
    };
    with_head(&embedding, "BF16", json!([512, 64])).unwrap();
    let mut other = embedding.clone();
    *other.last_mut().unwrap() ^= 1;
    for (head, dtype, dims) in [
        (&other, "BF16", json!([512, 64])),
        (&embedding, "F16", json!([512, 64])),
        (&embedding, "BF16", json!([64, 512])),
    ] {
        assert!(matches!(with_head(head, dtype, dims), Err(CheckpointError::UntiedHead { .. })));
    }
}

#[test]
fn saved_rope_frequencies_are_ignored() {
    let end =
        Checkpoint::from_bytes(config(), "m", synth_in_memory(&config(), 0).unwrap()).unwrap().byte_count();
    let entry = json!({"dtype": "F32", "shape": [1], "data_offsets": [end, end + 4]});
    from_edited(|header| header["model.layers.0.self_attn.rotary_emb.inv_freq"] = entry, &[0; 4]).unwrap();
}

#[test]
fn damaged_files_are_named() {
    let (_parent, directory) = single();
    let path = directory.join("model.safetensors");
    let file = std::fs::read(&path).unwrap();
    let lying_header = [&10_u64.pow(18).to_le_bytes(), &file[8..]].concat();
    for damaged in [&[][..], &file[..5], &file[..200], &file[..file.len() - 1], &lying_header] {
        std::fs::write(&path, damaged).unwrap();
        let error = Checkpoint::open(&directory).unwrap_err();
        assert!(matches!(&error, CheckpointError::Header { path: named, .. } if *named == path), "{error:?}");
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(Checkpoint::open(&directory), Err(CheckpointError::Read { .. })));
}

#[test]
fn absent_weights_are_explained() {
    let (_parent, directory) = single();
    let weights = directory.join("model.safetensors");
    let renamed = directory.join("weights.safetensors");
    std::fs::rename(&weights, &renamed).unwrap();
    Checkpoint::open(&directory).unwrap();

    std::fs::rename(&renamed, directory.join("pytorch_model.bin")).unwrap();
    let message = Checkpoint::open(&directory).unwrap_err().to_string();
    assert!(message.contains("pytorch_model.bin"), "{message}");
    let nowhere = directory.join("nowhere");
    assert!(matches!(Checkpoint::open(&nowhere), Err(CheckpointError::Config(_))));
}

#[cfg(unix)]
#[test]
fn a_dangling_link_of_a_hub_cache_is_named() {
    let (_parent, directory) = single();
    let weights = directory.join("model.safetensors");
    std::fs::remove_file(&weights).unwrap();
    std::os::unix::fs::symlink("../blobs/gone", &weights).unwrap();
    let error = Checkpoint::open(&directory).unwrap_err();
    assert!(matches!(&error, CheckpointError::Read { path, .. } if *path == weights), "{error:?}");
}

#[test]
fn the_index_and_its_shards_must_agree() {
    let (_parent, directory) = sharded();
    let map_all = |edit: fn(&mut Value)| {
        let (parent, directory) = sharded();
        edit_index(&directory, edit);
        (parent, Checkpoint::open(&directory))
    };
    Checkpoint::open(&directory).unwrap();

    let (_parent, absent) = map_all(|map| map[NORM] = json!("model-00099-of-00099.safetensors"));
    let absent = absent.unwrap_err();
    assert!(matches!(&absent, CheckpointError::MissingShard { tensor, .. } if tensor == NORM), "{absent:?}");
    assert!(absent.to_string().contains("model-00099-of-00099.safetensors"), "{absent}");

    let (_parent, elsewhere) = map_all(|map| map[NORM] = map[EMBEDDING].clone());
    let found = problems(elsewhere);
    // It is not where the index says, and is where the index does not say.
    assert!(found.iter().any(|p| matches!(p, TensorProblem::NotInShard { name, .. } if name == NORM)));
    assert!(found.iter().any(|p| matches!(p, TensorProblem::Duplicate { name, .. } if name == NORM)));

    let (_parent, unlisted) = map_all(|map| {
        map.as_object_mut().unwrap().shift_remove("model.layers.0.input_layernorm.weight").unwrap();
    });
    assert!(matches!(problems(unlisted).as_slice(), [TensorProblem::NotInIndex { .. }]));

    std::fs::write(directory.join("model.safetensors.index.json"), "{").unwrap();
    assert!(matches!(Checkpoint::open(&directory), Err(CheckpointError::Index { .. })));
}

#[test]
fn non_finite_weights_are_found_where_they_are() {
    for dtype in StoredDtype::ALL {
        let config = GemmaConfig { checkpoint_dtype: dtype, ..config() };
        let mut file = synth_in_memory(&config, 0).unwrap();
        let clean = Checkpoint::from_bytes(config.clone(), "m", file.clone()).unwrap();
        let range = clean.tensor("model.layers.1.mlp.gate_proj.weight").unwrap().range();
        let (nan, infinity) = match dtype {
            StoredDtype::F32 => (vec![1, 0, 0x80, 0xff], vec![0, 0, 0x80, 0x7f]),
            StoredDtype::Bf16 => (vec![0xc0, 0x7f], vec![0x80, 0xff]),
            StoredDtype::F16 => (vec![1, 0x7c], vec![0, 0xfc]),
        };
        let mut put = |row: usize, column: usize, value: &[u8]| {
            let at = range.start + (row * 64 + column) * dtype.size();
            file[at..at + value.len()].copy_from_slice(value);
        };
        put(3, 5, &nan);
        put(190, 0, &infinity);
        let checkpoint = Checkpoint::from_bytes(config, "m", file).unwrap();
        let found = checkpoint.check_finite(&mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].position.as_slice(), found[0].count), (&[3, 5][..], 2), "{dtype}");
        assert!(found[0].value.is_nan());
        assert!(found[0].to_string().contains("first NaN at [3, 5]"), "{}", found[0]);
    }
}

#[test]
fn the_check_reports_progress_and_can_be_cancelled() {
    let checkpoint = from_edited(|_| (), &[]).unwrap();
    let mut last = Progress { done: 0, total: 0 };
    checkpoint
        .check_finite(&mut |progress| {
            last = progress;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((last.done, last.total), (checkpoint.byte_count(), checkpoint.byte_count()));
    assert_eq!(checkpoint.check_finite(&mut |_| ControlFlow::Break(())), Err(Cancelled));
}
