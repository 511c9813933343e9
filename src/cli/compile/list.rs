//! Saying what is in a bundle.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use indicatif::BinaryBytes;
use lapidary::bundle::{self, BundleManifest, EXECUTABLE_FILE, ProgramManifest};
use serde_json::{Value, json};

use crate::cli::output;
use crate::cli::table::Table;

/// Lists the programs of a bundle.
///
/// # Errors
/// If it cannot be read.
pub fn run(directory: &Path, json: bool) -> Result<ExitCode> {
    print(directory, &bundle::open(directory)?, json)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what is in a bundle.
///
/// # Errors
/// If standard output is closed.
pub fn print(directory: &Path, bundle: &BundleManifest, json: bool) -> Result<()> {
    let target = bundle.target.spec.as_deref().unwrap_or(&bundle.target.table);
    let plugin = &bundle.plugin;
    if json {
        return output::json(&json!({
            "path": directory.display().to_string(),
            "model": bundle.model.name,
            "dtype": bundle.dtype,
            "target": target,
            "devices": bundle.devices,
            "mesh": bundle.mesh,
            "plugin": {"kind": plugin.kind, "version": plugin.version, "sha256": plugin.sha256},
            "programs": bundle.programs.iter().map(program_json).collect::<Vec<_>>(),
        }));
    }
    let version = plugin.version.as_deref().unwrap_or("of unknown version");
    let devices = match bundle.mesh.as_slice() {
        [] => String::new(),
        axes => {
            let axes: Vec<String> = axes.iter().map(|axis| format!("{}={}", axis.name, axis.size)).collect();
            format!(", mesh {}", axes.join(","))
        }
    };
    let (model, dtype, kind) = (&bundle.model.name, &bundle.dtype, &plugin.kind);
    output::line(format_args!("{model} {dtype} for {target}{devices}; {kind} plugin {version}\n"))?;
    let mut table = Table::new(&[
        "phase",
        "batch",
        "tokens",
        "context",
        "executable",
        "arguments",
        "temporary",
        "peak",
        "compile",
        "compiler's peak",
    ]);
    for program in &bundle.programs {
        table.row(row(program));
    }
    Ok(output::text(&table.to_string())?)
}

fn row(program: &ProgramManifest) -> Vec<String> {
    let unknown = || "?".to_string();
    let memory = |of: fn(&bundle::MemoryManifest) -> i64| {
        program.memory.as_ref().and_then(|memory| u64::try_from(of(memory)).ok()).map_or_else(unknown, bytes)
    };
    vec![
        program.phase.clone(),
        program.batch.to_string(),
        program.tokens.to_string(),
        program.context.to_string(),
        program.file(EXECUTABLE_FILE).map_or_else(unknown, |file| bytes(file.bytes)),
        memory(|memory| memory.argument_bytes),
        memory(|memory| memory.temp_bytes),
        // 0 is what a plugin says that does not know.
        match memory(|memory| memory.peak_bytes) {
            none if none == bytes(0) => unknown(),
            peak => peak,
        },
        format!("{:.1} s", program.compile.seconds),
        program.compile.peak_process_bytes.map_or_else(unknown, bytes),
    ]
}

fn bytes(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

fn program_json(program: &ProgramManifest) -> Value {
    json!({
        "name": program.name,
        "phase": program.phase,
        "batch": program.batch,
        "tokens": program.tokens,
        "context": program.context,
        "files": program.files,
        "compile": program.compile,
        "memory": program.memory,
        "cost": program.cost,
    })
}
