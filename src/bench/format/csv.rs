//! Comma-separated values.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::bench::{Measurement, Report};

/// What JSON says of a test and of its run, a column for each number and text.
pub(in crate::bench) fn csv(report: &Report) -> String {
    let mut common = Map::new();
    for (prefix, part) in [
        ("", serde_json::to_value(&report.setting)),
        ("repetitions_", serde_json::to_value(report.repetitions)),
        ("start_", serde_json::to_value(report.start)),
        ("", serde_json::to_value(report.peaks)),
    ] {
        // Plain structures of numbers and texts: nothing in them can fail to become JSON.
        flatten(prefix, part.unwrap_or_default(), &mut common);
    }
    let mut text = String::new();
    for test in &report.tests {
        let columns = columns(test, &common);
        if text.is_empty() {
            push_line(&mut text, columns.keys().map(|name| Cow::Borrowed(name.as_str())));
        }
        push_line(&mut text, columns.values().map(cell));
    }
    text
}

fn columns(test: &Measurement, common: &Map<String, Value>) -> Map<String, Value> {
    let mut columns = Map::new();
    flatten("", serde_json::to_value(test).unwrap_or_default(), &mut columns);
    columns.extend(common.iter().map(|(name, value)| (name.clone(), value.clone())));
    columns
}

/// Adds the fields of an object to `into`, and those of the objects in it under the names of both.
fn flatten(prefix: &str, value: Value, into: &mut Map<String, Value>) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let name = format!("{prefix}{name}");
        match value {
            Value::Object(_) => flatten(&format!("{name}_"), value, into),
            value => {
                into.insert(name, value);
            }
        }
    }
}

fn cell(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn push_line<'c>(text: &mut String, cells: impl Iterator<Item = Cow<'c, str>>) {
    let cells: Vec<String> = cells.map(|cell| quoted(&cell)).collect();
    *text += &cells.join(",");
    text.push('\n');
}

/// A cell, quoted where it holds what would end it.
fn quoted(cell: &str) -> String {
    if !cell.contains([',', '"', '\n', '\r']) {
        return cell.to_owned();
    }
    format!("\"{}\"", cell.replace('"', "\"\""))
}
