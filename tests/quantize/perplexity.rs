//! How much worse the built-in model becomes, which is trained: these are the promises of docs/quantization.md.

use lapidary::models::builtin;
use serde_json::Value;

use super::{plugin_file, run};

/// The ratio of perplexities of held-out texts.
fn ratio(more: &[&str]) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("heldout.jsonl");
    // A third is enough to tell, and takes a third of the time.
    let some: Vec<&str> = builtin::HELDOUT.lines().step_by(3).collect();
    std::fs::write(&text, some.join("\n")).unwrap();
    let (text, out) = (text.display().to_string(), directory.path().join("out").display().to_string());
    let mut arguments = vec!["--model", builtin::NAME, "--out", &out, "--eval", &text, "--json", "--quiet"];
    arguments.extend(more);
    let written = run(&arguments);
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    let report: Value = serde_json::from_str(&written.stdout).unwrap();
    let perplexity = &report["perplexity"];
    let (before, after) = (perplexity["before"].as_f64().unwrap(), perplexity["after"].as_f64().unwrap());
    let ratio = perplexity["ratio"].as_f64().unwrap();
    println!("{more:?}: {before} {after} {ratio}");
    assert!((2.0..2.6).contains(&before) && (ratio - after / before).abs() < 1e-9, "{perplexity}");
    assert_eq!(perplexity["source"], text);
    ratio
}

#[test]
fn eight_bits_cost_next_to_nothing() {
    if plugin_file::cpu_plugin().is_none() {
        return;
    }
    let ratio = ratio(&["--to", "int8"]);
    assert!((0.995..1.005).contains(&ratio), "{ratio}");
}

#[test]
fn four_bits_cost_little() {
    if plugin_file::cpu_plugin().is_none() {
        return;
    }
    let ratio = ratio(&["--to", "int4"]);
    assert!((0.995..1.05).contains(&ratio), "{ratio}");
}
