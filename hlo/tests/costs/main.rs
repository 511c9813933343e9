//! What programs cost: small ones with known answers for every rule, and two that the TPU compiler made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attribution;
mod collectives;
mod damaged;
mod flops;
mod fusions;
mod goldens;
mod loops;
mod memory;
mod traffic;

use lapidary_hlo::{InstructionCost, MeshShape, Module, Report, ReportOptions};

/// The report of a module in text whose entry computation has this body, after other computations.
fn report_with(others: &str, body: &str, options: &ReportOptions) -> Report {
    let text = format!("HloModule test, is_scheduled=true\n{others}\nENTRY main {{\n{body}\n}}\n");
    Report::of(&Module::from_text(&text).unwrap(), options)
}

fn report(others: &str, body: &str) -> Report {
    report_with(others, body, &ReportOptions::default())
}

/// Bytes that a module reads and writes.
fn moved(others: &str, body: &str) -> (u64, u64) {
    let report = report(others, body);
    (report.traffic.read, report.traffic.written)
}

fn mesh(axes: &[(&str, u64)]) -> ReportOptions {
    ReportOptions { mesh: Some(MeshShape::new(axes.iter().copied())), ..ReportOptions::default() }
}

fn instruction<'r>(report: &'r Report, name: &str) -> &'r InstructionCost {
    report.instructions.iter().find(|cost| cost.name == name).unwrap_or_else(|| panic!("no {name}"))
}
