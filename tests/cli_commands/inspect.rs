use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Run, run_lapidary};

/// `gemma2-27b` with one layer, bf16, on four chips of a v5p: one token for each of 16 rows, a cache of 4096.
const DECODE: &str = "hlo/tests/goldens/gemma2_27b_one_layer_decode.v5p.hlo.txt";
/// A program in two forms, without names of this package.
const LOOP: &str = "hlo/tests/goldens/loop_of_collectives.v5p.hlo";
const ON_V5P: [&str; 4] = ["--target", "tpu:v5p:2x2x1", "--mesh", "model=4"];

fn inspect(path: &str, arguments: &[&str]) -> Run {
    let run = run_lapidary(&[&["inspect", path], arguments].concat());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    run
}

fn json(path: &str, arguments: &[&str]) -> Value {
    let text = inspect(path, &[arguments, &["--json"]].concat()).stdout;
    let mut report: Value = serde_json::from_str(&text).unwrap();
    report["programs"].as_array_mut().unwrap().remove(0)
}

/// Compares with a file, or writes it if `BLESS` is set.
#[track_caller]
fn assert_golden(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli_commands/inspect").join(file);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&path).unwrap(), "{file}: BLESS=1 accepts");
}

#[test]
fn the_report_in_text_and_json() {
    assert_golden("decode.txt", &inspect(DECODE, &[&ON_V5P[..], &["--top", "5"]].concat()).stdout);
    let report = json(DECODE, &[&ON_V5P[..], &["--top", "2"]].concat());
    assert_golden("decode.json", &format!("{}\n", serde_json::to_string_pretty(&report).unwrap()));
}

#[test]
fn what_is_moved_is_set_against_what_would_have_to_be() {
    let report = json(DECODE, &ON_V5P);
    let parameters = report["parameters"].as_array().unwrap().iter();
    let ideal: u64 = parameters.map(|each| each["bytes"].as_u64().unwrap()).sum();
    assert_eq!(report["traffic"]["ideal_bytes"], ideal);
    let ratio = report["traffic"]["ratio"].as_f64().unwrap();
    assert!((1.0..1.02).contains(&ratio), "{ratio}");
    assert_eq!(report["flops"]["matrix"], report["flops"]["ideal_matrix"]);

    // The parts are the whole.
    let sum = |list: &str, field: &str| -> u64 {
        report[list].as_array().unwrap().iter().filter_map(|each| each[field].as_u64()).sum()
    };
    assert_eq!(report["traffic"]["bytes"], sum("by_path", "bytes"));
    assert_eq!(report["traffic"]["bytes"], sum("by_operation", "bytes"));
    assert_eq!(ideal, sum("by_path", "ideal_bytes"));
    let seconds = |list: &str| -> f64 {
        report[list].as_array().unwrap().iter().map(|each| each["time"]["seconds"].as_f64().unwrap()).sum()
    };
    let step = report["estimate"]["seconds"].as_f64().unwrap();
    // `by_path` may hold a path that nothing runs for, without a time.
    assert!((seconds("by_operation") - step).abs() < 1e-12, "{step}");

    // The embedding is what the projection to logits reads.
    let path = |name: &str| {
        let found = report["by_path"].as_array().unwrap().iter().find(|each| each["name"] == name);
        found.unwrap_or_else(|| panic!("{name}")).clone()
    };
    assert_eq!(path("lm_head")["ideal_bytes"], 2 * 64_000 * 4608);
    assert_eq!(path("embed")["ideal_bytes"], 512);
    assert_eq!(path("copies")["ideal_bytes"], 0);
    let cache = &report["layers"][0]["parts"][1];
    assert_eq!((&cache["part"], &cache["ideal_bytes"]), (&json!("kv_cache"), &json!(2 * 67_108_864)));
    assert_eq!(report["layers"][0]["collectives"].as_array().unwrap().len(), 2);
}

#[test]
fn less_is_said_where_less_is_known() {
    let text = inspect(&format!("{LOOP}.txt"), &[]).stdout;
    for part in
        ["target  not known", "no time is estimated", "--mesh gives it", "would be ideal is not known"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("Time of a step") && !text.contains("HBM traffic of a layer"), "{text}");
    let report = json(&format!("{LOOP}.txt"), &["--mesh", "data=2,model=2"]);
    assert_eq!((&report["estimate"], &report["flops"]["ratio"]), (&Value::Null, &Value::Null));
    let permute = report["collectives"].as_array().unwrap().iter();
    let permute = permute.filter(|each| each["kind"] == "collective-permute").collect::<Vec<_>>();
    assert_eq!((permute[0]["count"].as_u64(), &permute[0]["axes"][0]), (Some(6), &json!("data")));
    assert_eq!(permute[0]["asynchronous"], true);
    // Rates of a CPU are not known either.
    let cpu = inspect(DECODE, &["--target", "cpu", "--mesh", "model=4"]).stdout;
    assert!(cpu.contains("How fast cpu is depends on the machine"), "{cpu}");
}

