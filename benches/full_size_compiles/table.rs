//! What was measured, as a table.

use std::fmt::Write;

use crate::measure::{Compiled, Measured, Outcome};

const HEADER: &str = "\
| program | target, mesh | weights + KV, GiB | memory | HBM traffic | matrix flops | collectives | step, ms (estimate) | compile: processor, memory | over the first |
|---|---|---|---|---|---|---|---|---|---|
";

/// Ratios to the ideal, and what compiling took.
pub fn markdown(measured: &[Measured]) -> String {
    let mut text = HEADER.to_string();
    for Measured { model, target, mesh, phase, batch, context, result, .. } in measured {
        let mesh = if mesh.is_empty() { String::new() } else { format!(", {mesh}") };
        // Writing to a string cannot fail.
        let _ = write!(text, "| {model} {phase} {batch} x {context} | {target}{mesh} | ");
        let _ = match result {
            Outcome::Compiled(compiled) => writeln!(text, "{} |", cells(compiled)),
            Outcome::Refused { error } => {
                writeln!(text, "{} | | | | | | | |", error.lines().next().unwrap_or_default())
            }
        };
    }
    text
}

fn cells(compiled: &Compiled) -> String {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let collectives = match (compiled.all_reduces, compiled.other_collectives) {
        (all_reduces, 0) => all_reduces.to_string(),
        (all_reduces, others) => format!("{all_reduces} + {others} others"),
    };
    let over = compiled.over_first;
    let over = over.map(|over| format!("{:.2} x, {:.2} x", over.command_cpu_s, over.compile_bytes));
    [
        format!("{:.2} + {:.2}", gib(compiled.weights_bytes), gib(compiled.kv_cache_bytes)),
        format!("{:.3}", compiled.memory_ratio),
        format!("{:.3}", compiled.traffic_ratio),
        format!("{:.3}", compiled.flops_ratio),
        collectives,
        format!("{:.2}", compiled.estimate_s * 1e3),
        format!("{:.0} s, {:.2} GiB", compiled.command_cpu_s, gib(compiled.compile_bytes)),
        over.unwrap_or_default(),
    ]
    .join(" | ")
}
