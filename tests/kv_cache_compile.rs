//! A KV cache in 8 bits through the compiler of GPUs that are not here: a decode step reads it once and in its small form.
//! Nothing runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/absent_cuda.rs"]
mod absent_cuda;
#[path = "support/command.rs"]
mod command;
#[path = "support/plugin.rs"]
mod plugin_file;

use command::lapidary_command;
use lapidary::inspect::{self, InspectOptions, inspect};
use lapidary::models::config::GemmaConfig;

#[test]
fn gpus_read_codes_once_and_copy_none() {
    if !absent_cuda::can_compile() {
        return;
    }
    // Of a local and a global layer; with few tokens, so that weights are no more than the cache.
    let mut config = GemmaConfig::named("gemma2-2b").unwrap().with_layers(2).unwrap();
    config.vocab_size = 4096;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    std::fs::write(&file, config.to_json()).unwrap();
    let bundle = directory.path().join("bundle");
    let made = lapidary_command()
        .args(["compile", "--target", "cuda:h100", "--phase", "decode", "--kv-cache", "int8"])
        .args(["--batch", "16", "--context", "8192", "--model"])
        .arg(&file)
        .arg("--out")
        .arg(&bundle)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let [program] = &inspect::find(&bundle).unwrap()[..] else { panic!("one program") };
    let found = inspect(program, &InspectOptions { target: None, mesh: None, largest: 3 }).unwrap();
    println!("{:?}, {:?}", found.traffic, found.memory);
    // Sixteen rows of 8192 and of 4096 positions, 4 heads, 256 codes and a scale: keys and values.
    assert_eq!(found.memory.kv_cache_bytes, 16 * (8192 + 4096) * 4 * 260 * 2);
    assert!(found.traffic.ratio.unwrap() <= 1.1, "{:?}", found.traffic);
    // One layer's keys in bf16 would be 256 MiB.
    assert!(found.memory.temporaries_bytes < 16 << 20, "{:?}", found.memory);
}
