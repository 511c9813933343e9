//! Weights are never held twice: what the device copied does not stay resident in the mapped file as well.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::ops::ControlFlow;
use std::path::Path;

use lapidary::engine::{Engine, Placement};
use lapidary::graph::DType;
use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::config::GemmaConfig;
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
