//! The pictures of `docs/performance.md`: what `examples/cost_curves` makes of measurements.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../examples/cost_curves/axis.rs"]
mod axis;
#[path = "../examples/cost_curves/chart.rs"]
mod chart;
#[path = "../examples/cost_curves/figures.rs"]
mod figures;
#[path = "../examples/cost_curves/results.rs"]
mod results;

use std::fs;

use serde_json::{Value, json};

use chart::{Chart, Line};
use results::Results;

/// A generation of 16 tokens that reads 1 GB for each.
fn test(depth: usize, batch: usize, tokens_per_s: f64) -> Value {
    json!({
        "kind": "generation", "tokens": 16, "depth": depth, "batch": batch, "tokens_per_s": { "mean": tokens_per_s },
        "bytes_per_token": 1e9, "kv_cache_bytes": 5e8, "peak_memory_bytes": 4e9,
    })
}

fn job(varied: &str, layers: usize, tests: &[Value]) -> Value {
    let programs = [
        ("sampled_decode_b1_t1_c512_bf16_s1", 1.0),
        ("prefill_b1_t16_c128_bf16", 2.0),
        ("sampled_prefill_b1_t512_c512_bf16", 3.0),
    ];
    let programs: Vec<Value> =
        programs.iter().map(|(name, seconds)| json!({ "name": name, "seconds": seconds })).collect();
    json!({ "varied": varied, "layers": layers, "report": {
        "weight_bytes": 2e9, "peaks": { "read_bandwidth": { "best": 20e9 } }, "programs": programs, "tests": tests,
    } })
}

fn charts(jobs: Value) -> Vec<Chart> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("results.json");
    fs::write(&path, json!({ "config": "gemma2-2b", "jobs": jobs }).to_string()).unwrap();
    figures::all(&Results::read(&path).unwrap())
}

#[test]
fn points_are_what_was_measured() {
    let charts = charts(json!({
        "context-4": job("context", 4, &[test(496, 1, 10.0), test(1008, 1, 8.0)]),
        "batch-4": job("batch", 4, &[test(112, 1, 10.0), test(112, 4, 20.0)]),
        "layers-8": job("layers", 8, &[test(496, 1, 5.0)]),
        "layers-2": job("layers", 2, &[test(496, 1, 20.0)]),
        "buckets-4": job("buckets", 4, &[]),
        "failed": { "varied": "layers", "layers": 26, "report": null },
    }));
    let names: Vec<_> = charts.iter().map(|chart| (chart.name, chart.panels.len())).collect();
    assert_eq!(names, [("decode", 3), ("compile", 2), ("memory", 3)]);

    let points = |chart: usize, panel: usize, line: Line, nth: usize| {
        let series = charts[chart].panels[panel].series.iter().filter(|series| series.line == line);
        series.map(|series| series.points.clone()).nth(nth).unwrap()
    };
    assert_eq!(points(0, 0, Line::Measured, 0), [(512.0, 100.0), (1024.0, 125.0)]);
    assert_eq!(points(0, 0, Line::Bound, 0), [(512.0, 50.0), (1024.0, 50.0)], "1 GB at 20 GB/s");
    assert_eq!(points(0, 1, Line::Measured, 0), [(1.0, 100.0), (4.0, 200.0)], "a step makes a token a row");
    assert_eq!(points(0, 1, Line::Bound, 0), [(1.0, 50.0), (4.0, 200.0)]);
    assert_eq!(
        points(0, 2, Line::Measured, 0),
        [(2.0, 50.0), (8.0, 200.0)],
        "one line of all jobs, in order"
    );
    assert_eq!(points(1, 0, Line::Measured, 0), [(2.0, 1.0), (8.0, 1.0)]);
    assert_eq!(points(1, 0, Line::Measured, 1), [(2.0, 2.5), (8.0, 2.5)], "the mean of two prefills");
    assert_eq!(points(1, 1, Line::Measured, 0), [(16.0, 2.0), (512.0, 3.0)]);
    assert_eq!(points(2, 0, Line::Measured, 0), [(512.0, 4.0), (1024.0, 4.0)]);
    assert_eq!(points(2, 0, Line::Bound, 0), [(512.0, 2.5), (1024.0, 2.5)]);

    for chart in &charts {
        let svg = chart.svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
        let lines: usize = chart.panels.iter().map(|panel| panel.series.len()).sum();
        assert_eq!(svg.matches("<polyline").count(), lines);
    }
    let table = charts[0].markdown();
    assert!(table.contains("| measured, 4 layers | 100 | 125 |"), "{table}");
}

#[test]
fn what_was_not_measured_is_not_drawn() {
    assert!(charts(json!({})).is_empty());
    let only = charts(json!({ "context-4": job("context", 4, &[test(496, 1, 10.0)]) }));
    assert_eq!(only.iter().map(|chart| chart.panels.len()).collect::<Vec<_>>(), [1, 1]);
    assert!(!only[0].svg().contains("NaN"), "one value alone has an axis, too");
}
