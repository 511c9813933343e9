//! Which measurements make which figure.

use super::axis::Scale;
use super::chart::{Chart, Line, Panel, Series};
use super::results::{Report, Results, Test};

/// How far resident memory may be above weights and KV cache.
const MEMORY_ALLOWANCE: f64 = 1.15;

/// The figures that there are measurements for.
pub fn all(results: &Results) -> Vec<Chart> {
    let charts = [decode(results), compile(results), memory(results)];
    charts.into_iter().filter(|chart| !chart.panels.is_empty()).collect()
}

/// Something that is drawn against what was varied.
type Field = fn(&Report, &Test) -> Option<f64>;

fn decode(results: &Results) -> Chart {
    let step: Field = |_, test| Some(test.step_ms());
    let least: Field = |report, test| test.least_ms(report.peaks.read_bandwidth.best);
    let panel = |title: &str, varied: &Varied| {
        let name = |what: &str, layers: usize| format!("{what}, {}", varied.model(results, layers));
        let mut series = Vec::new();
        for (colour, (layers, reports)) in varied.models(results).into_iter().enumerate() {
            series.push(measured(name("measured", layers), colour, varied.points(&reports, step)));
            let name = name("weights + KV at read bandwidth", layers);
            series.push(bound(name, colour, varied.points(&reports, least)));
        }
        varied.panel(title, "ms a step", series)
    };
    let panels = [
        panel("against the context, batch 1", &CONTEXT),
        panel("against the batch", &BATCH),
        panel("against the layers, batch 1", &LAYERS),
    ];
    let title = format!("Decode: time of a step, {} shape", results.config);
    Chart { name: "decode", title, panels: panels.into_iter().flatten().collect() }
}

fn memory(results: &Results) -> Chart {
    let resident: Field = |_, test| Some(test.peak_memory_bytes? / 1e9);
    let held: Field = |report, test| Some(held_bytes(report, test) / 1e9);
    let allowed: Field = |report, test| Some(MEMORY_ALLOWANCE * held_bytes(report, test) / 1e9);
    let panel = |title: &str, varied: &Varied| {
        let mut series = Vec::new();
        for (colour, (layers, reports)) in varied.models(results).into_iter().enumerate() {
            let name = |what: &str| format!("{what}, {}", varied.model(results, layers));
            series.push(measured(name("resident at most"), colour, varied.points(&reports, resident)));
            series.push(bound(name("weights and KV cache"), colour, varied.points(&reports, held)));
            if varied.models(results).len() == 1 {
                series.push(bound(name("15% more"), colour + 2, varied.points(&reports, allowed)));
            }
        }
        varied.panel(title, "GB", series)
    };
    let panels = [
        panel("against the context, batch 1", &CONTEXT),
        panel("against the batch", &BATCH),
        panel("against the layers, batch 1", &LAYERS),
    ];
    let title = format!("Resident memory while decoding, {} shape", results.config);
    Chart { name: "memory", title, panels: panels.into_iter().flatten().collect() }
}

fn held_bytes(report: &Report, test: &Test) -> f64 {
    report.weight_bytes + test.kv_cache_bytes
}

