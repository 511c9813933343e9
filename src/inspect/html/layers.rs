//! The picture of the layers: one row a layer, its parts side by side, its collectives where they come.

use super::{legend, segment};
use crate::inspect::format::{bytes, excess, seconds};
use crate::inspect::{Inspection, LayerCollective, LayerCost, Part};

/// The layers; nothing if the program has none by name.
pub(super) fn section(program: &Inspection) -> String {
    if program.layers.is_empty() {
        return String::new();
    }
    let largest = program.layers.iter().map(|layer| layer.bytes).max().unwrap_or(0) as f64;
    let rows: String = program.layers.iter().map(|layer| row(layer, largest)).collect();
    let parts: Vec<_> = Part::ALL.iter().map(|part| (part.name(), color(*part))).collect();
    let marks = "<ul class=\"legend\"><li><i class=\"mark\"></i>collective</li>\
                 <li><i class=\"mark async\"></i>asynchronous collective</li></ul>\n";
    let head = "<span class=\"head\"></span><span class=\"head\">HBM traffic</span>\
                <span class=\"head cell\">total</span><span class=\"head cell spare\">beyond ideal</span>\
                <span class=\"head cell spare\">time</span>\n";
    let content = format!("{}{marks}<div class=\"layers\">\n{head}{rows}</div>\n", legend(&parts));
    super::section("Layer by layer", "", &content)
}

fn row(layer: &LayerCost, largest: f64) -> String {
    let mut bar = String::new();
    for part in &layer.parts {
        let title = format!("{}: {}", part.part.name(), bytes(part.cost.bytes));
        bar += &segment(color(part.part), part.cost.bytes as f64, largest, &title);
        // A layer's attention ends behind the KV cache, though its last product belongs to the first segment.
        let here = |collective: &&LayerCollective| match part.part {
            Part::Attention => false,
            Part::KvCache => matches!(collective.part, Part::Attention | Part::KvCache),
            Part::Mlp | Part::Norm | Part::Copies => collective.part == part.part,
        };
        bar += &layer.collectives.iter().filter(here).map(mark).collect::<String>();
    }
    format!(
        "<span class=\"number\">{}</span><div class=\"bar\">{bar}</div><span class=\"cell\">{}</span>\
         <span class=\"cell spare\">{}</span><span class=\"cell spare\">{}</span>\n",
        layer.layer,
        bytes(layer.bytes),
        excess(layer.bytes, Some(layer.ideal_bytes)),
        layer.seconds.map_or_else(|| "-".to_string(), seconds),
    )
}

fn mark(collective: &LayerCollective) -> String {
    let class = if collective.asynchronous { "mark async" } else { "mark" };
    let title =
        format!("{} of {}, {}", collective.kind, bytes(collective.bytes), super::runs(collective.times));
    format!("<span class=\"{class}\" title=\"{title}\"></span>")
}

/// Name of the part's colour in the style sheet.
fn color(part: Part) -> &'static str {
    match part {
        Part::Attention => "attention",
        Part::KvCache => "kv-cache",
        Part::Mlp => "mlp",
        Part::Norm => "norms",
        Part::Copies => "copies",
    }
}
