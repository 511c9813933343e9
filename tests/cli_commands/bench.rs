use serde_json::Value;

use super::terminal::{CTRL_C, Terminal};
use super::{has_cpu_plugin, lapidary, run, run_lapidary, tiny_model};

const ONCE: [&str; 6] = ["bench", "--device", "cpu", "--repetitions", "1", "--quiet"];

/// What `bench` prints on a model, once, without messages.
fn bench(arguments: &[&str]) -> String {
    let ended = run_lapidary(&[&ONCE, arguments].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    ended.stdout
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn json_has_every_test_beside_what_the_device_can_do() {
    if !has_cpu_plugin() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let model = tiny_model(directory.path(), &["--window", "16"]);
    // Beyond the window, so that the cache is filled again for each run.
    let sizes = ["--pp", "8", "--tg", "2", "--depth", "0,20", "--batch", "2", "--warmup", "1"];
    let arguments = [&["--model", &model, "--output", "json"][..], &sizes].concat();
    let report: Value = serde_json::from_str(&bench(&arguments)).unwrap();

    assert_eq!(report["model"], model);
    assert_eq!((&report["device"], &report["dtype"]), (&"cpu".into(), &"bf16".into()));
    assert_eq!(report["complete"], true);
    assert_eq!(report["weight_bytes"], 2 * report["parameters"].as_u64().unwrap());
    let tests = report["tests"].as_array().unwrap();
    let names: Vec<&str> = tests.iter().map(|test| test["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["pp8", "tg2", "pp8 @ d20", "tg2 @ d20"]);
    let peaks = &report["peaks"];
    for test in tests {
        assert_eq!(test["batch"], 2);
        let rate = number(&test["tokens_per_s"]["mean"]);
        assert!(rate > 0.0, "{test}");
        assert_eq!(test["tokens_per_s"]["stddev"], Value::Null, "one repetition has none");
        assert!(number(&test["peak_memory_bytes"]) > number(&report["weight_bytes"]));
        let (work, reached, ratio, peak, other) = match test["kind"].as_str().unwrap() {
            "prompt" => {
                ("flops_per_token", "flops_per_s", "of_matrix_peak", &peaks["matrix_peak"], "bytes_per_token")
            }
            _ => (
                "bytes_per_token",
                "read_bytes_per_s",
                "of_read_bandwidth",
                &peaks["read_bandwidth"],
                "flops_per_token",
            ),
        };
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-6 * b, "{a} and {b}: {test}");
        close(number(&test[reached]), number(&test[work]) * rate);
        close(number(&test[ratio]), number(&test[reached]) / number(&peak["best"]));
        assert_eq!(test[other], Value::Null);
        assert!(number(&peak["best"]) >= number(&peak["mean"]));
        assert_eq!(peak["repetitions"], 10, "five before the tests and five after");
    }
    let start = &report["start"];
    let parts = ["plugin_s", "load_s", "prefill_s"].map(|part| number(&start[part]));
    let sum = parts.iter().sum::<f64>() + number(&start["compiling"]["seconds"]);
    assert!((number(&start["time_to_first_token_s"]) - sum).abs() < 1e-6);
    let programs: u64 = tests.iter().map(|test| test["compiling"]["programs"].as_u64().unwrap()).sum();
    let at_start = start["compiling"]["programs"].as_u64().unwrap();
    assert_eq!((at_start, report["compiling"]["programs"].as_u64()), (2, Some(at_start + programs)));
}

#[test]
fn a_made_up_model_leaves_nothing_behind() {
    if !has_cpu_plugin() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let sizes = ["--synth", "tiny", "--layers", "1", "--pp", "4", "--tg", "0", "--output", "csv"];
    let arguments = [&ONCE[..], &sizes].concat();
    let mut command = lapidary(&arguments);
    let ended = run(command.env("LAPIDARY_CACHE_DIR", cache.path()));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let [names, pp4] = ended.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{}", ended.stdout) };
    assert!(names.starts_with("name,kind,tokens,depth,batch,tokens_per_s_mean,"), "{names}");
    assert!(pp4.starts_with("pp4,prompt,4,0,1,"), "{pp4}");
    assert!(pp4.contains("\"tiny, 1 layers of random weights\""), "{pp4}");
    let scratch = cache.path().join("scratch");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0);
}

#[test]
fn markdown_has_no_date() {
    if !has_cpu_plugin() {
        return;
    }
    let printed = bench(&["--synth", "tiny", "--pp", "0", "--tg", "2", "--dtype", "f32"]);
    let rows: Vec<Vec<&str>> =
        printed.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
    assert_eq!(rows[0][..4], ["test", "batch", "tokens/s", "bytes/token"]);
    assert_eq!(rows[2][..2], ["tg2", "1"]);
    let settings: Vec<&str> = rows[6..].iter().map(|row| row[0]).collect();
    let expected = [
        "model",
        "device",
        "read bandwidth",
        "matrix peak",
        "first token",
        "at least",
        "compiling",
        "peak memory",
        "repetitions",
        "versions",
    ];
    assert_eq!(settings, expected, "{printed}");
    assert!(rows[6][1].ends_with("in f32"), "{printed}");
}

#[test]
fn ctrl_c_prints_what_is_finished() {
    if !has_cpu_plugin() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let model = tiny_model(directory.path(), &["--context", "65536"]);
    // The second test would take hours.
    let tests = ["--model", &model, "--pp", "4", "--tg", "65000", "--repetitions", "1"];
    let mut bench = Terminal::run("bench", &tests, &directory.path().join("home"));
    bench.wait_for("pp4, batch 1: ");
    bench.press(CTRL_C);
    bench.wait_for("| pp4 ");
    bench.wait_for("| interrupted ");
    assert_eq!(bench.wait_for_end(), Some(130));
}
