//! Compiling one program, and reading what became of it.

use std::path::Path;
use std::process::Command;

use serde::Serialize;
use serde_json::Value;

use crate::cases::{Bars, Case, Phase};

/// A program and what became of it.
#[derive(Serialize)]
pub struct Measured {
    pub model: &'static str,
    pub target: &'static str,
    pub mesh: &'static str,
    pub phase: &'static str,
    pub batch: usize,
    pub context: usize,
    #[serde(flatten)]
    pub result: Outcome,
    #[serde(skip)]
    bars: Bars,
    #[serde(skip)]
    name: String,
}

/// How it went.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Outcome {
    Compiled(Box<Compiled>),
    /// In the command's own words.
    Refused {
        error: String,
    },
}

/// Bytes, operations and the estimate are those of one device.
#[derive(Serialize)]
pub struct Compiled {
    pub plugin: String,
    pub weights_bytes: u64,
    pub kv_cache_bytes: u64,
    pub kv_cache_saved_bytes: u64,
    pub total_bytes: u64,
    pub memory_ratio: f64,
    pub hbm_bytes: u64,
    pub traffic_ratio: f64,
    pub matrix_flops: u64,
    pub flops_ratio: f64,
    pub all_reduces: u64,
    pub other_collectives: u64,
    pub estimate_s: f64,
    /// The compiler alone, the least of all rounds.
    pub compile_s: f64,
    /// The most memory of the compiler's process, the least of all rounds.
    pub compile_bytes: u64,
    /// Processor time of the whole command: building, lowering, compiling, writing; the least of all rounds. It is
    /// what can be compared where other programs run at the same time.
    pub command_cpu_s: f64,
    /// What the command took over what it took for the first program of the group.
    pub over_first: Option<OverFirst>,
    /// What fits beside the weights by the plan: the most sequences of this context, and the longest context of this
    /// many sequences.
    pub limits: Option<[u64; 2]>,
}

/// What a command took over what another took.
#[derive(Clone, Copy, Serialize)]
pub struct OverFirst {
    pub compile_s: f64,
    pub compile_bytes: f64,
    pub command_cpu_s: f64,
}

/// Compiles a program into `bundle` and reads the reports on it.
///
/// # Errors
/// If the command cannot be run, or says what it never should.
pub fn measure(case: &Case, bundle: &Path) -> Result<Measured, String> {
    let Case { model, target, mesh, phase, batch, context, bars } = *case;
    let phase_name = if phase == Phase::Decode { "decode" } else { "prefill" };
    let (batch_text, context_text) = (batch.to_string(), context.to_string());
    let mut sizes = vec!["--model", model, "--target", target, "--batch", &batch_text];
    sizes.extend(["--context", context_text.as_str()]);
    if !mesh.is_empty() {
        sizes.extend(["--mesh", mesh]);
    }
    let bundle_text = bundle.display().to_string();
    let mut compile = vec!["compile", "--json", "--force", "--out", &bundle_text, "--phase", phase_name];
    compile.extend(&sizes);
    if phase == Phase::Prefill {
        compile.extend(["--tokens", &context_text]);
    }
    let before = children_cpu_s();
    let result = match lapidary(&compile)? {
        Err(error) => Outcome::Refused { error },
        Ok(_) => {
            let command_cpu_s = children_cpu_s() - before;
            let manifest = std::fs::read(bundle.join("manifest.json")).map_err(|error| error.to_string())?;
            let manifest: Value = serde_json::from_slice(&manifest).map_err(|error| error.to_string())?;
            let report = lapidary(&["inspect", "--json", "--top", "0", &bundle_text])??;
            let plan = lapidary(&[&["plan", "--json"], sizes.as_slice()].concat())??;
            let compiled = Compiled::read(&manifest, &report["programs"][0], &plan["limits"], command_cpu_s);
            Outcome::Compiled(Box::new(compiled))
        }
    };
    Ok(Measured { model, target, mesh, phase: phase_name, batch, context, result, bars, name: case.name() })
}

/// What the command prints as JSON, or its error. A plan that does not fit exits with 1 and prints all the same.
fn lapidary(arguments: &[&str]) -> Result<Result<Value, String>, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_lapidary")).args(arguments).output();
    let output = output.map_err(|error| error.to_string())?;
    match output.status.code() {
        Some(0 | 1) => {
            let value = serde_json::from_slice(&output.stdout);
            Ok(Ok(value.map_err(|error| format!("{arguments:?}: {error}"))?))
        }
        _ => Ok(Err(String::from_utf8_lossy(&output.stderr).trim().to_string())),
    }
}

