//! Every program of a model, batch by batch: a table without bars.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::measure::{arguments, compile};

const MODELS: [&str; 5] = ["gemma2-9b", "gemma2-2b", "gemma2-27b", "gemma-2b", "gemma-7b"];
const BATCHES: [usize; 3] = [1, 8, 32];
const CONTEXT: usize = 4096;
/// Where many tokens are read at a time.
const TOKENS: &str = "512";
/// What `--phase` takes. `generate` are the two that choose tokens themselves.
const PHASES: [&str; 4] = ["decode", "prefill", "generate", "score"];

const HEADER: &str = "\
| model, sequences | program | weights + KV, GiB | temporaries | memory | HBM traffic | flops | step, ms | compiler: processor, memory |
|---|---|---|---|---|---|---|---|---|
";

/// Compiles what `record`, a file of one object a line, does not have yet, of the bundles whose names have `only` in
/// them, and adds it. Returns the table of all that it then has.
///
/// # Errors
/// If the command cannot be run, or a file cannot be read or written.
pub fn run(target: &str, only: Option<&str>, directory: &Path, record: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", record.display());
    let mut lines = if record.exists() { read(record)? } else { Vec::new() };
    let mut file = OpenOptions::new().create(true).append(true).open(record).map_err(failed)?;
    for (model, batch, phase) in cases() {
        let name = format!("{model}-{}-{phase}-{batch}", target.replace(':', "-"));
        let same = |line: &Value| line["bundle"] == name.as_str();
        if only.is_some_and(|only| !name.contains(only)) || lines.iter().any(same) {
            continue;
        }
        eprintln!("{name}");
        let programs = ["--phase", phase, "--tokens", TOKENS].map(str::to_owned);
        let bundle = directory.join(&name);
        let outcome = compile(&arguments(model, target, batch, CONTEXT), &programs, &bundle)?;
        let known =
            json!({ "bundle": name, "target": target, "model": model, "batch": batch, "phase": phase });
        let found: Vec<Value> = match outcome {
            Ok(programs) => programs.iter().map(|program| json!({ "compiled": program })).collect(),
            Err(error) => vec![json!({ "refused": error })],
        };
        for mut line in found {
            if let (Some(line), Some(known)) = (line.as_object_mut(), known.as_object()) {
                line.extend(known.clone());
            }
            writeln!(file, "{line}").map_err(failed)?;
            lines.push(line);
        }
    }
    Ok(markdown(lines.iter().filter(|line| line["target"] == target)))
}

fn cases() -> impl Iterator<Item = (&'static str, usize, &'static str)> {
    let sizes = MODELS.into_iter().flat_map(|model| BATCHES.map(|batch| (model, batch)));
    sizes.flat_map(|(model, batch)| PHASES.map(|phase| (model, batch, phase)))
}

fn read(record: &Path) -> Result<Vec<Value>, String> {
    let file = File::open(record).map_err(|error| format!("{}: {error}", record.display()))?;
    let lines = BufReader::new(file).lines();
    lines
        .map(|line| {
            let line = line.map_err(|error| error.to_string())?;
            serde_json::from_str(&line).map_err(|error| format!("{}: {error}", record.display()))
        })
        .collect()
}

/// The programs of one target, in the order in which they would be compiled.
fn markdown<'a>(lines: impl Iterator<Item = &'a Value>) -> String {
    let place = |line: &Value| {
        cases().position(|(model, batch, phase)| {
            line["model"] == model && line["batch"] == batch && line["phase"] == phase
        })
    };
    let mut lines: Vec<&Value> = lines.collect();
    lines.sort_by_key(|line| place(line));
    let mut text = HEADER.to_string();
    let mut before = String::new();
    for line in lines {
        let sizes = format!("{}, {}", line["model"].as_str().unwrap_or("?"), line["batch"]);
        let named = if sizes == before { "" } else { sizes.as_str() };
        // Writing to a string cannot fail.
        let _ = match line["refused"].as_str() {
            Some(error) => {
                let phase = line["phase"].as_str().unwrap_or("?");
                writeln!(text, "| {named} | {phase} | {} | | | | | | |", reason(error))
            }
            None => writeln!(text, "| {named} | {} |", cells(&line["compiled"])),
        };
        before = sizes;
    }
    text
}

/// Why a program does not compile: the memory that it lacks, or else all that the command says.
fn reason(error: &str) -> &str {
    let lacks = error.find("it needs").and_then(|at| error.get(at..)?.split(';').next());
    lacks.unwrap_or(error)
}

fn cells(program: &Value) -> String {
    let bytes = |field: &str| program[field].as_f64().unwrap_or(f64::NAN);
    let gib = |bytes: f64| bytes / f64::from(1 << 30);
    let temporaries = match bytes("temporaries_bytes") {
        fewest if fewest < f64::from(1 << 20) => format!("{:.0} KiB", fewest / f64::from(1 << 10)),
        few if few < f64::from(1 << 30) => format!("{:.0} MiB", few / f64::from(1 << 20)),
        many => format!("{:.2} GiB", gib(many)),
    };
    let phase = program["program"].as_str().and_then(|name| name.split("_b").next()).unwrap_or("?");
    let phase = phase.split_once('_').map_or(phase, |(_, phase)| phase).replace('_', " ");
    [
        phase,
        format!("{:.2} + {:.2}", gib(bytes("weights_bytes")), gib(bytes("kv_cache_bytes"))),
        temporaries,
        format!("{:.3}", bytes("memory_ratio")),
        format!("{:.3}", bytes("traffic_ratio")),
        format!("{:.3}", bytes("flops_ratio")),
        format!("{:.1}", bytes("estimate_s") * 1e3),
        format!("{:.0} s, {:.2} GiB", bytes("command_cpu_s"), gib(bytes("compile_bytes"))),
    ]
    .join(" | ")
}
