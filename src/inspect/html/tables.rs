//! Tables: operations, collectives, temporaries, copies.

use super::escape::Escaped;
use super::{runs, section};
use crate::inspect::Inspection;
use crate::inspect::format::{bytes, seconds};

/// A cell that holds a figure.
fn figure(figure: impl std::fmt::Display) -> String {
    format!("<td class=\"right\">{figure}</td>")
}

/// A cell that holds text of the program.
fn code(text: &str) -> String {
    format!("<td><code>{}</code></td>", Escaped(text))
}

fn path(path: Option<&str>) -> String {
    path.map_or_else(|| "<td>-</td>".to_string(), code)
}

/// A table; headings that begin with `>` stand above figures.
fn table(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let headings = headings.iter().map(|heading| match heading.strip_prefix('>') {
        Some(heading) => format!("<th class=\"right\">{heading}</th>"),
        None => format!("<th>{heading}</th>"),
    });
    let headings: String = headings.collect();
    let rows: String = rows.map(|cells| format!("<tr>{}</tr>\n", cells.concat())).collect();
    format!("<div class=\"wide\"><table>\n<tr>{headings}</tr>\n{rows}</table></div>\n")
}

/// Traffic by operation.
pub(super) fn operations(program: &Inspection, top: usize) -> String {
    if top == 0 {
        return String::new();
    }
    let rows = program.by_operation.iter().take(top).map(|operation| {
        let cost = &operation.cost;
        vec![
            code(&operation.name),
            figure(cost.instructions),
            figure(bytes(cost.read_bytes)),
            figure(bytes(cost.written_bytes)),
            figure(cost.time.map_or_else(|| "-".to_string(), |time| seconds(time.seconds))),
        ]
    });
    section(
        "HBM traffic by operation",
        "",
        &table(&["operation", ">runs", ">read", ">written", ">time"], rows),
    )
}

/// Collectives, those alike together.
pub(super) fn collectives(program: &Inspection) -> String {
    if program.collectives.is_empty() {
        return section("Collectives", "None: nothing moves between devices.", "");
    }
    let rows = program.collectives.iter().map(|collective| {
        let axes = collective.axes.as_ref().map(|axes| axes.join(","));
        vec![
            code(collective.kind.name()),
            figure(collective.count),
            figure(bytes(collective.sent_bytes)),
            format!("<td>{}</td>", Escaped(&axes.unwrap_or_else(|| "-".to_string()))),
            format!("<td>{}</td>", if collective.asynchronous { "async" } else { "sync" }),
            code(&collective.path),
        ]
    });
    section("Collectives", "", &table(&["kind", ">count", ">sent", "axis", "", "for"], rows))
}

/// The largest temporaries.
pub(super) fn temporaries(program: &Inspection) -> String {
    if program.temporaries.is_empty() {
        return String::new();
    }
    let rows = program.temporaries.iter().map(|temporary| {
        vec![
            figure(bytes(temporary.bytes)),
            path(temporary.path.as_deref()),
            code(&temporary.opcode),
            code(&temporary.shape),
            format!("<td>{}</td>", if temporary.is_result { "result" } else { "" }),
        ]
    });
    section("Largest temporaries", "", &table(&[">size", "for", "operation", "shape", ""], rows))
}

/// The copies that move most.
pub(super) fn copies(program: &Inspection) -> String {
    if program.copies.is_empty() {
        return String::new();
    }
    let rows = program.copies.iter().map(|copy| {
        vec![
            figure(bytes(copy.bytes)),
            path(copy.path.as_deref()),
            code(&copy.operation),
            code(&copy.shape),
            figure(runs(copy.times)),
        ]
    });
    let headings = [">moved", "for", "operation", "shape", ">"];
    section("Largest copies and changes of layout", "", &table(&headings, rows))
}