#[test]
fn text_and_protocol_buffer_give_one_report() {
    let mut reports = ["txt", "pb"].map(|form| json(&format!("{LOOP}.{form}"), &ON_V5P[..2]));
    for report in &mut reports {
        report["file"] = Value::Null;
    }
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[0]["name"], reports[1]["name"]);
}

/// The composites of the only program of the built-in configuration `tiny` under these options, by what became of them.
fn composites(arguments: &[&str]) -> Vec<Value> {
    let model = ["inspect", "--model", "tiny", "--phase", "decode", "--json"];
    let run = run_lapidary(&[&model[..], arguments].concat());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let programs = report["programs"].as_array().unwrap();
    assert_eq!(programs.len(), 1);
    let composites = programs[0]["composites"].as_array().unwrap().clone();
    for each in &composites {
        assert_eq!(each["count"].as_u64().unwrap(), each["paths"].as_array().unwrap().len() as u64);
        assert_eq!(each["kernel"].is_null(), each["decomposed"].is_string(), "{each}");
        assert_eq!(each["decomposed"].is_null(), each["because"].is_null(), "{each}");
    }
    composites
}

fn named<'a>(composites: &'a [Value], name: &str) -> &'a Value {
    let found = composites.iter().filter(|each| each["composite"] == name).collect::<Vec<_>>();
    assert_eq!(found.len(), 1, "{name}: {composites:?}");
    found[0]
}

#[test]
fn composites_of_a_model_are_calls_on_this_processor() {
    let calls = composites(&["--dtype", "bf16"]);
    assert!(calls.iter().all(|each| each["kernel"].is_string()), "{calls:?}");
    let attention = named(&calls, "lapidary.attention");
    assert_eq!(attention["kernel"], "lapidary_attention");
    assert_eq!(attention["paths"][0], "layers.0.self_attn.attention");
    assert_eq!(named(&calls, "lapidary.cache_write")["count"], 2 * attention["count"].as_u64().unwrap());
    let quantized = composites(&["--dtype", "bf16", "--weights", "int8"]);
    assert_eq!(named(&quantized, "lapidary.quantized_linear")["kernel"], "lapidary_quantized_linear");

    let arguments = ["inspect", "--model", "tiny", "--dtype", "bf16", "--phase", "decode,prefill"];
    let text = run_lapidary(&arguments).stdout;
    let [decode, ..] = text.split("\n\n").collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(decode.starts_with("gemma2_decode_b1_t1_") && decode.contains(" on cpu: "), "{decode}");
    assert!(
        text.contains("composites are calls of kernels") && text.contains("gemma2_prefill_b1_"),
        "{text}"
    );
}

#[test]
fn composites_that_are_decomposed_say_why() {
    let reasons = |arguments: &[&str]| -> Vec<(String, String)> {
        let decomposed = composites(arguments).into_iter().filter(|each| each["kernel"].is_null());
        let word = |value: &Value| value.as_str().unwrap().to_string();
        decomposed.map(|each| (word(&each["composite"]), word(&each["decomposed"]))).collect()
    };
    let all_are = |arguments: &[&str], reason: &str| {
        let reasons = reasons(arguments);
        assert!(!reasons.is_empty() && reasons.iter().all(|(_, each)| each == reason), "{reasons:?}");
        assert_eq!(reasons.len(), composites(arguments).len(), "{reasons:?}");
    };
    all_are(&["--dtype", "bf16", "--kernels", "off"], "switched_off");
    all_are(&["--dtype", "f32"], "operands");
    all_are(&["--dtype", "bf16", "--mesh", "model=2"], "mesh");
    all_are(&["--dtype", "bf16", "--mesh", "model=4", "--target", "tpu:v5p:2x2x1"], "no_kernel");
    let some = reasons(&["--dtype", "bf16", "--kernels", "linear,cache"]);
    assert!(some.iter().all(|(_, reason)| reason == "switched_off"), "{some:?}");
    let mut decomposed: Vec<&str> = some.iter().map(|(composite, _)| composite.as_str()).collect();
    decomposed.sort_unstable();
    let expected = [
        "lapidary.attention",
        "lapidary.geglu",
        "lapidary.residual_add",
        "lapidary.rms_norm",
        "lapidary.rope",
    ];
    assert_eq!(decomposed, expected);

    let run = run_lapidary(&["inspect", "--model", "tiny", "--phase", "decode", "--dtype", "f32"]);
    let row = run.stdout.lines().find(|line| line.contains("lapidary.attention")).unwrap();
    assert!(row.contains(" -  ") && row.contains("its kernel does not take f32["), "{row}");
}

