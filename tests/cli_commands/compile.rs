use std::fs;
use std::path::Path;

use lapidary::bundle::{self, BundleManifest, MemoryManifest, ProgramManifest};
use lapidary::models::config::GemmaConfig;
use lapidary::runtime::plugins::PluginKind;
use serde_json::Value;

use super::{Run, has_cpu_plugin, plugin_file, run_lapidary};

/// Runs the command with these arguments and a path at the end.
fn lapidary_on(arguments: &str, path: &Path) -> Run {
    let path = path.display().to_string();
    run_lapidary(&arguments.split_whitespace().chain([path.as_str()]).collect::<Vec<_>>())
}

fn compile(model: &str, arguments: &str, out: &Path) -> BundleManifest {
    let written = lapidary_on(&format!("compile --model {model} {arguments} --json --out"), out);
    assert_eq!((written.code, written.stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&written.stdout).unwrap();
    let bundle = bundle::open(out).unwrap();
    assert_eq!(report["programs"].as_array().unwrap().len(), bundle.programs.len());
    assert_eq!(fs::read_dir(out.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    bundle
}

/// What the plan of the same model says that one device holds: weights, and the KV cache.
fn planned(model: &str, arguments: &str) -> (f64, f64) {
    let command = format!("plan --model {model} {arguments} --json");
    let planned = run_lapidary(&command.split_whitespace().collect::<Vec<_>>());
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    let bytes = |field: &str| plan["memory"][field].as_f64().unwrap();
    (bytes("weights_bytes"), bytes("kv_cache_bytes"))
}

fn check_program(program: &ProgramManifest, out: &Path, (weights, cache): (f64, f64), tolerance: f64) {
    let names: Vec<&str> = program.files.iter().map(|file| file.file.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["program.mlir", "executable.bin", "optimized.hlo.pb", "optimized.hlo.txt"]);
    for file in &program.files {
        assert!(file.file.starts_with(&format!("programs/{}/", program.name)), "{file:?}");
        assert_eq!(fs::metadata(out.join(&file.file)).unwrap().len(), file.bytes);
        assert!(file.bytes > 1000, "{file:?}");
    }
    let text = fs::read_to_string(out.join(&program.file("optimized.hlo.txt").unwrap().file)).unwrap();
    assert!(text.starts_with("HloModule ") && text.contains(&program.name), "{}", program.name);

    let MemoryManifest { argument_bytes, alias_bytes, temp_bytes, .. } = program.memory.unwrap();
    let expected = weights + cache;
    let excess = (argument_bytes as f64 - expected) / expected;
    println!("{}: arguments {argument_bytes}, planned {expected}: {excess:+.5}", program.name);
    assert!((0.0..tolerance).contains(&excess), "{}: {excess}", program.name);
    // The whole cache is updated in place.
    let excess = (alias_bytes as f64 - cache) / cache;
    assert!((0.0..tolerance).contains(&excess), "{}: {excess}", program.name);
    assert!(temp_bytes > 0 && program.compile.seconds > 0.0);
    assert!(program.compile.peak_process_bytes.unwrap() > 50 << 20, "a plugin is larger");
}

#[test]
fn gemma_is_compiled_for_tpus_that_are_not_here() {
    if plugin_file::plugin(PluginKind::Tpu).is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // Sizes that fill the TPU's tiles, so that buffers have little padding.
    let mut config = GemmaConfig::tiny();
    (config.hidden_size, config.intermediate_size, config.vocab_size) = (256, 512, 1024);
    (config.num_heads, config.num_kv_heads, config.head_dim) = (8, 4, 128);
    let models = tempfile::tempdir().unwrap();
    let model = models.path().join("config.json");
    fs::write(&model, config.to_json()).unwrap();
    let model = model.display().to_string();
    let sizes = "--target tpu:v5p:2x2x1 --mesh model=4 --context 256 --batch 2";

    let out = directory.path().join("bundle");
    let arguments = format!("{sizes} --phase decode --phase prefill --tokens 16 --tokens 32");
    let bundle = compile(&model, &arguments, &out);
    let phases: Vec<_> = bundle.programs.iter().map(|p| (p.phase.as_str(), p.tokens)).collect();
    // In the order that they were asked for.
    assert_eq!(phases, [("decode", 1), ("prefill", 16), ("prefill", 32)]);
    assert_eq!(bundle.target.spec.as_deref(), Some("tpu:v5p:2x2x1"));
    assert_eq!((bundle.plugin.platform.as_str(), bundle.devices), ("tpu", 4));
    assert!(bundle.plugin.platform_version.contains("TPU v5"), "{}", bundle.plugin.platform_version);
    // A ring of neighbours, which ids in order are not on a square.
    assert_eq!(bundle.compile_options.num_partitions, 4);
    let mut ids = bundle.compile_options.device_assignment.clone();
    assert_ne!(ids, [0, 1, 2, 3]);
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 3]);
    let planned = planned(&model, sizes);
    for program in &bundle.programs {
        check_program(program, &out, planned, 0.02);
        assert!(program.cost.as_ref().unwrap()["flops"] > 1e6);
    }
}

#[test]
fn a_bundle_for_the_cpu_is_listed_and_verified() {
    if !has_cpu_plugin() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("bundle");
    let sizes = "--target cpu --context 64";
    let bundle = compile("tiny", &format!("{sizes} --phase decode"), &out);
    let [program] = bundle.programs.as_slice() else { panic!("{:?}", bundle.programs) };
    // The CPU pads nothing: there are 12 bytes of inputs besides.
    let planned = planned("tiny", sizes);
    check_program(program, &out, planned, 0.0001);
    assert_eq!(program.memory.unwrap().argument_bytes as f64, planned.0 + planned.1 + 12.0);

    let listed = lapidary_on("compile --list", &out);
    assert_eq!((listed.code, listed.stderr.as_str()), (Some(0), ""));
    assert!(listed.stdout.starts_with("tiny bf16 for cpu; cpu plugin "), "{}", listed.stdout);
    let row = listed.stdout.lines().last().unwrap();
    assert!(row.starts_with("decode  1      1       64 ") && row.contains("329.14 KiB"), "{row}");

    let verified = lapidary_on("compile --verify", &out);
    assert_eq!((verified.code, verified.stderr.as_str()), (Some(0), ""));
    assert!(verified.stdout.ends_with("bundle: 1 programs, 4 files, whole\n"), "{}", verified.stdout);

    damage(&out, program);
    let verified = lapidary_on("compile --verify", &out);
    assert_eq!((verified.code, verified.stderr.as_str()), (Some(1), ""));
    let folder = format!("programs/{}", program.name);
    let expected = [
        format!("{folder}/program.mlir has 4 bytes, not {}", program.files[0].bytes),
        format!("{folder}/executable.bin has been changed: its SHA-256 is another"),
        format!("{folder}/optimized.hlo.pb cannot be read: No such file or directory (os error 2)"),
        format!("{folder}/notes.txt is not in the manifest"),
    ];
    let found: Vec<&str> = verified.stdout.lines().collect();
    assert_eq!(found.get(..4), Some(expected.each_ref().map(String::as_str).as_slice()), "{found:?}");
    assert!(found[4].starts_with("the cpu plugin here is version "), "{found:?}");
    assert!(found[4].ends_with("compiled by version 0.0.0 (SHA-256 xxxxxxxxxxxx...)"), "{found:?}");
    assert_eq!(found.len(), 5, "{found:?}");
    let verified = lapidary_on("compile --json --verify", &out);
    let report: Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!((&report["whole"], report["differences"].as_array().unwrap().len()), (&Value::Bool(false), 5));
}

/// A bit of the executable, a truncated file, a missing one, one too many, and another plugin.
fn damage(out: &Path, program: &ProgramManifest) {
    let folder = out.join("programs").join(&program.name);
    let mut executable = fs::read(folder.join("executable.bin")).unwrap();
    let middle = executable.len() / 2;
    executable[middle] ^= 1;
    fs::write(folder.join("executable.bin"), executable).unwrap();
    fs::write(folder.join("program.mlir"), "func").unwrap();
    fs::remove_file(folder.join("optimized.hlo.pb")).unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let mut manifest: BundleManifest = bundle::open(out).unwrap();
    manifest.plugin.version = Some("0.0.0".to_string());
    manifest.plugin.sha256 = "x".repeat(64);
    fs::write(out.join("manifest.json"), serde_json::to_string(&manifest).unwrap()).unwrap();
}
