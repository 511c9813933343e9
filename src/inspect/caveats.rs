//! What to know before the figures are trusted.

use lapidary_hlo::{Report, ReportOptions};

use super::format;
use crate::target::TargetSpec;

/// Names that a sentence lists, of however many there are.
const LISTED: usize = 4;

/// Sentences about what the figures leave out.
pub(super) fn of(
    report: &Report,
    target: Option<&TargetSpec>,
    options: &ReportOptions,
    ideal_flops: Option<u64>,
) -> Vec<String> {
    let mut caveats = Vec::new();
    if !report.is_scheduled {
        caveats.push(
            "The program is not scheduled: what runs may come in another order, with loads into on-chip memory \
             that are not there yet. Traffic, temporaries and time are rough."
                .to_string(),
        );
    }
    if !report.unknown_loops.is_empty() {
        let names = report.unknown_loops.iter().map(|each| format!("{} of {}", each.name, each.computation));
        caveats.push(format!(
            "{} once, since nothing says how often: {}. The figures are too small by the rest.",
            format::count(report.unknown_loops.len() as u64, "loop counts", "loops count"),
            listed(names),
        ));
    }
    if !report.opaque_calls.is_empty() {
        caveats.push(format!(
            "Of custom calls only operands and results are known, neither flops nor what they read twice: {}.",
            listed(report.opaque_calls.iter().cloned()),
        ));
    }
    match (target, &options.roofline) {
        (None, _) => caveats.push(
            "No target is known, so that no time is estimated; --target says for which devices the program is. \
             Memory spaces are taken to be a TPU's."
                .to_string(),
        ),
        (Some(target), None) => caveats.push(format!(
            "How fast {target} is depends on the machine, so that no time is estimated."
        )),
        (Some(_), Some(_)) => caveats.push(
            "The time is an estimate: each instruction as fast as the hardware can be, one after another; \
             latencies, vector arithmetic and contention are left out."
                .to_string(),
        ),
    }
    if report.collectives.iter().any(|collective| collective.axes.is_none()) {
        caveats.push(match options.mesh {
            Some(_) => "Some collectives are along no axis of the mesh.".to_string(),
            None => "Axes of collectives have no names without a mesh; --mesh gives it.".to_string(),
        });
    }
    if ideal_flops.is_none() {
        caveats.push(
            "How many flops would be ideal is not known: the parameters have not the names of this package's \
             programs."
                .to_string(),
        );
    }
    if ideal_flops.is_some_and(|ideal| report.flops.dot < ideal) {
        caveats.push(
            "Fewer flops than ideal are those of products with a single row, which the compiler does on elements."
                .to_string(),
        );
    }
    if report.prefetched_bytes > 0 {
        caveats.push(format!(
            "{} are loaded into on-chip memory by the run before; the first run loads them itself.",
            format::bytes(report.prefetched_bytes),
        ));
    }
    caveats
}

fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let mut text = names.take(LISTED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
