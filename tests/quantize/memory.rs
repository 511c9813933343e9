//! Memory does not grow with the model: a tensor is never in memory whole.

use std::process::Command;

use lapidary::models::config::GemmaConfig;
use lapidary::models::dtype::StoredDtype;
use lapidary::models::quantize::{Bits, QuantizeOptions};

use super::{quantized, random};

const MIB: usize = 1 << 20;

/// Bytes of a line of this process's status: `VmRSS` are resident, `VmHWM` were at the peak.
fn process_memory(line: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':')).unwrap();
    size.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[test]
fn a_large_weight_is_never_held_whole() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let child = "memory::quantize_a_large_embedding";
    let output = command.args(["--exact", child, "--ignored", "--nocapture"]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
    println!("{stdout}");
}

#[test]
#[ignore = "a child process of a_large_weight_is_never_held_whole"]
fn quantize_a_large_embedding() {
    let mut config = GemmaConfig::tiny().with_layers(1).unwrap();
    (config.vocab_size, config.hidden_size) = (1 << 16, 1 << 10);
    let directory = tempfile::tempdir().unwrap();
    let model = random(directory.path(), &config, StoredDtype::F16);
    let size = std::fs::metadata(model.join("model.safetensors")).unwrap().len() as usize;
    assert!(size > 128 * MIB);
    let before = process_memory("VmRSS");
    // What is resident now becomes the peak (`proc_pid_clear_refs(5)`).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    quantized(&model, &QuantizeOptions::new(Bits::Eight)).unwrap();
    let growth = process_memory("VmHWM") - before;
    println!("{} MiB at the peak, for a file of {} MiB", growth / MIB, size / MIB);
    assert!(growth < 24 * MIB, "{growth} bytes at the peak, for a file of {size}");
}
