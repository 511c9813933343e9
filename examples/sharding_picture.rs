//! Draws how a layer of Gemma 2 lies on a mesh of 2x4 devices, from its real shardings:
//!
//! ```sh
//! cargo run --example sharding_picture > sharding.svg
//! ```
//!
//! The picture is part of `docs/sharding.md`; a test keeps the two alike.

use std::fmt::Write;

use anyhow::{Context, Result};
use lapidary::graph::{DType, Function, LogicalAxes, TensorType};
use lapidary::lower::sharding::AxisUnits;
use lapidary::lower::{Mesh, Sharding, ShardingRules};
use lapidary::models::config::GemmaConfig;
use lapidary::models::program::{KvCache, Phase, ProgramShape, build};

const MODEL: &str = "gemma2-9b";
const MESH: &str = "data=2,model=4";
const SHAPE: ProgramShape = ProgramShape {
    phase: Phase::Decode,
    batch: 8,
    tokens: 1,
    capacity: 4096,
    dtype: DType::BF16,
    kv_cache: KvCache::Dense,
};

/// Widths and heights are in the picture's own units, which are pixels where it is not scaled.
const WIDTH: usize = 1180;
const HEIGHT: usize = 690;

/// Works on white and on black; the media query follows the reader's theme.
const STYLE: &str = "
text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-size: 19px; font-weight: 600 } .name { font-weight: 600 } .soft { fill: #59636e; font-size: 12px }
.shard { font-size: 11px; font-weight: 600; fill: #fff; text-anchor: middle }
.whole-text { font-size: 11px; font-weight: 600; text-anchor: middle } .middle { text-anchor: middle }
.m0 { fill: #3b76c4 } .m1 { fill: #22877a } .m2 { fill: #b0701a } .m3 { fill: #b2496d } .whole { fill: #d5dbe1 }
.second { opacity: .72 } .flow { stroke: #8b949e; stroke-width: 1.6; fill: none } .tip { fill: #8b949e }
.ring { stroke: #d1344b; stroke-width: 2.4; fill: none } .moves { fill: #c22740; font-weight: 600 }
.ground { fill: #f3f4f6 } .panel { fill: #8b949e; fill-opacity: .09 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .soft { fill: #9aa4ae } .whole { fill: #454c55 }
.ring { stroke: #ff7b89 } .moves { fill: #ff8f9b } .ground { fill: #191f26 } .shard { fill: #fff } }
";

/// A model's program on a mesh.
struct Layer {
    mesh: Mesh,
    rules: ShardingRules,
    units: AxisUnits,
    config: GemmaConfig,
    main: Function,
}

impl Layer {
    fn new() -> Result<Self> {
        let config = GemmaConfig::named(MODEL).context("a model of that name")?.with_layers(1)?;
        let module = build(&config, &SHAPE)?.module;
        let main = module.entry().and_then(|entry| module.function(entry)).context("an entry")?.clone();
        let (mesh, rules) = (MESH.parse()?, ShardingRules::transformer());
        let units = AxisUnits::of(&main, &rules);
        Ok(Self { mesh, rules, units, config, main })
    }

    fn bind(&self, axes: &LogicalAxes, dims: &[usize]) -> Sharding {
        self.rules.bind(Some(axes), &TensorType::new(SHAPE.dtype, dims), &self.mesh, &self.units)
    }

    /// The sharding of a parameter.
    fn param(&self, name: &str) -> Result<Sharding> {
        let param = self.main.params.iter().find(|param| param.name == name).context("a parameter")?;
        let ty = self.main.value_type(param.value).context("a type")?;
        Ok(self.bind(&param.axes.clone().unwrap_or_default(), &ty.dims))
    }

    /// The sharding of an activation with these axes.
    fn activation(&self, axes: &[&str], dims: &[usize]) -> Sharding {
        self.bind(&LogicalAxes::of(axes), dims)
    }
}

/// The picture in the making.
struct Canvas(String);

/// A tensor as a rectangle: one of its dimensions goes down, another goes across.
struct Tensor<'a> {
    name: &'a str,
    sharding: &'a Sharding,
    axes: &'a str,
    down: usize,
    across: usize,
    at: (usize, usize),
    size: (usize, usize),
}

impl Canvas {
    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{element}");
    }

    fn text(&mut self, class: &str, (x, y): (usize, usize), text: &str) {
        self.add(format_args!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>"));
    }

    /// The shards of a tensor, each in the colour of the devices that hold it.
    fn tensor(&mut self, tensor: &Tensor<'_>) {
        let Tensor { name, sharding, axes, down, across, at: (x, y), size: (width, height) } = *tensor;
        self.text("name", (x, y - 22), name);
        self.text("soft", (x, y - 7), axes);
        let mesh = sharding.mesh();
        let shards = |dim: usize| sharding.dims().get(dim).map_or(1, |dim| dim.shards());
        let (rows, columns) = (shards(down), shards(across));
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            let holds = |device: &usize| {
                let ranges = sharding.shard_ranges(*device).unwrap_or_default();
                let starts = |dim: usize, index: usize| {
                    let size = sharding.shard_shape().get(dim).copied().unwrap_or(0);
                    ranges.get(dim).is_some_and(|range| range.start == index * size)
                };
                starts(down, row) && starts(across, column)
            };
            let devices: Vec<usize> = (0..mesh.num_devices()).filter(holds).collect();
            let coordinates = |axis: &str| -> Vec<usize> {
                let mut found: Vec<usize> =
                    devices.iter().filter_map(|&device| mesh.coordinate(device, axis)).collect();
                found.sort_unstable();
                found.dedup();
                found
            };
            let class = match (&coordinates("model")[..], &coordinates("data")[..]) {
                ([model], [1]) => format!("m{model} second"),
                ([model], _) => format!("m{model}"),
                _ => "whole".to_string(),
            };
            let label: Vec<String> = devices.iter().map(usize::to_string).collect();
            let (w, h) = (width / columns, height / rows);
            let (left, top) = (x + column * w, y + row * h);
            self.add(format_args!(
                "<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" rx=\"3\"/>",
                w - 2,
                h - 2
            ));
            let text = if class == "whole" { "whole-text" } else { "shard" };
            self.text(text, (left + (w - 2) / 2, top + h / 2 + 3), &label.join(" "));
        }
    }

    fn arrow(&mut self, (x, y): (usize, usize), to: usize) {
        self.add(format_args!("<path class=\"flow\" d=\"M{x} {y}H{}\"/>", to - 6));
        self.add(format_args!("<path class=\"tip\" d=\"M{to} {y}l-8 -4v8z\"/>"));
    }

    /// The devices of each data group in a ring, along which they sum what each has computed in part.
    fn all_reduce(&mut self, (x, y): (usize, usize), layer: &Layer) {
        let rows = SHAPE.batch / layer.mesh.size("data").unwrap_or(1);
        let bytes = rows * SHAPE.tokens * layer.config.hidden_size * SHAPE.dtype.byte_width();
        self.text("moves middle", (x + 60, y - 22), "all-reduce over model");
        self.text("soft middle", (x + 60, y - 7), &format!("{rows} rows, {} KiB a step", bytes / 1024));
        let (groups, size) = (layer.mesh.size("data").unwrap_or(1), layer.mesh.size("model").unwrap_or(1));
        for group in 0..groups {
            let top = y + 4 + group * 80;
            self.add(format_args!(
                "<rect class=\"ring\" x=\"{}\" y=\"{}\" width=\"56\" height=\"40\" rx=\"20\"/>",
                x + 32,
                top + 14
            ));
            for model in 0..size {
                // Clockwise around the ring.
                let (cx, cy) = [(32, 14), (88, 14), (88, 54), (32, 54)][model % 4];
                let (cx, cy) = (x + cx, top + cy);
                let second = if group == 1 { " second" } else { "" };
                self.add(format_args!(
                    "<circle class=\"ground\" cx=\"{cx}\" cy=\"{cy}\" r=\"14\"/>\n\
                     <circle class=\"m{model}{second}\" cx=\"{cx}\" cy=\"{cy}\" r=\"14\"/>"
                ));
                self.text("shard", (cx, cy + 4), &(group * size + model).to_string());
            }
        }
    }
}

/// The picture as SVG.
///
/// # Errors
/// If the model or mesh it draws is no longer what it was.
pub fn picture() -> Result<String> {
    let layer = Layer::new()?;
    let mut canvas = Canvas(String::new());
    canvas.add(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"A layer of Gemma 2 on a mesh of two by four devices\">\n<style>{STYLE}</style>"
    ));
    header(&mut canvas, &layer.mesh);
    attention(&mut canvas, &layer, 110)?;
    feed_forward(&mut canvas, &layer, 420)?;
    canvas.text(
        "soft",
        (24, HEIGHT - 14),
        "Numbers are devices. Nothing else moves: weights and cache stay where they are, norms are computed by \
         every device, and logits leave the program split over the vocabulary.",
    );
    canvas.add(format_args!("</svg>"));
    Ok(canvas.0)
}

fn header(canvas: &mut Canvas, mesh: &Mesh) {
    let title = format!("One decoder layer of Gemma 2 9B on the mesh {mesh}, decoding {} rows", SHAPE.batch);
    canvas.text("title", (24, 38), &title);
    canvas.text(
        "soft",
        (24, 62),
        "A colour is a place on the axis model; each group on the axis data has all of them.",
    );
    for device in 0..mesh.num_devices() {
        let (data, model) = (mesh.coordinate(device, "data"), mesh.coordinate(device, "model"));
        let (data, model) = (data.unwrap_or(0), model.unwrap_or(0));
        let second = if data == 1 { " second" } else { "" };
        let (x, y) = (960 + model * 50, 18 + data * 32);
        canvas.add(format_args!(
            "<rect class=\"m{model}{second}\" x=\"{x}\" y=\"{y}\" width=\"46\" height=\"28\" rx=\"4\"/>"
        ));
        canvas.text("shard", (x + 23, y + 18), &device.to_string());
    }
}

fn panel(canvas: &mut Canvas, top: usize, height: usize, name: &str) {
    canvas.add(format_args!(
        "<rect class=\"panel\" x=\"12\" y=\"{top}\" width=\"{}\" height=\"{height}\" rx=\"10\"/>",
        WIDTH - 24
    ));
    canvas.text("name", (24, top + 24), name);
}

fn hidden(canvas: &mut Canvas, layer: &Layer, x: usize, y: usize) {
    let dims = [SHAPE.batch, SHAPE.tokens, layer.config.hidden_size];
    let sharding = layer.activation(&["batch", "seq", "embed"], &dims);
    let axes = "batch \u{2193} embed \u{2192}";
    let (at, size) = ((x, y), (110, 72));
    canvas.tensor(&Tensor { name: "hidden state", sharding: &sharding, axes, down: 0, across: 2, at, size });
}

fn attention(canvas: &mut Canvas, layer: &Layer, top: usize) -> Result<()> {
    panel(canvas, top, 280, "Attention");
    let middle = top + 150;
    hidden(canvas, layer, 30, middle - 36);
    canvas.arrow((146, middle), 176);
    let weights = [
        ("q_proj", "heads \u{2193} embed \u{2192}", 72),
        ("k_proj, v_proj", "kv_heads \u{2193} embed \u{2192}", 72),
    ];
    for (i, (name, axes, height)) in weights.into_iter().enumerate() {
        let weight = if i == 0 { "q_proj" } else { "k_proj" };
        let sharding = layer.param(&format!("model.layers.0.self_attn.{weight}.weight"))?;
        let (at, size) = ((186, top + 62 + i * 122), (120, height));
        canvas.tensor(&Tensor { name, sharding: &sharding, axes, down: 0, across: 1, at, size });
    }
    canvas.arrow((312, middle), 342);
    let (heads, head_dim) = (layer.config.num_heads, layer.config.head_dim);
    let dims = [SHAPE.batch, SHAPE.tokens, heads, head_dim];
    let queries = layer.activation(&["batch", "seq", "heads", "head_dim"], &dims);
    let axes = "batch \u{2193} heads \u{2192}";
    let (at, size) = ((352, top + 62), (180, 72));
    canvas.tensor(&Tensor { name: "queries", sharding: &queries, axes, down: 0, across: 2, at, size });
    let cache = layer.param("cache.0.keys")?;
    let axes = "batch \u{2193} kv_heads \u{2192}";
    let (at, size) = ((352, top + 184), (180, 72));
    canvas.tensor(&Tensor { name: "KV cache", sharding: &cache, axes, down: 0, across: 1, at, size });
    canvas.arrow((538, middle), 568);
    let mixed = layer.activation(&["batch", "seq", "heads", "head_dim"], &dims);
    let axes = "batch \u{2193} heads \u{2192}";
    let (at, size) = ((578, middle - 36), (150, 72));
    canvas.tensor(&Tensor { name: "attended", sharding: &mixed, axes, down: 0, across: 2, at, size });
    canvas.arrow((734, middle), 764);
    let output = layer.param("model.layers.0.self_attn.o_proj.weight")?;
    sum_and_add(canvas, layer, "o_proj", "embed \u{2193} heads \u{2192}", &output, middle);
    Ok(())
}

fn feed_forward(canvas: &mut Canvas, layer: &Layer, top: usize) -> Result<()> {
    panel(canvas, top, 225, "Feed-forward");
    let middle = top + 122;
    hidden(canvas, layer, 30, middle - 36);
    canvas.arrow((146, middle), 176);
    let gate = layer.param("model.layers.0.mlp.gate_proj.weight")?;
    let axes = "ffn \u{2193} embed \u{2192}";
    let (at, size) = ((186, middle - 52), (120, 104));
    canvas.tensor(&Tensor {
        name: "gate_proj, up_proj",
        sharding: &gate,
        axes,
        down: 0,
        across: 1,
        at,
        size,
    });
    canvas.arrow((312, middle), 342);
    let dims = [SHAPE.batch, SHAPE.tokens, layer.config.intermediate_size];
    let gated = layer.activation(&["batch", "seq", "ffn"], &dims);
    let axes = "batch \u{2193} ffn \u{2192}";
    let (at, size) = ((352, middle - 36), (376, 72));
    canvas.tensor(&Tensor { name: "gated", sharding: &gated, axes, down: 0, across: 2, at, size });
    canvas.arrow((734, middle), 764);
    let down = layer.param("model.layers.0.mlp.down_proj.weight")?;
    sum_and_add(canvas, layer, "down_proj", "embed \u{2193} ffn \u{2192}", &down, middle);
    Ok(())
}

/// The projection whose partial sums are all that moves, and what they come to.
fn sum_and_add(canvas: &mut Canvas, layer: &Layer, name: &str, axes: &str, weight: &Sharding, middle: usize) {
    let (at, size) = ((774, middle - 36), (108, 72));
    canvas.tensor(&Tensor { name, sharding: weight, axes, down: 0, across: 1, at, size });
    canvas.arrow((886, middle), 910);
    canvas.all_reduce((896, middle - 78), layer);
    canvas.arrow((1012, middle), 1036);
    hidden(canvas, layer, 1046, middle - 36);
}

#[allow(dead_code)]
fn main() -> Result<()> {
    print!("{}", picture()?);
    Ok(())
}
