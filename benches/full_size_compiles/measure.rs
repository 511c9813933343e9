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
    pub program: String,
    pub plugin: String,
    pub weights_bytes: u64,
    pub kv_cache_bytes: u64,
    pub kv_cache_saved_bytes: u64,
    pub temporaries_bytes: u64,
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
    /// Processor time of the whole command: building, lowering, compiling, writing, of all programs of the bundle; the
    /// least of all rounds. It is what can be compared where other programs run at the same time.
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
    let mut sizes = arguments(model, target, batch, context);
    if !mesh.is_empty() {
        sizes.extend(["--mesh", mesh].map(str::to_owned));
    }
    let mut programs = vec!["--phase".to_owned(), phase_name.to_owned()];
    if phase == Phase::Prefill {
        programs.extend(["--tokens".to_owned(), context.to_string()]);
    }
    let result = match compile(&sizes, &programs, bundle)? {
        Err(error) => Outcome::Refused { error },
        Ok(compiled) => {
            let plan = lapidary(&[&["plan".to_owned(), "--json".to_owned()], sizes.as_slice()].concat())??;
            let first = compiled.into_iter().next().ok_or("a bundle without programs")?;
            let limits = plan["limits"]["batch"].as_u64().zip(plan["limits"]["context"].as_u64());
            Outcome::Compiled(Box::new(Compiled { limits: limits.map(|(b, c)| [b, c]), ..first }))
        }
    };
    Ok(Measured { model, target, mesh, phase: phase_name, batch, context, result, bars, name: case.name() })
}

/// The arguments that say which model, target and sizes.
pub fn arguments(model: &str, target: &str, batch: usize, context: usize) -> Vec<String> {
    let (batch, context) = (batch.to_string(), context.to_string());
    ["--model", model, "--target", target, "--batch", &batch, "--context", &context].map(str::to_owned).into()
}

/// Compiles programs into `bundle` and reads the report on each; or the command's own error.
///
/// # Errors
/// If the command cannot be run, or says what it never should.
pub fn compile(
    sizes: &[String],
    programs: &[String],
    bundle: &Path,
) -> Result<Result<Vec<Compiled>, String>, String> {
    let bundle_text = bundle.display().to_string();
    let command = ["compile", "--json", "--force", "--out", &bundle_text].map(str::to_owned);
    let before = children_cpu_s();
    if let Err(error) = lapidary(&[&command, sizes, programs].concat())? {
        return Ok(Err(error));
    }
    let command_cpu_s = children_cpu_s() - before;
    let manifest = std::fs::read(bundle.join("manifest.json")).map_err(|error| error.to_string())?;
    let manifest: Value = serde_json::from_slice(&manifest).map_err(|error| error.to_string())?;
    let report = lapidary(&["inspect", "--json", "--top", "0", &bundle_text].map(str::to_owned))??;
    let reports = report["programs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let read = |(index, report)| Compiled::read(&manifest, index, report, command_cpu_s);
    Ok(Ok(reports.iter().enumerate().map(read).collect()))
}

/// What the command prints as JSON, or its error. A plan that does not fit exits with 1 and prints all the same.
fn lapidary(arguments: &[String]) -> Result<Result<Value, String>, String> {
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
    /// The report on the program number `index` of a bundle.
    fn read(manifest: &Value, index: usize, report: &Value, command_cpu_s: f64) -> Self {
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
        let compile = &manifest["programs"][index]["compile"];
        let plugin = &manifest["plugin"];
        Self {
            program: report["name"].as_str().unwrap_or("?").to_owned(),
            plugin: [&plugin["kind"], &plugin["version"]].map(|text| text.as_str().unwrap_or("?")).join(" "),
            weights_bytes,
            kv_cache_bytes,
            temporaries_bytes: number(&memory["temporaries_bytes"]),
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
            limits: None,
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
