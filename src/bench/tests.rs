//! Suites, work and reports, with answers worked out by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use lapidary_graph::DType;
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::KvCache;
use serde_json::Value;

use super::*;

fn test(kind: Kind, tokens: usize, depth: usize, batch: usize) -> Test {
    Test { kind, tokens, depth, batch }
}

fn suite() -> Suite {
    Suite { prompts: vec![16], generations: vec![4, 8], depths: vec![0, 32], batches: vec![1, 2] }
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found}, not {expected}");
}

#[test]
fn statistics_of_a_sample() {
    assert_eq!(Statistics::of(&[]), None);
    assert_eq!(Statistics::of(&[3.0]), Some(Statistics { mean: 3.0, stddev: None }));
    let Statistics { mean, stddev } = Statistics::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
    near(mean, 5.0);
    // Squares of the differences sum to 32.
    near(stddev.unwrap(), (32.0f64 / 7.0).sqrt());
    let peak = Peak::of(&[1.0, 3.0, 2.0]).unwrap();
    assert_eq!(peak, Peak { best: 3.0, mean: 2.0, repetitions: 3 });
}

#[test]
fn a_suite_is_every_length_at_every_depth_and_batch() {
    let config = GemmaConfig::tiny();
    let names: Vec<String> = suite().tests(&config).unwrap().iter().map(Test::to_string).collect();
    assert_eq!(
        names,
        [
            "pp16, batch 1",
            "tg4, batch 1",
            "tg8, batch 1",
            "pp16 @ d32, batch 1",
            "tg4 @ d32, batch 1",
            "tg8 @ d32, batch 1",
            "pp16, batch 2",
            "tg4, batch 2",
            "tg8, batch 2",
            "pp16 @ d32, batch 2",
            "tg4 @ d32, batch 2",
            "tg8 @ d32, batch 2",
        ]
    );
    let only = Suite { prompts: vec![0], generations: vec![0, 3], depths: vec![0], batches: vec![1] };
    assert_eq!(only.tests(&config).unwrap(), [test(Kind::Generation, 3, 0, 1)]);
}

#[test]
fn tests_that_no_model_can_take_are_refused() {
    let config = GemmaConfig::tiny();
    let with = |change: &dyn Fn(&mut Suite)| {
        let mut suite = suite();
        change(&mut suite);
        suite.tests(&config).unwrap_err()
    };
    assert_eq!(with(&|suite| suite.batches = vec![1, 0]), SuiteError::NoRows);
    assert_eq!(with(&|suite| suite.batches = vec![usize::MAX]), SuiteError::TooManyRows(usize::MAX));
    assert_eq!(
        with(&|suite| {
            suite.prompts = vec![0];
            suite.generations = vec![0];
        }),
        SuiteError::Nothing
    );
    let context = config.context;
    let test = test(Kind::Generation, context, 1, 1);
    let long = with(&|suite| {
        (suite.prompts, suite.generations, suite.depths) = (vec![0], vec![context], vec![0, 1]);
    });
    assert_eq!(long, SuiteError::TooLong { test, context }, "at a depth of 0 it just fits");
    let absurd = with(&|suite| suite.depths = vec![usize::MAX]).to_string();
    assert!(absurd.contains(&format!("context has {context}")), "{absurd}");
}