/// Processor time of all processes that this one has started and waited for, and of theirs, in seconds.
fn children_cpu_s() -> f64 {
    /// Linux counts in hundredths wherever it runs.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the process, in parentheses, may hold anything; cutime and cstime are 14th and 15th behind it.
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = behind_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

impl Compiled {
    fn read(manifest: &Value, report: &Value, limits: &Value, command_cpu_s: f64) -> Self {
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let ratio = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let memory = &report["memory"];
        let [weights_bytes, kv_cache_bytes, total_bytes] =
            ["weights_bytes", "kv_cache_bytes", "total_bytes"].map(|field| number(&memory[field]));
        let collectives = report["collectives"].as_array().map(Vec::as_slice).unwrap_or_default();
        let count = |wanted: bool| {
            let counted = collectives.iter().filter(|each| (each["kind"] == "all-reduce") == wanted);
            counted.map(|each| number(&each["count"])).sum()
        };
        let compile = &manifest["programs"][0]["compile"];
        let plugin = &manifest["plugin"];
        Self {
            plugin: [&plugin["kind"], &plugin["version"]].map(|text| text.as_str().unwrap_or("?")).join(" "),
            weights_bytes,
            kv_cache_bytes,
            kv_cache_saved_bytes: number(&memory["kv_cache_saved_bytes"]),
            total_bytes,
            memory_ratio: total_bytes as f64 / (weights_bytes + kv_cache_bytes) as f64,
            hbm_bytes: number(&report["traffic"]["bytes"]),
            traffic_ratio: ratio(&report["traffic"]["ratio"]),
            matrix_flops: number(&report["flops"]["matrix"]),
            flops_ratio: ratio(&report["flops"]["ratio"]),
            all_reduces: count(true),
            other_collectives: count(false),
            estimate_s: ratio(&report["estimate"]["seconds"]),
            compile_s: ratio(&compile["seconds"]),
            compile_bytes: number(&compile["peak_process_bytes"]),
            command_cpu_s,
            over_first: None,
            limits: limits["batch"].as_u64().zip(limits["context"].as_u64()).map(|(b, c)| [b, c]),
        }
    }
}

impl Measured {
    /// Takes another round's times and memory where they are less.
    pub fn take_better(&mut self, other: Self) {
        if let (Outcome::Compiled(best), Outcome::Compiled(other)) = (&mut self.result, other.result) {
            best.compile_s = best.compile_s.min(other.compile_s);
            best.compile_bytes = best.compile_bytes.min(other.compile_bytes);
            best.command_cpu_s = best.command_cpu_s.min(other.command_cpu_s);
        }
    }

    /// Sets what the compiler took over what it took for `first`.
    pub fn compare_with(&mut self, first: &Self) {
        if let (Outcome::Compiled(this), Outcome::Compiled(first)) = (&mut self.result, &first.result) {
            this.over_first = Some(OverFirst {
                compile_s: this.compile_s / first.compile_s,
                compile_bytes: this.compile_bytes as f64 / first.compile_bytes as f64,
                command_cpu_s: this.command_cpu_s / first.command_cpu_s,
            });
        }
    }

    /// The bars that it misses, each in a sentence.
    pub fn missed(&self) -> Vec<String> {
        let Self { name, bars, .. } = self;
        let compiled = match &self.result {
            Outcome::Compiled(compiled) => compiled,
            Outcome::Refused { error } => return vec![format!("{name}: {error}")],
        };
        let over = compiled.over_first;
        let ratios = [
            ("HBM traffic over ideal", bars.traffic, Some(compiled.traffic_ratio)),
            ("memory over weights and KV cache", bars.memory, Some(compiled.memory_ratio)),
            ("flops over ideal", bars.flops, Some(compiled.flops_ratio)),
            ("processor time over the first", bars.compiler, over.map(|over| over.command_cpu_s)),
            ("compiler's memory over the first", bars.compiler, over.map(|over| over.compile_bytes)),
        ];
        let ratios = ratios.into_iter().filter_map(|(what, bar, found)| Some((what, bar?, found?)));
        let mut missed: Vec<String> = ratios
            .filter(|(_, bar, found)| found.is_nan() || found > bar)
            .map(|(what, bar, found)| format!("{name}: {what} is {found:.3}, not {bar} at most"))
            .collect();
        let (all_reduces, others) = (compiled.all_reduces, compiled.other_collectives);
        if let Some(bar) = bars.all_reduces.filter(|&bar| (bar, 0) != (all_reduces, others)) {
            missed.push(format!("{name}: {all_reduces} all-reduces and {others} others, not {bar} and none"));
        }
        missed
    }
}
