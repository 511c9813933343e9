use std::collections::HashMap;
use std::fs;

use serde_json::Value;

use super::{Run, run_lapidary};

fn plan(arguments: &str) -> Run {
    run_lapidary(&["plan"].into_iter().chain(arguments.split(' ')).collect::<Vec<_>>())
}

fn json(arguments: &str) -> Value {
    let run = plan(&format!("{arguments} --json"));
    assert_eq!(run.stderr, "");
    serde_json::from_str(&run.stdout).unwrap()
}

const ON_V5P: &str = "--model gemma2-27b --target tpu:v5p:2x2x1 --mesh model=4 --batch 16 --context 4096";

#[test]
fn a_plan_that_fits() {
    let run = plan(ON_V5P);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let verdict = run.stdout.lines().next().unwrap();
    assert!(verdict.starts_with("gemma2-27b fits: ") && verdict.contains("of the 95.73 GiB"), "{verdict}");
    let line = |label: &str| {
        let found = run.stdout.lines().find(|line| line.trim_start().starts_with(label));
        found.unwrap_or_else(|| panic!("{label}: {}", run.stdout)).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("weights"), ["weights", "12.68", "GiB"]);
    assert_eq!(line("KV cache"), ["KV", "cache", "5.75", "GiB"]);
    assert_eq!(line("mesh"), ["mesh", "model=4", "(4", "devices)"]);
    assert!(line("decode").join(" ").contains("7.16 ms"), "{}", run.stdout);
    assert!(!run.stdout.contains("It fits"), "{}", run.stdout);

    let plan = json(ON_V5P);
    assert_eq!(
        (&plan["fits"], &plan["mesh"], &plan["devices"]),
        (&true.into(), &"model=4".into(), &4.into())
    );
    assert_eq!(plan["memory"]["kv_cache_bytes"], 16 * 4096 * 376_832_u64 / 4);
    assert_eq!(plan["phases"][0]["bound"], "memory");
    assert_eq!(plan["limits"]["model_context"], 8192);
    assert!(plan["limits"]["batch"].as_u64() > Some(16), "{plan}");
    assert_eq!(plan["suggestions"], Value::Array(Vec::new()));
    let (total, free) = (plan["memory"]["total_bytes"].as_i64(), plan["free_bytes"].as_i64());
    assert_eq!(total.zip(free).map(|(total, free)| total + free), plan["memory"]["available_bytes"].as_i64());
}

#[test]
fn a_kv_cache_in_8_bits_is_planned() {
    let arguments = format!("{ON_V5P} --kv-cache int8");
    let run = plan(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("bf16, KV cache in int8"), "{}", run.stdout);
    let (plan, floats) = (json(&arguments), json(ON_V5P));
    assert_eq!((&plan["kv_cache"], &floats["kv_cache"]), (&"int8".into(), &Value::Null));
    // A byte an element, and a scale of four bytes for each head of 128.
    let bytes = |plan: &Value| plan["memory"]["kv_cache_bytes"].as_u64().unwrap();
    assert_eq!(bytes(&plan) * 2 * 128, bytes(&floats) * 132);
    assert!(plan["limits"]["batch"].as_u64() > floats["limits"]["batch"].as_u64());
    assert!(plan["phases"][0]["memory_bytes"].as_u64() < floats["phases"][0]["memory_bytes"].as_u64());

    let run = super::run_lapidary(&["plan", "--model", "gemma2-2b", "--target", "cpu", "--kv-cache", "int4"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("no KV cache is `int4`"), "{}", run.stderr);
}

#[test]
fn a_plan_that_does_not_fit_says_where_it_would() {
    let arguments = "--model gemma2-27b --target tpu:v5e:2x2 --batch 16 --context 4096";
    let run = plan(arguments);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stdout.starts_with("gemma2-27b does not fit: "), "{}", run.stdout);
    assert!(run.stdout.contains("--target tpu:v5e:2x4  --mesh model=8"), "{}", run.stdout);
    assert!(run.stdout.contains("chosen as the fastest"), "{}", run.stdout);
    let report = json(arguments);
    assert_eq!((&report["fits"], &report["mesh_chosen"]), (&false.into(), &true.into()));
    assert_eq!(report["suggestions"][0]["target"], "tpu:v5e:2x4");
    // What is suggested is true.
    let suggested = "--model gemma2-27b --target tpu:v5e:2x4 --mesh model=8 --batch 16 --context 4096";
    assert_eq!(plan(suggested).code, Some(0));
}

