//! Bars: traffic and time by model path, memory by kind.

use super::escape::Escaped;
use super::{legend, section, segment};
use crate::inspect::format::{bytes, excess, seconds};
use crate::inspect::{Inspection, TemporariesSource};

/// What a path must have of the largest to be shown.
const WORTH_SHOWING: f64 = 1e-4;

/// Traffic by model path, each against its ideal.
pub(super) fn traffic(program: &Inspection) -> String {
    let amount = |bytes: u64| bytes as f64;
    let largest = program.by_path.iter().map(|path| path.cost.bytes.max(path.ideal_bytes.unwrap_or(0))).max();
    let largest = amount(largest.unwrap_or(0));
    let mut rows = String::new();
    for path in &program.by_path {
        let moved = amount(path.cost.bytes);
        if moved < largest * WORTH_SHOWING {
            continue;
        }
        // Where there is no ideal, there is nothing to have too much of.
        let ideal = path.ideal_bytes.map_or(moved, |ideal| amount(ideal).min(moved));
        let title =
            format!("{} read, {} written", bytes(path.cost.read_bytes), bytes(path.cost.written_bytes));
        let bar =
            segment("ideal", ideal, largest, &title) + &segment("excess", moved - ideal, largest, &title);
        let difference = match path.ideal_bytes {
            Some(_) => format!("<small>{}</small>", excess(path.cost.bytes, path.ideal_bytes)),
            None => String::new(),
        };
        rows += &row(&path.name, &bar, &format!("{}{difference}", bytes(path.cost.bytes)));
    }
    let key = legend(&[("weights, KV cache and inputs, once", "ideal"), ("beyond that", "excess")]);
    let content = format!("{key}<div class=\"bars\">\n{rows}</div>\n");
    section("HBM traffic by model path", "", &content)
}

/// Estimated time by model path, by what holds it up.
pub(super) fn time(program: &Inspection) -> String {
    let timed: Vec<_> = program.by_path.iter().filter_map(|path| Some((path, path.cost.time?))).collect();
    let longest = timed.iter().map(|(_, time)| time.seconds).fold(0.0, f64::max);
    let mut rows = String::new();
    for (path, time) in timed {
        if time.seconds < longest * WORTH_SHOWING {
            continue;
        }
        let bounds =
            [("memory", time.memory_s), ("compute", time.compute_s), ("interconnect", time.interconnect_s)];
        let bar: String = bounds
            .into_iter()
            .map(|(bound, time)| segment(bound, time, longest, &format!("{bound}: {}", seconds(time))))
            .collect();
        rows += &row(&path.name, &bar, &seconds(time.seconds));
    }
    if rows.is_empty() {
        return section("Time by model path", "Not estimated: the rates of the devices are not known.", "");
    }
    let key =
        legend(&[("bound by memory", "memory"), ("compute", "compute"), ("interconnect", "interconnect")]);
    section("Time by model path (estimate)", "", &format!("{key}<div class=\"bars\">\n{rows}</div>\n"))
}

fn row(name: &str, bar: &str, figure: &str) -> String {
    format!(
        "<div class=\"name\">{}</div><div class=\"bar\">{bar}</div><div class=\"figure\">{figure}</div>\n",
        Escaped(name)
    )
}

/// Memory by kind, and how much of the device that is.
pub(super) fn memory(program: &Inspection) -> String {
    let memory = &program.memory;
    let total = memory.total_bytes as f64;
    let (mut bar, mut kinds) = (String::new(), String::new());
    for (kind, amount) in memory.kinds() {
        let color = if kind == "KV cache" { "kv-cache" } else { kind };
        bar += &segment(color, amount as f64, total, &format!("{kind}: {}", bytes(amount)));
        kinds += &format!(
            "<i style=\"--c:var(--{color})\"></i><span>{kind}</span><span class=\"figure\">{}</span>\n",
            bytes(amount)
        );
    }
    let source = match memory.temporaries_source {
        TemporariesSource::Compiler => "Temporaries as the compiler allocates them.",
        TemporariesSource::Schedule => "Temporaries: as many as the schedule has alive at once at most.",
    };
    let room = match memory.available_bytes {
        Some(available) => format!(
            "<div class=\"bar room\">{}</div><p>{} of {} of the device.</p>\n",
            segment("ink", total, available as f64, ""),
            bytes(memory.total_bytes),
            bytes(available),
        ),
        None => String::new(),
    };
    let content =
        format!("<div class=\"bar stack\">{bar}</div>\n<div class=\"kinds\">\n{kinds}</div>\n{room}");
    section("Memory of each device", source, &content)
}
