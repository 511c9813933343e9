//! Line charts as SVG.

use std::fmt::Write;

use super::axis::{Axis, Scale, number};

/// Colours that read on white and on black; the rest follows the reader's theme.
const STYLE: &str = "
text { font: 12px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #59636e }
.title { font-size: 16px; font-weight: 600; fill: #1f2328 } .panel { font-size: 13px; font-weight: 600; fill: #1f2328 }
.end { text-anchor: end } .middle { text-anchor: middle }
.grid { stroke: #8b949e; stroke-opacity: .22 } .axis { stroke: #8b949e; stroke-opacity: .7 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round } .bound { stroke-dasharray: 5 4; stroke-width: 1.5 }
.s0 { stroke: #3b76c4 } .s1 { stroke: #c2701a } .s2 { stroke: #22877a } .s3 { stroke: #b2496d }
.d0 { fill: #3b76c4 } .d1 { fill: #c2701a } .d2 { fill: #22877a } .d3 { fill: #b2496d }
@media (prefers-color-scheme: dark) { text { fill: #9aa4ae } .title, .panel { fill: #e6edf3 } }
";

/// Colours in the style.
const COLOURS: usize = 4;
const PANEL_WIDTH: f64 = 400.0;
const PLOT_HEIGHT: f64 = 210.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 62.0;
const LEGEND_LINE: f64 = 18.0;
/// Between the legend and the plot: the label of the vertical axis.
const HEADROOM: f64 = 18.0;
/// Below the plot: the ticks' numbers and the axis' label.
const BOTTOM: f64 = 54.0;

/// What a line stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// Measurements: a dot each, joined.
    Measured,
    /// What the measurements are to be compared with: dashes.
    Bound,
}

/// A line of a panel. Those of one colour belong together.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// What it stands for.
    pub line: Line,
    /// Which of the chart's colours.
    pub colour: usize,
    /// Values against what was varied, in ascending order.
    pub points: Vec<(f64, f64)>,
}

/// A pair of axes with lines.
#[derive(Clone, PartialEq, Debug)]
pub struct Panel {
    /// What it shows, and of which model.
    pub title: String,
    /// What was varied.
    pub x_label: String,
    /// How it is laid out.
    pub x_scale: Scale,
    /// What was measured, with its unit.
    pub y_label: String,
    /// The lines.
    pub series: Vec<Series>,
}

/// Panels side by side.
#[derive(Clone, PartialEq, Debug)]
pub struct Chart {
    /// The name of its file.
    pub name: &'static str,
    /// What it shows.
    pub title: String,
    /// From left to right.
    pub panels: Vec<Panel>,
}

impl Chart {
    /// The chart as a picture.
    pub fn svg(&self) -> String {
        let legend =
            self.panels.iter().map(|panel| panel.series.len()).max().unwrap_or(0) as f64 * LEGEND_LINE;
        let (width, height) =
            (PANEL_WIDTH * self.panels.len() as f64, TOP + legend + HEADROOM + PLOT_HEIGHT + BOTTOM);
        let mut canvas = Canvas(String::new());
        canvas.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>",
            escaped(&self.title)
        ));
        canvas.text("title", (16.0, 24.0), &self.title);
        for (at, panel) in self.panels.iter().enumerate() {
            canvas.panel(panel, at as f64 * PANEL_WIDTH, TOP + legend + HEADROOM);
        }
        canvas.add(format_args!("</svg>"));
        canvas.0
    }

    /// The numbers of the chart, a table for each panel.
    pub fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n![{}](curves/{}.svg)\n\n", self.title, self.title, self.name);
        for panel in &self.panels {
            text += &panel.markdown();
        }
        text
    }
}

impl Panel {
    fn x_axis(&self) -> Axis {
        let values = self.series.iter().flat_map(|series| &series.points).map(|(x, _)| *x);
        Axis::varied(&self.x_label, self.x_scale, values)
    }

    fn markdown(&self) -> String {
        let xs = self.x_axis().ticks;
        let row = |name: &str, cells: &mut dyn Iterator<Item = String>| {
            format!("| {name} | {} |\n", cells.collect::<Vec<_>>().join(" | "))
        };
        let mut text = format!("{}, {}:\n\n", self.title, self.y_label);
        text += &row(&self.x_label, &mut xs.iter().map(|x| number(*x)));
        text += &row("---", &mut xs.iter().map(|_| "---:".to_owned()));
        for series in &self.series {
            let at = |x: &f64| series.points.iter().find(|(known, _)| known == x).map(|(_, y)| number(*y));
            text += &row(&series.name, &mut xs.iter().map(|x| at(x).unwrap_or_else(|| "-".to_owned())));
        }
        text + "\n"
    }
}

/// A picture in the making.
struct Canvas(String);

impl Canvas {
    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{element}");
    }

    fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        self.add(format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(text)));
    }

    fn line(&mut self, class: &str, (x, y): (f64, f64), (to_x, to_y): (f64, f64)) {
        self.add(format_args!(
            "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{to_x:.1}\" y2=\"{to_y:.1}\"/>"
        ));
    }

    /// A panel whose left edge is at `left` and whose plot begins at `top`.
    fn panel(&mut self, panel: &Panel, left: f64, top: f64) {
        let (start, end, ground) = (left + LEFT, left + PANEL_WIDTH - RIGHT, top + PLOT_HEIGHT);
        let x_axis = panel.x_axis();
        let heights = panel.series.iter().flat_map(|series| &series.points).map(|(_, y)| *y);
        let y_axis = Axis::quantity(&panel.y_label, heights);
        let x_at = |value: f64| start + 10.0 + x_axis.position(value) * (end - start - 20.0);
        let y_at = |value: f64| ground - y_axis.position(value) * PLOT_HEIGHT;

        self.text("panel", (left + 16.0, 48.0), &panel.title);
        for (at, series) in panel.series.iter().enumerate() {
            self.legend(series, (left + 16.0, TOP + at as f64 * LEGEND_LINE));
        }
        self.text("", (left + 16.0, top - 14.0), &y_axis.label);
        for tick in &y_axis.ticks {
            let class = if *tick == 0.0 { "axis" } else { "grid" };
            self.line(class, (start, y_at(*tick)), (end, y_at(*tick)));
            self.text("end", (start - 7.0, y_at(*tick) + 4.0), &number(*tick));
        }
        for tick in &x_axis.ticks {
            self.line("axis", (x_at(*tick), ground), (x_at(*tick), ground + 5.0));
            self.text("middle", (x_at(*tick), ground + 19.0), &number(*tick));
        }
        self.text("middle", ((start + end) / 2.0, ground + 41.0), &x_axis.label);
        for series in &panel.series {
            self.series(series, &x_at, &y_at);
        }
    }

    fn legend(&mut self, series: &Series, (x, y): (f64, f64)) {
        let colour = series.colour % COLOURS;
        let bound = if series.line == Line::Bound { " bound" } else { "" };
        self.line(&format!("line s{colour}{bound}"), (x, y), (x + 24.0, y));
        if series.line == Line::Measured {
            self.dot(colour, (x + 12.0, y), "");
        }
        self.text("", (x + 31.0, y + 4.0), &series.name);
    }

    fn series(&mut self, series: &Series, x_at: &dyn Fn(f64) -> f64, y_at: &dyn Fn(f64) -> f64) {
        let colour = series.colour % COLOURS;
        let points: Vec<String> =
            series.points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_at(*x), y_at(*y))).collect();
        let bound = if series.line == Line::Bound { " bound" } else { "" };
        self.add(format_args!("<polyline class=\"line s{colour}{bound}\" points=\"{}\"/>", points.join(" ")));
        if series.line == Line::Measured {
            for (x, y) in &series.points {
                self.dot(colour, (x_at(*x), y_at(*y)), &format!("{}: {}", number(*x), number(*y)));
            }
        }
    }

    /// A dot that tells its value where it is pointed at.
    fn dot(&mut self, colour: usize, (x, y): (f64, f64), title: &str) {
        let title =
            if title.is_empty() { String::new() } else { format!("<title>{}</title>", escaped(title)) };
        self.add(format_args!(
            "<circle class=\"d{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.4\">{title}</circle>"
        ));
    }
}

/// Text as XML takes it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