#[test]
fn models_are_names_files_and_directories() {
    let directory = tempfile::tempdir().unwrap();
    let model = super::tiny_model(directory.path(), &["--dtype", "f32"]);
    fs::remove_file(format!("{model}/model.safetensors")).unwrap();
    let mut reports: Vec<Value> = [model.clone(), format!("{model}/config.json"), "tiny".to_string()]
        .iter()
        .map(|model| json(&format!("--model {model} --target cpu --dtype f32")))
        .collect();
    assert_eq!((&reports[0]["model"], &reports[1]["model"]), (&"tiny".into(), &"tiny".into()));
    for report in &mut reports {
        report["model"] = Value::Null;
    }
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[0], reports[2]);
    // A checkpoint of f32 runs in f32 unless told otherwise.
    assert_eq!(json(&format!("--model {model} --target cpu"))["dtype"], "f32");
    assert_eq!(json("--model tiny --target cpu")["dtype"], "bf16");
    // How much memory some machine has is not known.
    assert_eq!((&reports[0]["fits"], &reports[0]["limits"]), (&Value::Null, &Value::Null));
}

#[test]
fn each_parameter_is_shown_on_request() {
    let arguments = "--model tiny --target cuda:h100:2 --mesh model=2 --sharding";
    let run = plan(arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("model.embed_tokens.weight"), "{}", run.stdout);
    let report = json(arguments);
    let params = report["sharding"]["params"].as_array().unwrap();
    let embedding = params.iter().find(|param| param["name"] == "model.embed_tokens.weight").unwrap();
    assert_eq!((&embedding["sharding"], &embedding["role"]), (&"[model, -]".into(), &"weight".into()));
    let of_weights = params.iter().filter(|param| param["role"] == "weight");
    let bytes: u64 = of_weights.map(|param| param["bytes_per_device"].as_u64().unwrap()).sum();
    assert_eq!(report["memory"]["weights_bytes"], bytes);
    assert!(json("--model tiny --target cpu").get("sharding").is_none());
}

/// The figures of a program by their names: planned, compiled, and whether that is within tolerance.
fn figures(program: &Value) -> HashMap<&str, (f64, f64, bool)> {
    let figures = program["figures"].as_array().unwrap().iter().map(|figure| {
        let number = |field: &str| figure[field].as_f64().unwrap();
        let (planned, compiled) = (number("planned"), number("compiled"));
        let holds = figure["holds"].as_bool().unwrap();
        let beyond = (compiled / planned - 1.0).abs() > number("tolerance") && planned != compiled;
        assert_eq!(holds, !beyond, "{figure}");
        (figure["quantity"].as_str().unwrap(), (planned, compiled, holds))
    });
    figures.collect()
}

#[test]
fn a_plan_beside_what_the_compiler_makes_of_it() {
    if !super::has_cpu_plugin() {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| -> Run {
        let arguments = ["plan", "--model", "tiny", "--target", "cpu", "--context", "64", "--compile"];
        let mut command = super::lapidary(&[&arguments, more].concat());
        super::run(command.env("TMPDIR", temporary.path()))
    };
    let told = run(&["--json"]);
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&told.stdout).unwrap();
    let programs = report["compiled"]["programs"].as_array().unwrap();
    let phases: Vec<_> = programs.iter().map(|program| program["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["decode", "prefill"]);
    for program in programs {
        assert_eq!(program["outcome"], "compiled");
        assert!(program["compile_s"].as_f64() > Some(0.0));
        let figures = figures(program);
        let weights = report["memory"]["weights_bytes"].as_f64().unwrap();
        assert_eq!(figures["weights_bytes"], (weights, weights, true));
        for exact in ["kv_cache_bytes", "matrix_flops", "sent_bytes"] {
            let (planned, compiled, holds) = figures[exact];
            assert!(planned == compiled && holds, "{exact}: {planned} for {compiled}");
        }
        // What the CPU does in a step depends on the machine, and so does how long it takes.
        assert!(!figures.contains_key("step_s"));
        assert!(figures["peak_bytes"].1 > figures["weights_bytes"].1);
    }
    // The CPU moves more than a bound says, and the report says so.
    let told = run(&[]);
    assert!(told.stdout.contains("\nCompiled, by the cpu plugin "), "{}", told.stdout);
    assert!(told.stdout.contains("  Beyond tolerance: "), "{}", told.stdout);
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn windows_save_what_local_layers_do_not_hold() {
    let saved = |context: usize| {
        let arguments =
            format!("--model gemma2-27b --target tpu:v5p:2x2x1 --mesh model=4 --context {context}");
        let memory = json(&arguments)["memory"].clone();
        let bytes = |field: &str| memory[field].as_u64().unwrap();
        (bytes("kv_cache_bytes"), bytes("kv_cache_saved_bytes"))
    };
    let (held, saved_at_4096) = saved(4096);
    assert_eq!(saved_at_4096, 0);
    // Every other layer has a window of 4096 positions.
    assert_eq!(saved(8192), (held / 2 * 3, held / 2));
    let run = plan("--model gemma2-27b --target tpu:v5p:2x2x1 --mesh model=4 --context 8192");
    assert!(
        run.stdout.contains("of 736.00 MiB if local layers held more than their windows"),
        "{}",
        run.stdout
    );
}