/// A bundle as `compile` writes it, but for executables.
fn bundle(directory: &Path) -> String {
    let program = |name: &str, memory: Value| {
        json!({
            "name": name, "phase": name, "batch": 16, "tokens": 1, "context": 4096, "files": [],
            "compile": {"seconds": 1.5, "peak_process_bytes": null}, "memory": memory, "cost": null,
            "fingerprint": null, "parameters": [], "results": [],
        })
    };
    let memory = json!({
        "argument_bytes": 0, "output_bytes": 0, "alias_bytes": 0, "temp_bytes": 5 << 20,
        "generated_code_bytes": 1 << 20, "peak_bytes": 0,
    });
    let manifest = json!({
        "format": "lapidary-bundle/1",
        "generator": {"name": "lapidary", "version": "0.1.0"},
        "model": {"name": "gemma2-27b", "config": {}},
        "dtype": "bf16",
        "target": {"spec": "tpu:v5p:2x2x1", "table": "tpu", "compiler_flags": {}},
        "topology": null,
        "plugin": {
            "kind": "tpu", "version": null, "sha256": "", "api_version": "0.81", "platform": "tpu",
            "platform_version": "", "attributes": {},
        },
        "devices": 4,
        "mesh": [{"name": "model", "size": 4}],
        "rules": [],
        "compile_options": {"num_replicas": 1, "num_partitions": 4, "device_assignment": [0, 1, 2, 3]},
        "programs": [program("prefill", memory), program("decode", Value::Null)],
    });
    for (program, file, source) in [
        ("decode", "optimized.hlo.txt", DECODE.to_string()),
        ("prefill", "optimized.hlo.pb", format!("{LOOP}.pb")),
    ] {
        let folder = directory.join("programs").join(program);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(source, folder.join(file)).unwrap();
    }
    fs::write(directory.join("manifest.json"), manifest.to_string()).unwrap();
    directory.display().to_string()
}

#[test]
fn a_bundle_says_what_it_is_for() {
    let directory = tempfile::tempdir().unwrap();
    let bundle = bundle(directory.path());
    let report: Value = serde_json::from_str(&inspect(&bundle, &["--json"]).stdout).unwrap();
    let names: Vec<_> = report["programs"].as_array().unwrap().iter().map(|each| &each["name"]).collect();
    assert_eq!(names, ["prefill", "decode"]);
    let memory = &report["programs"][0]["memory"];
    assert_eq!((&memory["temporaries_bytes"], &memory["code_bytes"]), (&json!(5 << 20), &json!(1 << 20)));
    assert_eq!(memory["temporaries_source"], "compiler");

    let mut alone = json(&format!("{bundle}/programs/decode"), &[]);
    assert_eq!(alone, report["programs"][1]);
    assert_eq!((&alone["target"], &alone["mesh"]), (&json!("tpu:v5p:2x2x1"), &json!("model=4")));
    let mut named = json(DECODE, &ON_V5P);
    for report in [&mut alone, &mut named] {
        (report["file"], report["name"]) = (Value::Null, Value::Null);
    }
    assert_eq!(alone, named);
}

#[test]
fn the_page_holds_everything_and_needs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.html").display().to_string();
    let page = |path: &str, arguments: &[&str]| {
        inspect(path, &[arguments, &["--html", &file]].concat());
        fs::read_to_string(&file).unwrap()
    };
    let decode = page(DECODE, &ON_V5P);
    for part in [
        "HBM traffic by model path",
        "Time by model path (estimate)",
        "Memory of each device",
        "Layer by layer",
        "HBM traffic by operation",
        "Collectives",
        "Largest temporaries",
        "Largest copies",
        "To know",
        "prefers-color-scheme: dark",
        "layers.*.attn",
        "1.017 x",
    ] {
        assert!(decode.contains(part), "{part}");
    }
    // Two marks for the layer's collectives, beside the two of the key.
    assert_eq!(decode.matches("class=\"mark\" title=").count(), 2);
    for tag in ["article", "section", "div", "table", "ul", "span", "p"] {
        let opened =
            decode.matches(&format!("<{tag}>")).count() + decode.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, decode.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    let both = page(&bundle(&directory.path().join("bundle")), &[]);
    assert_eq!(both.matches("<article").count(), 2);
    assert!(both.contains("href=\"#p1\"") && both.contains("id=\"p1\""));
    for page in [decode, both] {
        for outside in ["http:", "https:", "//", "url(", "@import", "<script", "src=", "<link", "NaN", "inf%"]
        {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    // What a program is called is text, whatever it looks like.
    let hostile = directory.path().join("hostile.hlo.txt");
    let text = "HloModule m\nENTRY e {\n  x = f32[512]{0} parameter(0), metadata={op_name=\"x\"}\n  ROOT y = \
                f32[512]{0} negate(x), metadata={op_name=\"<img src=x>/neg\"}\n}\n";
    fs::write(&hostile, text).unwrap();
    let page = page(&hostile.display().to_string(), &[]);
    assert!(page.contains("&lt;img src=x&gt;") && !page.contains("<img"), "{page}");
}
