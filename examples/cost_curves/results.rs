//! Reading the measurements: reports of `lapidary bench --output json`, by job.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// What `benches/curves/run.py` wrote.
#[derive(Deserialize, Debug)]
pub struct Results {
    /// The model's shape.
    pub config: String,
    /// Runs of `lapidary bench`, by name; those that failed have no report.
    pub jobs: BTreeMap<String, Job>,
}

/// A run of `lapidary bench`.
#[derive(Deserialize, Debug)]
pub struct Job {
    /// What was varied: `layers`, `context`, `batch` or `buckets`.
    pub varied: String,
    /// Layers of the model.
    pub layers: usize,
    /// What it said, if it did not fail.
    pub report: Option<Report>,
}

/// The parts of a report that are drawn.
#[derive(Deserialize, Debug)]
pub struct Report {
    /// Bytes of weights.
    pub weight_bytes: f64,
    /// What the device can do.
    pub peaks: Peaks,
    /// Programs and how long they took to compile.
    pub programs: Vec<Program>,
    /// What was measured.
    pub tests: Vec<Test>,
}

/// Limits of a device.
#[derive(Deserialize, Debug)]
pub struct Peaks {
    /// Bytes a second.
    pub read_bandwidth: Peak,
}

/// A limit.
#[derive(Deserialize, Debug)]
pub struct Peak {
    /// The most that was reached.
    pub best: f64,
}

/// A compiled program.
#[derive(Deserialize, Debug)]
pub struct Program {
    /// Its identifier, such as `sampled_prefill_b1_t512_c512_bf16`.
    pub name: String,
    /// Seconds that it took to compile.
    pub seconds: f64,
}

/// A test.
#[derive(Deserialize, Debug)]
pub struct Test {
    /// `generation` or `prompt`.
    pub kind: String,
    /// Tokens that each row makes or reads.
    pub tokens: f64,
    /// Tokens in the cache before that.
    pub depth: f64,
    /// Rows.
    pub batch: f64,
    /// Tokens of all rows a second.
    pub tokens_per_s: Mean,
    /// Least bytes to read for a token.
    pub bytes_per_token: Option<f64>,
    /// Bytes of the KV cache.
    pub kv_cache_bytes: f64,
    /// The most memory that was resident.
    pub peak_memory_bytes: Option<f64>,
}

/// Repeated measurements.
#[derive(Deserialize, Debug)]
pub struct Mean {
    /// Their mean.
    pub mean: f64,
}

impl Results {
    /// Reads a file of results.
    ///
    /// # Errors
    /// If it cannot be read, or is not of this form.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is not what benches/curves/run.py writes", path.display()))
    }

    /// The reports of the jobs that varied `what`, by their layers.
    pub fn reports(&self, what: &str) -> Vec<(usize, &Report)> {
        let jobs = self.jobs.values().filter(|job| job.varied == what);
        let mut reports: Vec<_> = jobs.filter_map(|job| Some((job.layers, job.report.as_ref()?))).collect();
        reports.sort_by_key(|(layers, _)| *layers);
        reports
    }
}

impl Report {
    /// The tests of one kind that have all their figures.
    pub fn generations(&self) -> impl Iterator<Item = &Test> {
        self.tests.iter().filter(|test| test.kind == "generation")
    }
}

impl Test {
    /// Milliseconds of a step, in which each row gets a token.
    pub fn step_ms(&self) -> f64 {
        1e3 * self.batch / self.tokens_per_s.mean
    }

    /// Milliseconds that reading what a step has to read takes at `bandwidth` bytes a second.
    pub fn least_ms(&self, bandwidth: f64) -> Option<f64> {
        Some(1e3 * self.bytes_per_token? * self.batch / bandwidth)
    }

    /// Positions of each row in the end.
    pub fn context(&self) -> f64 {
        self.depth + self.tokens
    }
}

impl Program {
    /// Tokens that each row takes in a step, if the program is of `phase`, with or without a sampler at its end.
    pub fn tokens(&self, phase: &str) -> Option<f64> {
        let mut parts = self.name.strip_prefix("sampled_").unwrap_or(&self.name).split('_');
        if parts.next() != Some(phase) {
            return None;
        }
        parts.find_map(|part| part.strip_prefix('t')?.parse().ok())
    }
}
