//! Memory while weights load: they are never held twice, and those that are split are never held whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use lapidary::engine::{Engine, Placement};
use lapidary::graph::DType;
use lapidary::lower::ShardingRules;
use lapidary::model::Model;
use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::config::GemmaConfig;
use lapidary::models::dtype::StoredDtype;
use lapidary::models::synth::{SynthOptions, synth};

/// A checkpoint whose embedding takes long enough to copy that a release before its end shows.
fn write_checkpoint(directory: &Path) {
    let mut config = GemmaConfig::tiny();
    (config.vocab_size, config.hidden_size, config.intermediate_size) = (65_536, 256, 1024);
    synth(&config, directory, &SynthOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
}

/// Moves the tensors of a safetensors file off their 64-byte boundary, to where other writers leave them.
fn misalign(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header = [header, b"        "].concat();
    assert_eq!((8 + header.len()) % 64, 8);
    std::fs::write(file, [&(header.len() as u64).to_le_bytes()[..], &header, data].concat()).unwrap();
}

/// Resident bytes of this process's mappings of a file.
fn resident(file: &Path) -> usize {
    let name = file.to_str().unwrap();
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut here = false;
    let mut kilobytes = 0;
    for line in maps.lines() {
        // A mapping begins with its addresses, and ends with its file if it has one.
        if line.split(' ').next().is_some_and(|addresses| addresses.contains('-')) {
            here = line.ends_with(name);
        }
        if let Some(size) = line.strip_prefix("Rss:").filter(|_| here) {
            kilobytes += size.trim().trim_end_matches(" kB").parse::<usize>().unwrap();
        }
    }
    kilobytes << 10
}

/// Bytes of a line of this process's status: `VmRSS` are resident, `VmHWM` were at the peak.
fn process_memory(line: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':')).unwrap();
    size.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// Makes what is resident now the peak (`proc_pid_clear_refs(5)`).
fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[test]
fn copied_and_converted_weights_leave_no_pages_behind() {
    let Some(client) = support::cpu() else { return };
    for (dtype, moved) in [(None, false), (None, true), (Some(DType::F32), false)] {
        let directory = tempfile::tempdir().unwrap();
        let model = directory.path().join("model");
        write_checkpoint(&model);
        let file = model.join("model.safetensors").canonicalize().unwrap();
        if moved {
            misalign(&file);
        }
        let size = std::fs::metadata(&file).unwrap().len() as usize;
        // It stays open, as a command's does: the mapping would vanish with it.
        let checkpoint = Checkpoint::open(&model).unwrap();
        let placement = Placement::single(&client, &client.addressable_devices()[0]);
        let go_on = &mut |_| ControlFlow::Continue(());
        let engine = Engine::load(&placement, &checkpoint, dtype, go_on).unwrap();
        let stats = engine.load_stats()[0];
        let in_place = !moved && dtype.is_none();
        assert_eq!(stats.in_place_bytes, if in_place { stats.bytes } else { 0 });
        if !in_place {
            // A copy that were still under way would be over then.
            engine.score(&[vec![2, 3]], None).unwrap();
            // Pages that two tensors share, and the header's, may stay.
            assert!(resident(&file) < size / 4, "{} of {size} bytes are resident", resident(&file));
        }
    }
}

const DEVICES: usize = 8;
const MIB: usize = 1 << 20;
/// Elements of the one large weight. It is stored in f16 and held in f32, so that every shard is made anew.
const LARGE: usize = 16 * MIB;

#[test]
fn a_weight_split_by_rows_or_columns_is_never_held_whole() {
    for child in ["load_an_embedding_split_by_rows", "load_an_output_projection_split_by_columns"] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.args(["--exact", child, "--ignored", "--nocapture"]).output().unwrap();
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && stdout.contains("1 passed"), "{child}: {stdout}\n{stderr}");
        println!("{stdout}");
    }
}

#[test]
#[ignore = "a child process of a_weight_split_by_rows_or_columns_is_never_held_whole"]
fn load_an_embedding_split_by_rows() {
    let mut config = GemmaConfig::tiny();
    (config.vocab_size, config.hidden_size) = (LARGE / 256, 256);
    load_within_bounds(&config, "model.embed_tokens.weight");
}

#[test]
#[ignore = "a child process of a_weight_split_by_rows_or_columns_is_never_held_whole"]
fn load_an_output_projection_split_by_columns() {
    let mut config = GemmaConfig::tiny().with_layers(1).unwrap();
    (config.hidden_size, config.num_heads, config.num_kv_heads) = (256, 128, DEVICES);
    config.head_dim = LARGE / 256 / 128;
    load_within_bounds(&config, "model.layers.0.self_attn.o_proj.weight");
}

/// Loads a model, most of which is the weight `large`, on a mesh that splits it. Resident at the peak are the
/// weights, the file's pages of the tensor on its way, and one shard of it.
fn load_within_bounds(config: &GemmaConfig, large: &str) {
    const SLACK: usize = 8 * MIB;
    let Some(client) = support::cpu_devices(DEVICES) else { return };
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("model");
    let options = SynthOptions { dtype: StoredDtype::F16, ..SynthOptions::default() };
    synth(config, &model, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let checkpoint = Checkpoint::open(&model).unwrap();
    let mesh = format!("model={DEVICES}").parse().unwrap();
    let placement = Placement::new(&client, mesh, ShardingRules::transformer()).unwrap();
    assert_eq!(checkpoint.tensor(large).unwrap().element_count(), LARGE);

    let stored = checkpoint.tensor(large).unwrap().bytes().len();
    let (weights, shard) = (2 * checkpoint.byte_count() as usize, 2 * stored / DEVICES);
    let bound = weights + stored + shard + SLACK;
    let before = process_memory("VmRSS");
    reset_peak();
    let engine = Engine::load(&placement, &checkpoint, None, &mut |_| ControlFlow::Continue(())).unwrap();
    let growth = process_memory("VmHWM") - before;
    println!("{large}: {} MiB of {} MiB at the peak", growth / MIB, bound / MIB);
    assert!(growth <= bound, "{large}: {growth} bytes at the peak, over {bound}");
    assert!(growth >= weights, "{large}: {growth} bytes at the peak, which is not even the weights");
    for stats in engine.load_stats() {
        let share = weights / DEVICES;
        assert!((stats.bytes as usize) < share + MIB, "{large}: a device holds {} bytes", stats.bytes);
    }
}

#[test]
fn the_builtin_model_is_used_where_it_lies_in_the_program() {
    let Some(client) = support::cpu() else { return };
    let model = Model::builtin().unwrap();
    let placement = Placement::single(&client, &client.addressable_devices()[0]);
    let engine =
        Engine::load(&placement, model.checkpoint(), None, &mut |_| ControlFlow::Continue(())).unwrap();
    let stats = engine.load_stats()[0];
    assert_eq!(engine.dtype(), DType::BF16);
    assert_eq!((stats.in_place_bytes, stats.bytes), (stats.bytes, model.checkpoint().byte_count()));
}
