//! The table of TPUs against what the TPU plugin says of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/absent_tpu.rs"]
mod absent_tpu;
#[path = "support/plugin.rs"]
mod plugin_file;

use std::collections::HashSet;

use lapidary::runtime::{Attributes, Value};
use lapidary::target::{ChipConfig, TargetSpec, TpuGeneration};

#[test]
fn the_table_of_tpus_agrees_with_the_plugin() {
    absent_tpu::run_in_child("ask_the_plugin_about_tpus");
}

const SLICES: [&str; 14] = [
    "v4:2x2x1",
    "v4:2x2x2,chip_config_name=default",
    "v4:16x16x16",
    "v5e:1x1",
    "v5e:2x4",
    "v5e:16x16",
    "v5p:1x2x1",
    "v5p:4x1x1",
    "v5p:2x2x3",
    "v5p:2x2x1,num_slices=2",
    "v5p:16x16x24",
    "v6e:2x2",
    "v6e:8x1",
    "tpu7x:2x2x1",
];

#[test]
#[ignore = "the child process of the_table_of_tpus_agrees_with_the_plugin"]
fn ask_the_plugin_about_tpus() {
    let plugin = absent_tpu::plugin();
    for text in SLICES {
        let TargetSpec::Tpu(slice) = format!("tpu:{text}").parse().unwrap() else { panic!("{text}") };
        let mut options = Attributes::new();
        if slice.num_slices > 1 {
            options.insert("num_slices".into(), Value::Int(slice.num_slices as i64));
        }
        // Where it can be chosen, the target's default is not the plugin's.
        let megacore =
            slice.generation.has_chip_configs() && slice.chip_config != Some(ChipConfig::SingleCore);
        if megacore {
            options.insert("chip_config_name".into(), Value::String("megacore".into()));
        }
        let topology = absent_tpu::topology(&plugin, &slice.topology(), &options);
        let devices = topology.devices();
        let hosts: HashSet<i32> = devices.iter().map(|device| device.process_index).collect();
        assert_eq!((slice.num_devices(), slice.num_hosts()), (devices.len(), hosts.len()), "{text}");

        let Some(Value::Int(bytes)) = devices[0].attributes.get("device_memory_bytes_limit") else {
            panic!("{text}: {:?}", devices[0])
        };
        // The plugin gives one core all of its chip's memory, of which its compiler then lets it use less than half.
        if slice.chip_config != Some(ChipConfig::SingleCore) {
            let (ours, theirs) = (slice.device().memory_bytes as f64, *bytes as f64);
            assert!((ours / theirs - 1.0).abs() < 1e-4, "{text}: {ours} for {theirs}");
        }
    }
    let asked: HashSet<&str> = SLICES.iter().filter_map(|text| text.split(':').next()).collect();
    assert!(TpuGeneration::ALL.iter().all(|generation| asked.contains(generation.name)), "{asked:?}");
}