#[test]
fn work_is_counted_as_on_paper() {
    let config = GemmaConfig::named("gemma2-2b").unwrap();
    let weights = 5_228_683_776;
    let of = |test: &Test, kv_cache: KvCache| {
        Work::of(test, &config, weights, kv_cache.position_bytes(&config, DType::BF16))
    };
    let bytes = |test: &Test| match of(test, KvCache::Dense) {
        Work::Bytes(bytes) => bytes,
        Work::Flops(flops) => panic!("{flops} flops"),
    };
    // One token after 511: 512 keys and values in each of 26 layers, 4 heads of 256, 2 bytes.
    let position = 26.0 * 2.0 * 4.0 * 256.0 * 2.0;
    near(bytes(&test(Kind::Generation, 1, 511, 1)), weights as f64 + 512.0 * position);
    // Tokens that see 1, 2 and 3 keys see 2 on average.
    near(bytes(&test(Kind::Generation, 3, 0, 1)), weights as f64 + 2.0 * position);
    // Rows share the weights, but not the cache.
    near(bytes(&test(Kind::Generation, 1, 511, 8)), weights as f64 / 8.0 + 512.0 * position);
    // Half of the layers see their window of 4096 only.
    let far = weights as f64 + (4096.0 + 6000.0) / 2.0 * position;
    near(bytes(&test(Kind::Generation, 1, 5999, 1)), far);

    // In 8 bits one byte, and a scale of 4 for each head.
    let Work::Bytes(small) = of(&test(Kind::Generation, 1, 511, 1), KvCache::Int8) else { panic!("flops") };
    near(small, weights as f64 + 512.0 * 26.0 * 2.0 * 4.0 * 260.0);

    let flops = |test: &Test| match of(test, KvCache::Dense) {
        Work::Flops(flops) => flops,
        Work::Bytes(bytes) => panic!("{bytes} bytes"),
    };
    // Queries and their output, keys and values, three of the feed-forward.
    let layer = 2304.0 * (2.0 * 2048.0 + 2.0 * 1024.0 + 3.0 * 9216.0);
    let logits = 256_000.0 * 2304.0;
    let attention = 26.0 * 4.0 * 2048.0;
    near(flops(&test(Kind::Prompt, 1, 0, 4)), 2.0 * (26.0 * layer + logits) + attention);
    let mean_keys = (1.0 + 512.0) / 2.0;
    near(
        flops(&test(Kind::Prompt, 512, 0, 1)),
        2.0 * (26.0 * layer + logits / 512.0) + attention * mean_keys,
    );
}

fn measurement(test: Test, rate: f64, stddev: Option<f64>) -> Measurement {
    let (bytes, flops) = match test.kind {
        Kind::Generation => (Some(5e9), None),
        Kind::Prompt => (None, Some(4e9)),
    };
    Measurement {
        name: test.name(),
        test,
        tokens_per_s: Statistics { mean: rate, stddev },
        bytes_per_token: bytes,
        read_bytes_per_s: bytes.map(|bytes| bytes * rate),
        of_read_bandwidth: None,
        flops_per_token: flops,
        flops_per_s: flops.map(|flops| flops * rate),
        of_matrix_peak: None,
        capacity: 1024,
        kv_cache_bytes: 54_525_952,
        compiling: Compiling { seconds: 1.5, programs: 2, from_cache: 1, from_bundle: 0 },
        peak_memory_bytes: Some(5_500_000_000),
    }
}

fn report(complete: bool) -> Report {
    let compiling = Compiling { seconds: 2.25, programs: 3, from_cache: 1, from_bundle: 0 };
    let peak = |best, mean| Peak { best, mean, repetitions: 10 };
    let mut report = Report {
        setting: Setting {
            model: "models/a|b, \"c\"".to_owned(),
            parameters: 2_614_341_888,
            weight_bytes: 5_228_683_776,
            dtype: "bf16".to_owned(),
            kv_cache: None,
            device: "cpu".to_owned(),
            threads: 2,
            lapidary_version: "0.1.0".to_owned(),
            plugin_version: "0.0.1".to_owned(),
            pjrt_api_version: "0.81".to_owned(),
            build: "release".to_owned(),
            unix_time_s: 1_795_000_000,
        },
        repetitions: Repetitions { timed: 3, warmup: 1 },
        start: Start {
            plugin_s: 0.25,
            load_s: 0.5,
            compiling,
            prompt_tokens: 16,
            prefill_s: 1.0,
            time_to_first_token_s: 4.0,
            prefill_again_s: 0.5,
            least_s: None,
            of_least: None,
        },
        peaks: Some(Peaks { read_bandwidth: peak(20e9, 19.5e9), matrix_peak: peak(2.4e12, 2.1e12) }),
        compiling,
        programs: vec![CompiledProgram {
            name: "decode_b4_t1_c1024_bf16".to_owned(),
            seconds: 1.5,
            from_cache: false,
        }],
        peak_memory_bytes: Some(5_500_000_000),
        complete,
        tests: vec![
            measurement(test(Kind::Prompt, 512, 0, 1), 150.0, Some(1.25)),
            measurement(test(Kind::Generation, 32, 1024, 4), 1.0, None),
        ],
    };
    report.relate();
    report
}

#[test]
fn ratios_are_of_the_best() {
    let tests = report(true).tests;
    assert_eq!((tests[0].of_matrix_peak, tests[0].of_read_bandwidth), (Some(0.25), None));
    assert_eq!((tests[1].of_matrix_peak, tests[1].of_read_bandwidth), (None, Some(0.25)));
}