fn compile(results: &Results) -> Chart {
    let seconds = |phase: &'static str, report: &Report| {
        let programs = report.programs.iter().filter(|program| program.tokens(phase).is_some());
        let times: Vec<f64> = programs.map(|program| program.seconds).collect();
        // Several programs of a phase differ in the capacity of the cache only.
        (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64)
    };
    let by_layers = |phase: &'static str| -> Vec<(f64, f64)> {
        let reports = results.reports(LAYERS.what);
        reports
            .iter()
            .filter_map(|(layers, report)| Some((*layers as f64, seconds(phase, report)?)))
            .collect()
    };
    let lines = vec![
        measured("decode".to_owned(), 0, by_layers("decode")),
        measured("prefill".to_owned(), 1, by_layers("prefill")),
    ];
    let mut panels: Vec<Panel> = LAYERS.panel("against the layers", "s", lines).into_iter().collect();
    let mut buckets = Vec::new();
    for (colour, (layers, report)) in results.reports("buckets").into_iter().enumerate() {
        let programs = report.programs.iter();
        let mut points: Vec<(f64, f64)> =
            programs.filter_map(|program| Some((program.tokens("prefill")?, program.seconds))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.dedup_by_key(|(tokens, _)| *tokens);
        buckets.push(measured(format!("prefill, {}", counted(layers)), colour, points));
    }
    let varied = Varied {
        what: "buckets",
        label: "tokens of the bucket",
        scale: Scale::Log2,
        of: |_, test| test.tokens,
    };
    panels.extend(varied.panel("against the bucket", "s", buckets));
    Chart { name: "compile", title: format!("Compile time of a program, {} shape", results.config), panels }
}

/// What was varied, and how it is drawn.
struct Varied {
    what: &'static str,
    label: &'static str,
    scale: Scale,
    /// Its value in a test of a model with so many layers.
    of: fn(usize, &Test) -> f64,
}

const CONTEXT: Varied = Varied {
    what: "context",
    label: "positions of the context",
    scale: Scale::Log2,
    of: |_, test| test.context(),
};
const BATCH: Varied = Varied { what: "batch", label: "rows", scale: Scale::Log2, of: |_, test| test.batch };
const LAYERS: Varied =
    Varied { what: "layers", label: "layers", scale: Scale::Linear, of: |layers, _| layers as f64 };

impl Varied {
    /// The reports that make a line each, with the layers of their models; where layers are what varies, they make one.
    fn models<'r>(&self, results: &'r Results) -> Vec<(usize, Vec<(usize, &'r Report)>)> {
        let reports = results.reports(self.what);
        match (self.what == "layers", reports.is_empty()) {
            (_, true) => Vec::new(),
            (true, false) => vec![(0, reports)],
            (false, false) => reports.into_iter().map(|report| (report.0, vec![report])).collect(),
        }
    }

    /// What a line's model is called.
    fn model(&self, results: &Results, layers: usize) -> String {
        let contexts = |report: &Report| report.generations().map(|test| test.context()).next();
        let context = results.reports(self.what).first().and_then(|(_, report)| contexts(report));
        let context = context.map_or(String::new(), |context| format!("context {context}"));
        match self.what {
            "layers" => context,
            "batch" => format!("{}, {context}", counted(layers)),
            _ => counted(layers),
        }
    }

    fn points(&self, reports: &[(usize, &Report)], field: Field) -> Vec<(f64, f64)> {
        let tests = reports
            .iter()
            .flat_map(|(layers, report)| report.generations().map(move |test| (layers, report, test)));
        let mut points: Vec<(f64, f64)> = tests
            .filter_map(|(layers, report, test)| Some(((self.of)(*layers, test), field(report, test)?)))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    }

    /// A panel, if there is something to draw in it.
    fn panel(&self, title: &str, unit: &str, series: Vec<Series>) -> Option<Panel> {
        let series: Vec<Series> = series.into_iter().filter(|series| !series.points.is_empty()).collect();
        (!series.is_empty()).then(|| Panel {
            title: title.to_owned(),
            x_label: self.label.to_owned(),
            x_scale: self.scale,
            y_label: unit.to_owned(),
            series,
        })
    }
}

/// `1 layer`, `4 layers`.
fn counted(layers: usize) -> String {
    format!("{layers} layer{}", if layers == 1 { "" } else { "s" })
}

fn measured(name: String, colour: usize, points: Vec<(f64, f64)>) -> Series {
    Series { name, line: Line::Measured, colour, points }
}

fn bound(name: String, colour: usize, points: Vec<(f64, f64)>) -> Series {
    Series { name, line: Line::Bound, colour, points }
}
