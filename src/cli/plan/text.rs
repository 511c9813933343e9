//! A plan for people.

use std::fmt::Write;

use indicatif::BinaryBytes;
use lapidary::inspect::{Figure, Quantity, Unit, format};
use lapidary::plan::{Plan, Roofline, Suggestion};
use lapidary::target::TargetSpec;

use super::Report;
use super::compiled::{Compiled, CompiledPhase};
use crate::cli::table::Table;

/// The whole report, the verdict first.
pub fn report(report: &Report, target: &TargetSpec) -> String {
    let sections = [
        format!("{}\n", verdict(report)),
        setting(report, target),
        memory(&report.plan),
        limits(report),
        phases(&report.plan),
        report.compiled.as_ref().map(compiled).unwrap_or_default(),
        suggestions(&report.plan.suggestions),
        report.sharding.as_ref().map(ToString::to_string).unwrap_or_default(),
    ];
    let told: Vec<String> = sections.into_iter().filter(|section| !section.is_empty()).collect();
    told.join("\n")
}

fn verdict(Report { model, target, plan, .. }: &Report) -> String {
    let total = bytes(plan.memory.total_bytes);
    let Some(available) = plan.memory.available_bytes else {
        return format!("{model} takes {total} a device; how much {target} has depends on the machine.");
    };
    let difference = bytes(plan.memory.total_bytes.abs_diff(available));
    let available = bytes(available);
    match plan.fits {
        Some(false) => {
            format!(
                "{model} does not fit: {total} a device, {difference} more than the {available} there are."
            )
        }
        Some(true) | None => {
            format!("{model} fits: {total} of the {available} of each device; {difference} are free.")
        }
    }
}

fn setting(report: &Report, target: &TargetSpec) -> String {
    let size = match target {
        TargetSpec::Cpu => String::new(),
        TargetSpec::Tpu(slice) => {
            format!(" ({}, {})", count(slice.num_chips(), "chip"), count(slice.num_hosts(), "host"))
        }
        TargetSpec::Cuda { gpu, .. } => format!(" (NVIDIA {})", gpu.title),
    };
    let mesh = match report.plan.devices {
        1 => "one device".to_string(),
        devices => {
            let chosen = if report.plan.mesh_chosen { ", chosen as the fastest that fits" } else { "" };
            format!("{} ({devices} devices){chosen}", report.plan.mesh)
        }
    };
    let Report { target, dtype, weights, kv_cache, batch, context, .. } = report;
    let sequences = count(*batch, "sequence");
    let weights = weights.as_ref().map(|weights| format!("  weights {weights}\n")).unwrap_or_default();
    let cache = kv_cache.as_ref().map(|form| format!(", KV cache in {form}")).unwrap_or_default();
    format!(
        "  target  {target}{size}\n  mesh    {mesh}\n  sizes   {sequences} of {context} positions, {dtype}{cache}\n\
         {weights}"
    )
}

fn memory(plan: &Plan) -> String {
    let memory = &plan.memory;
    let saved = match memory.kv_cache_saved_bytes {
        0 => String::new(),
        saved => {
            let whole = memory.kv_cache_bytes.saturating_add(saved);
            format!("  of {} if local layers held more than their windows", bytes(whole))
        }
    };
    let mut text = "Memory of each device\n".to_string();
    line(&mut text, "weights", memory.weights_bytes, "");
    line(&mut text, "KV cache", memory.kv_cache_bytes, &saved);
    line(&mut text, "activations", memory.activations_bytes, "  (estimate)");
    line(&mut text, "total", memory.total_bytes, "");
    text
}

fn line(text: &mut String, what: &str, amount: u64, remark: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {what:12} {:>10}{remark}", bytes(amount));
}

fn limits(report: &Report) -> String {
    let Some(limits) = report.plan.limits else { return String::new() };
    let context = match limits.context {
        0 => "none: not even one position fits".to_string(),
        context if context == limits.model_context => format!("{context} positions, the model's own"),
        context => format!("{context} positions"),
    };
    let batch = match limits.batch {
        0 => "none: not even one sequence fits".to_string(),
        batch => count(batch, "sequence"),
    };
    format!(
        "What fits on this mesh at most\n  {batch_label:26}{batch}\n  {context_label:26}{context}\n",
        batch_label = format!("with {} positions", report.context),
        context_label = format!("with {}", count(report.batch, "sequence")),
    )
}

