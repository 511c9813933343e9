//! What XLA makes of the forms that the CPU's table chooses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/command.rs"]
mod command;
#[path = "support/plugin.rs"]
mod plugin_file;

use std::fs;

use command::lapidary_command;

/// Neither for the scores nor to be written to: of a product with two dimensions of rows XLA would first make a transposed
/// copy of every layer's keys, and for a scatter one of the whole cache in f32, and another one back.
#[test]
fn no_cache_is_transposed() {
    if plugin_file::cpu_plugin().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for (batch, phase) in [("1", "decode"), ("1", "prefill"), ("3", "decode"), ("3", "prefill")] {
        let bundle = directory.path().join(format!("{phase}-{batch}"));
        let mut command = lapidary_command();
        command.args(["compile", "--model", "tiny", "--target", "cpu", "--dtype", "bf16", "--quiet"]);
        // No other dimension has 96 elements.
        command.args(["--context", "96", "--tokens", "32", "--batch", batch, "--phase", phase]);
        let output = command.arg("--out").arg(&bundle).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let program = fs::read_dir(bundle.join("programs")).unwrap().next().unwrap().unwrap();
        let hlo = fs::read_to_string(program.path().join("optimized.hlo.txt")).unwrap();
        let scores: Vec<&str> =
            hlo.lines().filter(|line| line.contains(" dot(") && line.contains(",96]{")).collect();
        assert!(!scores.is_empty(), "{phase} of {batch}: {hlo}");
        for dot in scores {
            // The last of the keys' dimensions, of which XLA drops one of a single row.
            let last = if batch == "1" { 2 } else { 3 };
            let by_head = format!("rhs_contracting_dims={{{last}}}");
            assert!(dot.contains(&by_head), "{phase} of {batch}: {dot}");
        }
        for update in [" scatter(", " dynamic-update-slice("] {
            assert!(!hlo.contains(update), "{phase} of {batch}: {update}");
        }
    }
}
