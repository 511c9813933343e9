//! Markdown.

use super::number::{spread, with_prefix};
use crate::bench::{Compiling, Measurement, Peak, Report, Start};

/// What stands where a test has no such figure.
const NONE: &str = "-";

pub(in crate::bench) fn markdown(report: &Report) -> String {
    let header = [
        "test",
        "batch",
        "tokens/s",
        "bytes/token",
        "bytes/s",
        "of read bandwidth",
        "flop/s",
        "of matrix peak",
        "peak memory",
    ];
    let mut tests = vec![header.map(str::to_owned).to_vec()];
    tests.extend(report.tests.iter().map(test_row));
    let mut settings = vec![vec![String::new(), String::new()]];
    settings.extend(setting_rows(report).into_iter().map(|(name, value)| vec![name.to_owned(), value]));
    format!("{}\n{}", table(&tests, Align::Right), table(&settings, Align::Left))
}

fn test_row(test: &Measurement) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    let unit = |value: Option<f64>, unit: &str| or_none(value.map(|value| with_prefix(value, unit)));
    let ratio = |value: Option<f64>| or_none(value.map(|value| format!("{value:.2}")));
    vec![
        test.name.clone(),
        test.test.batch.to_string(),
        spread(&test.tokens_per_s),
        unit(test.bytes_per_token, "B"),
        unit(test.read_bytes_per_s, "B/s"),
        ratio(test.of_read_bandwidth),
        unit(test.flops_per_s, "flop/s"),
        ratio(test.of_matrix_peak),
        unit(test.peak_memory_bytes.map(|bytes| bytes as f64), "B"),
    ]
}

/// What the tests have in common.
fn setting_rows(report: &Report) -> Vec<(&'static str, String)> {
    let setting = &report.setting;
    let mut rows = vec![
        (
            "model",
            format!(
                "{}: {:.1} M parameters, {} in {}{}",
                setting.model,
                setting.parameters as f64 / 1e6,
                with_prefix(setting.weight_bytes as f64, "B"),
                setting.dtype,
                setting.kv_cache.as_ref().map(|form| format!(", KV cache in {form}")).unwrap_or_default()
            ),
        ),
        ("device", format!("{}, {} threads", setting.device, setting.threads)),
    ];
    if let Some(peaks) = &report.peaks {
        rows.push(("read bandwidth", peak(&peaks.read_bandwidth, "B/s")));
        rows.push(("matrix peak", peak(&peaks.matrix_peak, "flop/s")));
    }
    rows.push(("first token", start_parts(&report.start)));
    if let (Some(least_s), Some(of_least)) = (report.start.least_s, report.start.of_least) {
        rows.push(("at least", least_parts(&report.start, least_s, of_least)));
    }
    let Compiling { seconds, programs, from_cache, from_bundle } = report.compiling;
    let origin = match from_bundle {
        0 => format!("{from_cache} of them from the cache"),
        bundled => format!("{bundled} of them from the bundle"),
    };
    rows.push(("compiling", format!("{seconds:.2} s, {programs} programs, {origin}")));
    if let Some(bytes) = report.peak_memory_bytes {
        rows.push(("peak memory", with_prefix(bytes as f64, "B")));
    }
    let repetitions = report.repetitions;
    rows.push(("repetitions", format!("{}, after {} to warm up", repetitions.timed, repetitions.warmup)));
    rows.push((
        "versions",
        format!(
            "lapidary {} ({}); plugin {}, PJRT API {}",
            setting.lapidary_version, setting.build, setting.plugin_version, setting.pjrt_api_version
        ),
    ));
    if !report.complete {
        rows.push(("interrupted", "tests are missing".to_owned()));
    }
    rows
}

fn peak(peak: &Peak, unit: &str) -> String {
    let Peak { best, mean, repetitions } = *peak;
    format!("{} at best, {} on average of {repetitions}", with_prefix(best, unit), with_prefix(mean, unit))
}

fn start_parts(start: &Start) -> String {
    format!(
        "{:.2} s: plugin {:.2}, loading {:.2}, compiling {:.2}, a prompt of {} tokens {:.2}",
        start.time_to_first_token_s,
        start.plugin_s,
        start.load_s,
        start.compiling.seconds,
        start.prompt_tokens,
        start.prefill_s
    )
}

fn least_parts(start: &Start, least_s: f64, of_least: f64) -> String {
    format!(
        "{least_s:.2} s: weights read once {:.2}, the prompt again {:.2}; took {of_least:.2} times that",
        least_s - start.prefill_again_s,
        start.prefill_again_s
    )
}

/// On which side the cells of all columns but the first stand.
#[derive(Clone, Copy)]
enum Align {
    Left,
    Right,
}

/// A table whose first row is the header, padded so that it reads well as it is.
fn table(rows: &[Vec<String>], align: Align) -> String {
    let cells = |row: &[String]| -> Vec<String> { row.iter().map(|cell| escaped(cell)).collect() };
    let rows: Vec<Vec<String>> = rows.iter().map(|row| cells(row)).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let left = |column: usize| column == 0 || matches!(align, Align::Left);
    let line =
        |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    let padded = |(column, (cell, width)): (usize, (&String, &usize))| match left(column) {
        true => format!("{cell:width$}"),
        false => format!("{cell:>width$}"),
    };
    let rule = |(column, width): (usize, &usize)| match left(column) {
        true => "-".repeat(*width),
        false => format!("{}:", "-".repeat(width - 1)),
    };
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        text += &line(&mut row.iter().zip(&widths).enumerate().map(padded));
        if number == 0 {
            text += &line(&mut widths.iter().enumerate().map(rule));
        }
    }
    text
}

/// A cell's text: a path may hold what would end the cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