#[test]
fn a_start_is_set_beside_the_least_it_could_take() {
    let start = report(true).start;
    // The weights at 20 GB/s, and the prompt in memory.
    let least = 5_228_683_776.0 / 20e9 + 0.5;
    near(start.least_s.unwrap(), least);
    near(start.of_least.unwrap(), 4.0 / least);
    let mut unmeasured = report(true);
    unmeasured.start.least_s = None;
    assert!(!unmeasured.markdown().contains("| at least "));
}

#[test]
fn markdown_is_two_tables() {
    let expected = r#"
| test         | batch |      tokens/s | bytes/token |   bytes/s | of read bandwidth |      flop/s | of matrix peak | peak memory |
| ------------ | ----: | ------------: | ----------: | --------: | ----------------: | ----------: | -------------: | ----------: |
| pp512        |     1 | 150.00 ± 1.25 |           - |         - |                 - | 600 Gflop/s |           0.25 |     5.50 GB |
| tg32 @ d1024 |     4 |          1.00 |     5.00 GB | 5.00 GB/s |              0.25 |           - |              - |     5.50 GB |

|                |                                                                               |
| -------------- | ----------------------------------------------------------------------------- |
| model          | models/a\|b, "c": 2614.3 M parameters, 5.23 GB in bf16                        |
| device         | cpu, 2 threads                                                                |
| read bandwidth | 20.0 GB/s at best, 19.5 GB/s on average of 10                                 |
| matrix peak    | 2.40 Tflop/s at best, 2.10 Tflop/s on average of 10                           |
| first token    | 4.00 s: plugin 0.25, loading 0.50, compiling 2.25, a prompt of 16 tokens 1.00 |
| at least       | 0.76 s: weights read once 0.26, the prompt again 0.50; took 5.25 times that   |
| compiling      | 2.25 s, 3 programs, 1 of them from the cache                                  |
| peak memory    | 5.50 GB                                                                       |
| repetitions    | 3, after 1 to warm up                                                         |
| versions       | lapidary 0.1.0 (release); plugin 0.0.1, PJRT API 0.81                         |
"#;
    assert_eq!(format!("\n{}", report(true).markdown()), expected);
}

#[test]
fn an_interrupted_run_says_so() {
    assert!(report(false).markdown().contains("| interrupted "));
    assert!(!report(true).markdown().contains("interrupted"));
    assert_eq!(serde_json::to_value(report(false)).unwrap()["complete"], false);
}

#[test]
fn csv_has_a_line_for_each_test() {
    let csv = report(true).csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 3);
    let names: Vec<&str> = lines[0].split(',').collect();
    // A comma in quotes is no end of a cell; the one in the model's name is the only one.
    let value = |line: &str, name: &str| {
        let line = line.replace("\"models/a|b, \"\"c\"\"\"", "quoted");
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), names.len(), "{line}");
        cells[names.iter().position(|known| *known == name).unwrap_or_else(|| panic!("no {name}"))].to_owned()
    };
    for (name, pp, tg) in [
        ("name", "pp512", "tg32 @ d1024"),
        ("kind", "prompt", "generation"),
        ("batch", "1", "4"),
        ("tokens_per_s_mean", "150.0", "1.0"),
        ("tokens_per_s_stddev", "1.25", ""),
        ("of_read_bandwidth", "", "0.25"),
        ("compiling_from_cache", "1", "1"),
        ("model", "quoted", "quoted"),
        ("repetitions_timed", "3", "3"),
        ("start_compiling_seconds", "2.25", "2.25"),
        ("start_time_to_first_token_s", "4.0", "4.0"),
        ("read_bandwidth_best", "20000000000.0", "20000000000.0"),
        ("unix_time_s", "1795000000", "1795000000"),
    ] {
        assert_eq!((value(lines[1], name).as_str(), value(lines[2], name).as_str()), (pp, tg), "{name}");
    }
}

#[test]
fn json_is_one_object_with_a_list_of_tests() {
    let json: Value = serde_json::to_value(report(true)).unwrap();
    assert_eq!(json["device"], "cpu");
    assert_eq!(json["start"]["compiling"]["programs"], 3);
    assert_eq!(json["programs"][0]["name"], "decode_b4_t1_c1024_bf16");
    assert_eq!(json["peaks"]["matrix_peak"]["best"], 2.4e12);
    assert_eq!(json["tests"][1]["depth"], 1024);
    assert_eq!(json["tests"][1]["tokens_per_s"]["stddev"], Value::Null);
}