fn phases(plan: &Plan) -> String {
    let mut table =
        Table::new(&["At best", "size", "compute", "memory", "interconnect", "step", "tokens/s", "bound"]);
    let mut known = false;
    for phase in &plan.phases {
        let Some(Roofline { compute_s, memory_s, interconnect_s, step_s, tokens_per_s, bound }) =
            phase.roofline
        else {
            continue;
        };
        known = true;
        table.row(vec![
            format!("  {}", phase.phase),
            format!("{} x {}", phase.batch, phase.tokens),
            seconds(compute_s),
            seconds(memory_s),
            seconds(interconnect_s),
            seconds(step_s),
            format!("{tokens_per_s:.0}"),
            bound.name().to_string(),
        ]);
    }
    if known { table.to_string() } else { String::new() }
}

fn compiled(compiled: &Compiled) -> String {
    let version = compiled.version.as_deref().unwrap_or("of unknown version");
    let mut text = format!("Compiled, by the {} plugin {version}\n", compiled.plugin);
    let mut beyond = Vec::new();
    let mut table = Table::new(&["", "", "planned", "compiled", "ratio", "tolerance"]);
    for program in &compiled.programs {
        match program {
            CompiledPhase::OutOfMemory { message, .. } => text.push_str(&format!("  {message}\n")),
            CompiledPhase::Compiled { program, compile_s, compile_peak_bytes } => {
                let memory = compile_peak_bytes.map(|peak| format!(" and {}", bytes(peak)));
                let memory = memory.unwrap_or_default();
                text.push_str(&format!("  {} in {}{memory}\n", program.phase, seconds(*compile_s)));
                for figure in &program.figures {
                    table.row(figure_row(program.phase, figure));
                    if !figure.holds {
                        beyond.push(format!("the {} of {}", figure.quantity.name(), program.phase));
                    }
                }
            }
        }
    }
    if compiled.programs.iter().any(|program| matches!(program, CompiledPhase::Compiled { .. })) {
        text.push_str(&table.to_string());
    }
    match beyond.as_slice() {
        [] => {}
        beyond => text.push_str(&format!("  Beyond tolerance: {}.\n", beyond.join(", "))),
    }
    text
}

fn figure_row(phase: &str, figure: &Figure) -> Vec<String> {
    let show = |value: f64| match figure.quantity.unit() {
        Unit::Bytes => bytes(value as u64),
        Unit::Flops => format::flops(value as u64),
        Unit::Seconds => seconds(value),
    };
    let name = match figure.quantity {
        // A bound beside an estimate: neither was measured.
        Quantity::StepTime => "step time (bound, estimate)",
        other => other.name(),
    };
    vec![
        format!("  {phase}"),
        name.to_string(),
        show(figure.planned),
        show(figure.compiled),
        format::ratio(Some(figure.ratio)),
        format!("{:.0}%{}", figure.tolerance * 100.0, if figure.holds { "" } else { "  beyond" }),
    ]
}

fn suggestions(suggestions: &[Suggestion]) -> String {
    if suggestions.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["It fits", "", "", ""]);
    for Suggestion { target, mesh, total_bytes, decode_step_s } in suggestions {
        let mesh = match mesh.num_devices() {
            1 => String::new(),
            _ => format!("--mesh {mesh}"),
        };
        table.row(vec![
            format!("  --target {target}"),
            mesh,
            format!("{} a device", bytes(*total_bytes)),
            format!("decode step {} at best", seconds(*decode_step_s)),
        ]);
    }
    table.to_string()
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn bytes(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

fn seconds(seconds: f64) -> String {
    match seconds {
        0.0 => "-".to_string(),
        _ if seconds >= 1.0 => format!("{seconds:.2} s"),
        _ if seconds >= 1e-3 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{:.1} us", seconds * 1e6),
    }
}
