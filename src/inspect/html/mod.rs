//! Inspected programs as a page for a browser: one file that needs nothing else, light or dark as the reader has it.

mod bars;
mod escape;
mod layers;
mod tables;

use super::Inspection;
use super::format::{bytes, count, ratio, seconds};
use escape::Escaped;

const STYLE: &str = include_str!("style.css");

/// A cut stone, seen from the side.
const GEM: &str = "<svg viewBox=\"0 0 22 20\" aria-hidden=\"true\" fill=\"none\" stroke=\"currentColor\" \
                   stroke-width=\"1.5\" stroke-linejoin=\"round\"><path d=\"M5 1h12l4 6-10 12L1 7zM1 7h20M8 7l3 12 3-12\
                   M5 1l3 6 3-6 3 6 3-6\"/></svg>";

/// The page. Of long lists it shows the `top` largest.
pub fn page(programs: &[Inspection], top: usize) -> String {
    let title = match programs {
        [program] => program.name.as_str(),
        _ => "Compiled programs",
    };
    let contents: Vec<String> = programs
        .iter()
        .enumerate()
        .map(|(index, program)| format!("<a href=\"#p{index}\">{}</a>", Escaped(&program.name)))
        .collect();
    let contents = match programs {
        [_] => String::new(),
        _ => format!("<nav>{}</nav>\n", contents.join("\n")),
    };
    let articles: Vec<String> =
        programs.iter().enumerate().map(|(index, program)| article(index, program, top)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{} - lapidary inspect</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{contents}{}\n\
         <footer>lapidary {}. All figures are of one run on one device.</footer>\n</main>\n</body>\n</html>\n",
        Escaped(title),
        articles.join("\n"),
        env!("CARGO_PKG_VERSION"),
    )
}

fn article(index: usize, program: &Inspection, top: usize) -> String {
    let sections = [
        format!("<div class=\"pair\">\n{}{}</div>\n", bars::traffic(program), bars::time(program)),
        layers::section(program),
        format!("<div class=\"pair\">\n{}{}</div>\n", bars::memory(program), tables::collectives(program)),
        tables::operations(program, top),
        tables::temporaries(program),
        tables::copies(program),
        caveats(program),
    ];
    format!(
        "<article id=\"p{index}\">\n{}{}{}</article>\n",
        header(program),
        tiles(program),
        sections.concat()
    )
}

fn header(program: &Inspection) -> String {
    let setting = [
        Some(program.file.display().to_string()),
        program.target.clone(),
        program.mesh.as_ref().map(|mesh| format!("mesh {mesh}")),
    ];
    let setting: Vec<String> = setting.into_iter().flatten().collect();
    let verdict = match (program.traffic.ratio, &program.estimate) {
        (Some(_), Some(estimate)) => format!(
            "A step moves {} the bytes it would have to, and takes about {}, bound by {}.",
            ratio(program.traffic.ratio),
            seconds(estimate.seconds),
            estimate_bound(estimate),
        ),
        (Some(_), None) => {
            format!("A step moves {} the bytes it would have to.", ratio(program.traffic.ratio))
        }
        (None, _) => format!("A step moves {} through HBM.", bytes(program.traffic.bytes)),
    };
    format!(
        "<header>\n<h1>{GEM}{}</h1>\n<p class=\"verdict\">{verdict}</p>\n<p class=\"setting\">{}</p>\n</header>\n",
        Escaped(&program.name),
        Escaped(&setting.join(" \u{b7} ")),
    )
}

fn estimate_bound(estimate: &lapidary_hlo::StepEstimate) -> &'static str {
    let longest = estimate.lower_bound_seconds;
    if estimate.hbm_seconds == longest {
        "memory"
    } else if estimate.compute_seconds == longest {
        "compute"
    } else {
        "the interconnect"
    }
}

fn tiles(program: &Inspection) -> String {
    let memory = &program.memory;
    let collectives = program.collectives.iter().map(|each| each.count).fold(0, u64::saturating_add);
    let mut tiles = vec![tile(
        "HBM traffic",
        &bytes(program.traffic.bytes),
        &match program.traffic.ratio {
            Some(_) => format!("{} the ideal", ratio(program.traffic.ratio)),
            None => String::new(),
        },
    )];
    if let Some(estimate) = &program.estimate {
        let bound = format!("estimate; at least {}", seconds(estimate.lower_bound_seconds));
        tiles.push(tile("Step", &seconds(estimate.seconds), &bound));
    }
    tiles.push(tile(
        "Matrix products",
        &super::format::flops(program.flops.matrix),
        &program
            .flops
            .ratio
            .map_or_else(String::new, |_| format!("{} the ideal", ratio(program.flops.ratio))),
    ));
    let available = memory.available_bytes.map(|available| format!("of {}", bytes(available)));
    tiles.push(tile("Memory", &bytes(memory.total_bytes), &available.unwrap_or_default()));
    tiles.push(tile("Collectives", &collectives.to_string(), &format!("{} sent", bytes(program.sent_bytes))));
    format!("<div class=\"tiles\">\n{}</div>\n", tiles.concat())
}

fn tile(what: &str, figure: &str, remark: &str) -> String {
    format!("<div class=\"tile\"><span>{what}</span><b>{figure}</b><span>{remark}</span></div>\n")
}

fn caveats(program: &Inspection) -> String {
    let items = program.caveats.iter().map(|caveat| format!("<li>{}</li>\n", Escaped(caveat)));
    match program.caveats.is_empty() {
        true => String::new(),
        false => {
            section("To know", "", &format!("<ul class=\"caveats\">\n{}</ul>\n", items.collect::<String>()))
        }
    }
}

/// A section; the remark stands below its title.
fn section(title: &str, remark: &str, content: &str) -> String {
    let remark = if remark.is_empty() { String::new() } else { format!("<p>{remark}</p>\n") };
    format!("<section>\n<h2>{title}</h2>\n{remark}{content}</section>\n")
}

/// A key of colours, each the name of a variable of the style sheet.
fn legend(entries: &[(&str, &str)]) -> String {
    let entries =
        entries.iter().map(|(name, color)| format!("<li><i style=\"--c:var(--{color})\"></i>{name}</li>"));
    format!("<ul class=\"legend\">{}</ul>\n", entries.collect::<String>())
}

/// A part of a bar, as wide as its share of `whole`; nothing for nothing.
fn segment(color: &str, amount: f64, whole: f64, title: &str) -> String {
    if amount <= 0.0 || whole <= 0.0 {
        return String::new();
    }
    let width = 100.0 * amount / whole;
    format!("<i style=\"--c:var(--{color});width:{width:.3}%\" title=\"{}\"></i>", Escaped(title))
}

/// `1 run`, `2 runs`.
fn runs(times: u64) -> String {
    count(times, "run", "runs")
}
